package docs

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// index is the page that leads to all others.
const index = "docs/README.md"

func TestLinks(t *testing.T) {
	pages := allPages(t)
	anchors := map[string]map[string]bool{}
	for i := range pages {
		anchors[pages[i].Path] = pages[i].Anchors()
	}
	for _, page := range pages {
		links := page.Links()
		for _, line := range slices.Sorted(maps.Keys(links)) {
			for _, target := range links[line] {
				if why := whyBroken(&page, target, anchors); why != "" {
					t.Errorf("%s:%d: the link to %s: %s", page.Path, line, target, why)
				}
			}
		}
	}
}

// whyBroken returns what is wrong with a link, or nothing.
func whyBroken(page *Page, target string, anchors map[string]map[string]bool) string {
	if strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "mailto:") {
		return ""
	}
	if strings.Contains(target, "://") {
		return "only https is allowed"
	}
	file, anchor, _ := strings.Cut(target, "#")
	full := page.Path
	if file != "" {
		full = path.Join(path.Dir(page.Path), file)
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(full))); err != nil {
		return "there is no file " + full
	}
	if known := anchors[full]; anchor != "" && known != nil && !known[anchor] {
		return full + " has no heading #" + anchor
	}
	return ""
}

// TestIndex holds that every page of docs can be found from the index.
func TestIndex(t *testing.T) {
	pages := allPages(t)
	at := slices.IndexFunc(pages, func(p Page) bool { return p.Path == index })
	if at < 0 {
		t.Fatalf("there is no %s", index)
	}
	linked := map[string]bool{index: true}
	for _, targets := range pages[at].Links() {
		for _, target := range targets {
			file, _, _ := strings.Cut(target, "#")
			linked[path.Join(path.Dir(index), file)] = true
		}
	}
	for _, page := range pages {
		if strings.HasPrefix(page.Path, "docs/") && !linked[page.Path] {
			t.Errorf("%s does not link to %s", index, page.Path)
		}
	}
}

func TestAnchors(t *testing.T) {
	page := parse("x.md", "# `Ready=False` `Invalid`: what now?\n## [A link](y.md) & more\n```text\n# not one\n```\n### snake_case\n")
	want := []string{"a-link--more", "readyfalse-invalid-what-now", "snake_case"}
	if got := slices.Sorted(maps.Keys(page.Anchors())); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
