// Command vuln looks for known vulnerabilities that programs can reach, and fails for each that explained.txt does not explain.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/vuln/scan"
)

// explained has a line for each vulnerability that is no danger here: its ID, and why.
//
//go:embed explained.txt
var explained string

// message is the part of govulncheck's output that is needed (golang.org/x/vuln/internal/govulncheck).
type message struct {
	Config *struct {
		GoVersion      string `json:"go_version"`
		DBLastModified string `json:"db_last_modified"`
	} `json:"config"`
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *finding `json:"finding"`
}

type finding struct {
	OSV   string `json:"osv"`
	Fixed string `json:"fixed_version"`
	// Trace begins with the vulnerable symbol; without a function when nothing calls it.
	Trace []struct {
		Module   string `json:"module"`
		Version  string `json:"version"`
		Function string `json:"function"`
	} `json:"trace"`
}

// report is what was found.
type report struct {
	goVersion, modified string
	summaries           map[string]string
	// reached are the vulnerabilities that a program can reach, each with the modules that have it and the versions that do not.
	reached map[string]map[string]bool
}

func main() {
	db := flag.String("db", "", "URL of the database, such as https://vuln.go.dev")
	flag.Parse()
	if err := run(*db, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "vuln:", err)
		os.Exit(1)
	}
}

func run(db string, packages []string) error {
	var output, problems bytes.Buffer
	command := scan.Command(context.Background(), append([]string{"-format", "json", "-db", db}, packages...)...)
	command.Stdout, command.Stderr = &output, &problems
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting govulncheck: %w", err)
	}
	if err := command.Wait(); err != nil {
		return fmt.Errorf("looking for vulnerabilities with %s: %w: %s", db, err, strings.TrimSpace(problems.String()))
	}
	r, err := read(&output)
	if err != nil {
		return err
	}
	text, err := r.judge()
	fmt.Print(text)
	return err
}

// read reads the output of govulncheck.
func read(output io.Reader) (*report, error) {
	r := &report{summaries: map[string]string{}, reached: map[string]map[string]bool{}}
	decoder := json.NewDecoder(output)
	for {
		var m message
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decoding the output of govulncheck: %w", err)
		}
		r.add(&m)
	}
}

func (r *report) add(m *message) {
	switch {
	case m.Config != nil:
		r.goVersion, r.modified = m.Config.GoVersion, m.Config.DBLastModified
	case m.OSV != nil:
		r.summaries[m.OSV.ID] = m.OSV.Summary
	case m.Finding != nil && len(m.Finding.Trace) > 0 && m.Finding.Trace[0].Function != "":
		if r.reached[m.Finding.OSV] == nil {
			r.reached[m.Finding.OSV] = map[string]bool{}
		}
		at := m.Finding.Trace[0]
		r.reached[m.Finding.OSV][fmt.Sprintf("%s %s, fixed in %s", at.Module, at.Version, cmp.Or(m.Finding.Fixed, "no version"))] = true
	}
}

// judge writes what was found. It is an error when something is not explained, or is explained and was not found.
func (r *report) judge() (string, error) {
	reasons := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(explained))
	for lines.Scan() {
		if id, why, ok := strings.Cut(lines.Text(), " "); ok && strings.HasPrefix(id, "GO-") {
			reasons[id] = why
		}
	}
	text := fmt.Sprintf("with %s", r.goVersion)
	// The module golang.org/x/vulndb does not tell: its version does.
	if !strings.HasPrefix(r.modified, "0001") {
		text += ", database of " + r.modified
	}
	text += "\n"
	open := 0
	for _, id := range slices.Sorted(maps.Keys(r.reached)) {
		text += fmt.Sprintf("%s %s\n", id, r.summaries[id])
		for _, where := range slices.Sorted(maps.Keys(r.reached[id])) {
			text += fmt.Sprintf("  in %s\n", where)
		}
		if why, ok := reasons[id]; ok {
			text += fmt.Sprintf("  explained: %s\n", why)
			continue
		}
		open++
	}
	for id := range reasons {
		if _, ok := r.reached[id]; !ok {
			return text, fmt.Errorf("explained.txt has %s, which was not found: remove the line", id)
		}
	}
	if open > 0 {
		return text, fmt.Errorf("%d vulnerabilities can be reached: take the fixed versions, or say in hack/tools/vuln/explained.txt why they are no danger", open)
	}
	text += fmt.Sprintf("nothing that can be reached is unexplained (%d explained)\n", len(reasons))
	return text, nil
}
