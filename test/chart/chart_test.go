package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTicks(t *testing.T) {
	for name, tc := range map[string]struct {
		lowest, highest float64
		log             bool
		want            []string
	}{
		"a few":                  {lowest: 0, highest: 6, want: []string{"0", "1", "2", "3", "4", "5", "6"}},
		"tenths":                 {lowest: 0, highest: 0.6, want: []string{"0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"}},
		"not from zero":          {lowest: 115.3, highest: 149.2, want: []string{"120", "125", "130", "135", "140", "145"}},
		"thousands":              {lowest: 0, highest: 50000, want: []string{"0", "10k", "20k", "30k", "40k", "50k"}},
		"millions":               {lowest: 0, highest: 3e6, want: []string{"0", "500k", "1M", "1.5M", "2M", "2.5M", "3M"}},
		"below zero":             {lowest: -2, highest: 4, want: []string{"-2", "-1", "0", "1", "2", "3", "4"}},
		"logarithmic":            {lowest: 100, highest: 5000, log: true, want: []string{"100", "200", "500", "1000", "2000", "5000"}},
		"logarithmic, long":      {lowest: 1, highest: 1e5, log: true, want: []string{"1", "10", "100", "1000", "10k", "100k"}},
		"logarithmic, very long": {lowest: 1, highest: 1e14, log: true, want: []string{"1", "100", "10k", "1M", "100M", "10G", "1T", "100T"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAxis(0, 100, tc.log)
			a.include(tc.lowest)
			a.include(tc.highest)
			var got []string
			for _, tick := range a.ticks() {
				got = append(got, label(tick))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("ticks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAt(t *testing.T) {
	linear := axis{from: 100, to: 0, lowest: 0, highest: 10}
	if got := linear.at(2.5); got != 75 {
		t.Errorf("linear: got %v, want 75", got)
	}
	log := axis{from: 0, to: 100, lowest: 1, highest: 10000, log: true}
	if got := log.at(100); got != 50 {
		t.Errorf("logarithmic: got %v, want 50", got)
	}
}

func TestSVG(t *testing.T) {
	line := func(points ...Point) Lines { return Lines{Series: []Series{{Name: "a", Points: points}}} }
	log := line(Point{0, 5}, Point{1, 10}, Point{100, 1000})
	log.LogX, log.LogY = true, true
	dashed := line(Point{0, 0}, Point{1, 1})
	dashed.Series[0].Dashed = true
	for name, tc := range map[string]struct {
		lines Lines
		want  []string
		// absent must not be in the drawing.
		absent []string
	}{
		"corners":                      {lines: line(Point{0, 0}, Point{10, 7}), want: []string{`d="M72.0 280.0L836.0 58.0"`, `<circle cx="836.0" cy="58.0"`}},
		"amounts start at zero":        {lines: line(Point{0, 7}, Point{10, 7}), want: []string{`d="M72.0 58.0L836.0 58.0"`}},
		"a number that is missing":     {lines: line(Point{0, 0}, Point{5, math.NaN()}, Point{10, 7}), want: []string{`d="M72.0 280.0M836.0 58.0"`}, absent: []string{"NaN"}},
		"infinite":                     {lines: line(Point{0, 0}, Point{math.Inf(1), 1}, Point{10, 7}), want: []string{`d="M72.0 280.0M836.0 58.0"`}, absent: []string{"Inf"}},
		"zero on a logarithmic axis":   {lines: log, want: []string{`d="M72.0 280.0L836.0 58.0"`}, absent: []string{"NaN", "Inf"}},
		"no points":                    {lines: line(), want: []string{">a</text>"}, absent: []string{"NaN", "Inf"}},
		"one point":                    {lines: line(Point{3, 3}), want: []string{"<circle"}, absent: []string{"NaN", "Inf"}},
		"dashed":                       {lines: dashed, want: []string{`stroke-dasharray`}, absent: []string{"<circle"}},
		"words that XML would take up": {lines: Lines{Title: "a < b & c", X: "hours", Y: "CNY"}, want: []string{"a &lt; b &amp; c", ">hours<", ">CNY<"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(tc.lines.SVG())
			wellFormed(t, got)
			for _, part := range tc.want {
				if !strings.Contains(got, part) {
					t.Errorf("want %s in:\n%s", part, got)
				}
			}
			for _, part := range tc.absent {
				if strings.Contains(got, part) {
					t.Errorf("want no %s in:\n%s", part, got)
				}
			}
		})
	}
}

func TestLegendOfTwoRows(t *testing.T) {
	l := Lines{Series: []Series{{Points: []Point{{0, 0}, {1, 1}}}}}
	for range 4 {
		l.Series = append(l.Series, Series{Name: strings.Repeat("x", 30)})
	}
	got := string(l.SVG())
	// The plot begins a row further down.
	for _, part := range []string{`<path d="M72 59h22"`, `d="M72.0 280.0L836.0 76.0"`} {
		if !strings.Contains(got, part) {
			t.Errorf("want %s in:\n%s", part, got)
		}
	}
}

func TestStack(t *testing.T) {
	got := string(Stack(Lines{Title: "above"}, Lines{Title: "below"}))
	wellFormed(t, got)
	for _, part := range []string{`viewBox="0 0 860 660"`, "translate(0,0)", "translate(0,330)", ">above<", ">below<"} {
		if !strings.Contains(got, part) {
			t.Errorf("want %s in:\n%s", part, got)
		}
	}
}

func wellFormed(t *testing.T, document string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(document))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("reading the SVG: %v\n%s", err, document)
		}
	}
}
