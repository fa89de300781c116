package docs

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const root = "../.."

// languages are what a block may be. Commands in another one would not be run.
var languages = []string{Console, YAML, "text", "json", "go", "promql"}

func allPages(t *testing.T) []Page {
	t.Helper()
	pages, err := Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

func TestBlocks(t *testing.T) {
	for _, page := range allPages(t) {
		for _, block := range page.Blocks {
			if !slices.Contains(languages, block.Language) {
				t.Errorf("%s:%d: a block of language %q: use one of %v", page.Path, block.Line-1, block.Language, languages)
			}
			switch block.Language {
			case Console:
				checkConsole(t, &page, &block)
			case YAML:
				checkYAML(t, &page, &block)
			default:
				for i, line := range block.Lines {
					if strings.HasPrefix(line, prompt) {
						t.Errorf("%s:%d: a command in a block of %s: use console", page.Path, block.Line+i, block.Language)
					}
				}
			}
		}
	}
}

func checkConsole(t *testing.T, page *Page, block *Block) {
	if _, err := block.Commands(); err != nil {
		t.Errorf("%s: %v", page.Path, err)
	}
	for _, word := range block.Info {
		reason, ok := strings.CutPrefix(word, norun)
		if !ok || !slices.Contains(Reasons, reason) {
			t.Errorf("%s:%d: console %s: the only word allowed is %s with one of %v", page.Path, block.Line-1, word, norun, Reasons)
		}
	}
}

func checkYAML(t *testing.T, page *Page, block *Block) {
	for _, word := range block.Info {
		if word != Fragment && word != Foreign {
			t.Errorf("%s:%d: yaml %s: the only words allowed are %s and %s", page.Path, block.Line-1, word, Fragment, Foreign)
		}
	}
	for document := range strings.SplitSeq(strings.Join(block.Lines, "\n"), "\n---\n") {
		object := map[string]any{}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Errorf("%s:%d: %v", page.Path, block.Line, err)
			continue
		}
		if !block.Is(Fragment) && (object["apiVersion"] == nil || object["kind"] == nil) {
			t.Errorf("%s:%d: the manifest has no apiVersion and kind: write yaml %s for a part of one", page.Path, block.Line, Fragment)
		}
	}
}

func TestCommands(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  []Command
		fails bool
	}{
		"output":        {lines: []string{"$ a", "x", "$ b # why"}, want: []Command{{Line: 5, Text: "a", Output: []string{"x"}}, {Line: 7, Text: "b # why"}}},
		"here-document": {lines: []string{"$ cat <<EOF", "$ x", "EOF", "out"}, want: []Command{{Line: 5, Text: "cat <<EOF\n$ x\nEOF", Output: []string{"out"}}}},
		"loop":          {lines: []string{"$ for i in 1; do", "echo $i", "done", "1"}, want: []Command{{Line: 5, Text: "for i in 1; do\necho $i\ndone", Output: []string{"1"}}}},
		"backslash":     {lines: []string{`$ a \`, "  b"}, want: []Command{{Line: 5, Text: "a \\\n  b"}}},
		"quote":         {lines: []string{"$ a 'b", "c'"}, want: []Command{{Line: 5, Text: "a 'b\nc'"}}},
		"no prompt":     {lines: []string{"a"}, fails: true},
		"empty":         {fails: true},
		"not complete":  {lines: []string{"$ cat <<EOF", "x"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&Block{Line: 5, Lines: c.lines}).Commands()
			if (err != nil) != c.fails {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" && !c.fails {
				t.Error(diff)
			}
		})
	}
}
