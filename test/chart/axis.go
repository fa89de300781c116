package chart

import (
	"fmt"
	"math"
	"strconv"
)

// wantedTicks is about how many numbers an axis has.
const wantedTicks = 7

// axis places numbers between two edges of the plot.
type axis struct {
	// from and to are the places of lowest and highest.
	from, to        float64
	lowest, highest float64
	log             bool
}

func newAxis(from, to float64, log bool) axis {
	return axis{from: from, to: to, lowest: math.Inf(1), highest: math.Inf(-1), log: log}
}

// has tells whether the number has a place on the axis.
func (a *axis) has(v float64) bool { return finite(v) && (!a.log || v > 0) }

func (a *axis) include(v float64) {
	a.lowest, a.highest = min(a.lowest, v), max(a.highest, v)
}

// startAtZero makes amounts look as large as they are.
func (a *axis) startAtZero() {
	if !a.log && a.lowest > 0 {
		a.lowest = 0
	}
}

// settle gives an axis without numbers, or with one only, a length.
func (a *axis) settle() {
	if a.lowest > a.highest {
		a.lowest, a.highest = 0, 1
		if a.log {
			a.lowest, a.highest = 1, 10
		}
	}
	if a.lowest == a.highest {
		if a.log {
			a.lowest, a.highest = a.lowest/2, a.highest*2
		} else {
			a.highest += max(math.Abs(a.highest)/10, 1)
		}
	}
}

// endAtTick makes room above the highest line up to the next number of the axis.
func (a *axis) endAtTick() {
	if a.log {
		return
	}
	step := a.step()
	a.lowest, a.highest = math.Floor(a.lowest/step)*step, math.Ceil(a.highest/step)*step
}

// at returns the place of a number.
func (a *axis) at(v float64) float64 {
	low, high := a.lowest, a.highest
	if a.log {
		v, low, high = math.Log10(v), math.Log10(low), math.Log10(high)
	}
	return a.from + (v-low)/(high-low)*(a.to-a.from)
}

// ticks returns the numbers that are written on the axis, in order.
func (a *axis) ticks() []float64 {
	if a.log {
		return a.logTicks()
	}
	step := a.step()
	var all []float64
	for i := math.Ceil(a.lowest/step - tiny); i <= a.highest/step+tiny; i++ {
		all = append(all, i*step+0) // Adding 0 takes the sign from a zero.
	}
	return all
}

// tiny is how far off a number may be because of the arithmetic alone, in steps.
const tiny = 1e-9

// step returns 1, 2 or 5 times a power of ten.
func (a *axis) step() float64 {
	rough := (a.highest - a.lowest) / wantedTicks
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, times := range []float64{1, 2, 5} {
		if times*power >= rough*(1-tiny) {
			return times * power
		}
	}
	return 10 * power
}

// logTicks returns powers of ten, and 2 and 5 times them where there are few.
func (a *axis) logTicks() []float64 {
	first, last := math.Floor(math.Log10(a.lowest)), math.Ceil(math.Log10(a.highest))
	times, every := []float64{1}, 1.0
	switch decades := math.Log10(a.highest / a.lowest); {
	case decades <= 3:
		times = []float64{1, 2, 5}
	case decades > wantedTicks:
		every = math.Ceil(decades / wantedTicks)
	}
	var all []float64
	for power := first; power <= last; power += every {
		for _, factor := range times {
			if v := factor * math.Pow(10, power); v >= a.lowest*(1-tiny) && v <= a.highest*(1+tiny) {
				all = append(all, v)
			}
		}
	}
	return all
}

// label writes a number of an axis: short, and without what the arithmetic leaves behind the last digit.
func label(v float64) string {
	for _, unit := range []struct {
		size   float64
		suffix string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if math.Abs(v) < unit.size {
			continue
		}
		if unit.suffix == "k" {
			unit.size = 1e3
		}
		return fmt.Sprintf("%.6g%s", v/unit.size, unit.suffix)
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}
