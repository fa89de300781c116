// Package docs reads the pages of this repository as its readers do: commands, manifests and links. Its tests hold the pages to what is there; the program
// in run runs what they say.
//
//   - pages.go: pages and their blocks.
//   - commands.go: the commands of a block.
//   - links.go: links and the headings that they lead to.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// Console is the language of blocks with commands.
	Console = "console"
	// YAML is the language of blocks with manifests.
	YAML = "yaml"
	// Fragment is the word behind yaml for a part of a manifest.
	Fragment = "fragment"
	// Foreign is the word behind yaml for a manifest of an API that is not installed with Spillway.
	Foreign = "foreign"
	// norun is the word behind console for commands that no test runs; its reason is one of Reasons.
	norun = "norun="
)

// Reasons are why a test does not run a command. A reason that is not here is refused.
var Reasons = []string{
	"needs-a-registry",
	"needs-an-alibaba-cloud-account",
	"needs-a-cluster-of-yours",
	"needs-a-prometheus",
	"needs-a-release",
	"builds-for-seven-platforms",
}

// Page is a Markdown file.
type Page struct {
	// Path is relative to the root of the repository.
	Path string
	// Blocks are the fenced blocks in order.
	Blocks []Block
	// Text are the lines, those of blocks empty.
	Text []string
}

// Block is a fenced block.
type Block struct {
	// Line is the number of the first line inside, from 1.
	Line int
	// Language is the first word behind the fence; Info are the others.
	Language string
	Info     []string
	// Lines are what is inside.
	Lines []string
}

// Pages reads all Markdown files below the root but those in folders that are not part of the repository.
func Pages(root string) ([]Page, error) {
	var pages []Page
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{"bin", "dist", "node_modules"}, entry.Name()) || (strings.HasPrefix(entry.Name(), ".") && path != root) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		pages = append(pages, parse(filepath.ToSlash(relative), string(content)))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the pages: %w", err)
	}
	return pages, nil
}

// parse splits a page into blocks and text.
func parse(path, content string) Page {
	page := Page{Path: path}
	var open *Block
	indent := ""
	for i, line := range strings.Split(content, "\n") {
		info, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &Block{Line: i + 2}
			indent, _, _ = strings.Cut(line, "`")
			if words := strings.Fields(info); len(words) > 0 {
				open.Language, open.Info = words[0], words[1:]
			}
			line = ""
		case fence:
			page.Blocks = append(page.Blocks, *open)
			open, line = nil, ""
		case open != nil:
			// In a list the block is indented as a whole.
			open.Lines = append(open.Lines, strings.TrimPrefix(line, indent))
			line = ""
		}
		page.Text = append(page.Text, line)
	}
	return page
}

// NotRun returns why the commands of the block are not run; empty: they are.
func (b *Block) NotRun() string {
	for _, word := range b.Info {
		if reason, ok := strings.CutPrefix(word, norun); ok {
			return reason
		}
	}
	return ""
}

// Is tells whether a word stands behind the language.
func (b *Block) Is(word string) bool { return slices.Contains(b.Info, word) }
