// Package chart draws line charts as SVG: what the measurements of this repository show in its documents. It has no dependencies, and the same values give
// the same bytes.
//
//   - chart.go: what a chart is, and how it is drawn.
//   - axis.go: from numbers to places on an axis, and the numbers that are written on it.
package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

const (
	width, panelHeight = 860, 330
	// left, right, top and bottom are the space around the plot for what is written there. A row of the legend is in the space at the top; a second one
	// makes the plot lower.
	left, right, top, bottom = 72, 24, 58, 50
	row                      = 18
	// markedPoints is up to how many points of a series are marked: with more, the marks would hide the line.
	markedPoints = 40
	// sample is the space for the line beside a name in the legend, letter about how wide a letter of the name is, and gap what is left behind it.
	sample, letter, gap = 28, 7, 20
)

// colours differ for people who are colour-blind, too (Okabe and Ito). After the last comes the first again.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"}

// Lines is a chart with one line for each series.
type Lines struct {
	// Title is written above the chart, X and Y at its axes.
	Title, X, Y string
	// Series are drawn one over the other, the last on top.
	Series []Series
	// LogX and LogY make an axis logarithmic. Points that are not above zero there are left out.
	LogX, LogY bool
}

// Series is one line.
type Series struct {
	// Name is that in the legend.
	Name string
	// Points are joined in this order. One that is not a finite number interrupts the line.
	Points []Point
	// Dashed sets a line apart from those that are measured, such as a limit.
	Dashed bool
}

// Point is a point of a line.
type Point struct{ X, Y float64 }

// SVG returns the chart as an SVG document.
func (l Lines) SVG() []byte { return Stack(l) }

// Stack returns several charts, one under the other, as one SVG document.
func Stack(charts ...Lines) []byte {
	var b bytes.Buffer
	height := panelHeight * len(charts)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`+"\n",
		width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	for i, l := range charts {
		fmt.Fprintf(&b, `<g transform="translate(0,%d)">`+"\n", i*panelHeight)
		l.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (l Lines) draw(b *bytes.Buffer) {
	text(b, `x="72" y="22" font-size="15" font-weight="bold"`, l.Title)
	x, y := l.axes(top + row*l.drawLegend(b))
	l.drawGrid(b, x, y)
	for i, s := range l.Series {
		drawSeries(b, s, colours[i%len(colours)], x, y)
	}
}

// axes spans both axes over all points that can be drawn.
func (l Lines) axes(plotTop int) (x, y axis) {
	x, y = newAxis(left, width-right, l.LogX), newAxis(panelHeight-bottom, float64(plotTop), l.LogY)
	for _, s := range l.Series {
		for _, p := range s.Points {
			if x.has(p.X) && y.has(p.Y) {
				x.include(p.X)
				y.include(p.Y)
			}
		}
	}
	y.startAtZero()
	x.settle()
	y.settle()
	y.endAtTick()
	return x, y
}

func (l Lines) drawGrid(b *bytes.Buffer, x, y axis) {
	for _, tick := range x.ticks() {
		at := x.at(tick)
		fmt.Fprintf(b, `<path d="M%.1f %.0fV%d" stroke="#e5e5e5"/>`+"\n", at, y.to, panelHeight-bottom)
		text(b, fmt.Sprintf(`x="%.1f" y="%d" text-anchor="middle" fill="#444444"`, at, panelHeight-bottom+17), label(tick))
	}
	for _, tick := range y.ticks() {
		at := y.at(tick)
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#e5e5e5"/>`+"\n", left, at, width-right)
		text(b, fmt.Sprintf(`x="%d" y="%.1f" text-anchor="end" fill="#444444"`, left-7, at+4), label(tick))
	}
	fmt.Fprintf(b, `<path d="M%d %.0fV%dH%d" fill="none" stroke="#444444"/>`+"\n", left, y.to, panelHeight-bottom, width-right)
	text(b, fmt.Sprintf(`x="%d" y="%d" text-anchor="middle"`, (left+width-right)/2, panelHeight-12), l.X)
	middle := (top + panelHeight - bottom) / 2
	text(b, fmt.Sprintf(`transform="translate(18,%d) rotate(-90)" text-anchor="middle"`, middle), l.Y)
}

func drawSeries(b *bytes.Buffer, s Series, colour string, x, y axis) {
	var path bytes.Buffer
	pen, drawn := "M", 0
	for _, p := range s.Points {
		if !x.has(p.X) || !y.has(p.Y) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", pen, x.at(p.X), y.at(p.Y))
		pen = "L"
		drawn++
	}
	if drawn == 0 {
		return
	}
	dashes := ""
	if s.Dashed {
		dashes = ` stroke-dasharray="6 4"`
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.8" stroke-linejoin="round"%s/>`+"\n", path.Bytes(), colour, dashes)
	if drawn > markedPoints || s.Dashed {
		return
	}
	for _, p := range s.Points {
		if x.has(p.X) && y.has(p.Y) {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.at(p.X), y.at(p.Y), colour)
		}
	}
}

// drawLegend writes the names above the plot, and returns how many rows more than one they take.
func (l Lines) drawLegend(b *bytes.Buffer) (more int) {
	at := left
	for i, s := range l.Series {
		length := sample + letter*len([]rune(s.Name))
		if at > left && at+length > width-right {
			at = left
			more++
		}
		dashes := ""
		if s.Dashed {
			dashes = ` stroke-dasharray="6 4"`
		}
		fmt.Fprintf(b, `<path d="M%d %dh22" stroke="%s" stroke-width="3"%s/>`+"\n", at, 41+row*more, colours[i%len(colours)], dashes)
		text(b, fmt.Sprintf(`x="%d" y="%d"`, at+sample, 45+row*more), s.Name)
		at += length + gap
	}
	return more
}

func text(b *bytes.Buffer, attributes, content string) {
	fmt.Fprintf(b, "<text %s>", attributes)
	_ = xml.EscapeText(b, []byte(content)) // A buffer takes everything.
	b.WriteString("</text>\n")
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
