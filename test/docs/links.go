package docs

import (
	"regexp"
	"strings"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`^#{1,6}\s+(.+?)\s*$`)
	// inText is what a heading shows of a link.
	inText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	// notInAnchor is what GitHub leaves out of the anchor of a heading.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	code        = regexp.MustCompile("`[^`]*`")
)

// Links returns the targets of the links of each line that has some, by line number.
func (p *Page) Links() map[int][]string {
	all := map[int][]string{}
	for i, line := range p.Text {
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(line, "code"), -1) {
			all[i+1] = append(all[i+1], match[1])
		}
	}
	return all
}

// Anchors returns what can stand after # in a link to the page, as GitHub makes it of the headings.
func (p *Page) Anchors() map[string]bool {
	anchors := map[string]bool{}
	for _, line := range p.Text {
		if match := heading.FindStringSubmatch(line); match != nil {
			text := notInAnchor.ReplaceAllString(inText.ReplaceAllString(match[1], "$1"), "")
			anchors[strings.ReplaceAll(strings.ToLower(text), " ", "-")] = true
		}
	}
	return anchors
}
