package ecispec

import (
	"fmt"
	"math"
)

const (
	picoDecimals   = 12
	picoPerUnit    = 1e12
	secondsPerHour = 3600

	// guessedGiBPerVCPU is the memory of an instance type whose name does not tell it: the most that ECI sells with a
	// vCPU.
	guessedGiBPerVCPU = 8
	// guessFactor and guessFactorGPU are by how much more an instance type is taken to cost than its vCPUs and memory
	// do. General types cost about as much, those with local disks or a higher frequency up to three times, and those
	// with GPUs up to ten times.
	guessFactor    = 4
	guessFactorGPU = 16
)

// Pico is money in 10^-12 of the account's currency, up to about nine million of it. Arithmetic stops at the largest number.
type Pico int64

// Rates is what ECI charges per second. What is negative counts as 0.
type Rates struct {
	// CPUSecond is for one vCPU, and GiBSecond for one GiB of memory.
	CPUSecond, GiBSecond Pico
	// InstanceTypes is for one instance of an ECS instance type.
	InstanceTypes map[string]Pico
}

// ParsePico reads an amount of money such as "0.0000077": digits, and decimals behind a point. More than 12 decimals are rounded up. The error names
// the text and what is allowed.
func ParsePico(decimal string) (Pico, error) {
	value, cut, ok := parseDecimal(decimal, picoDecimals)
	if !ok {
		return 0, fmt.Errorf("amount %.100q must be a decimal number from 0 to %s, such as 0.0000077", decimal, Pico(math.MaxInt64))
	}
	if cut {
		value = plus(value, 1)
	}
	return Pico(value), nil
}

// String writes the amount as a plain decimal number without trailing zeros, such as "0.0693". ParsePico reads it unless it is negative.
func (p Pico) String() string { return formatDecimal(int64(p), picoDecimals) }

// Units is the amount in the account's currency, such as 0.0693, for people and metrics: it is not exact.
func (p Pico) Units() float64 { return float64(p) / picoPerUnit }

// PerSecond is the price of a specification for a second, rounded up. It returns false when its instance type has no price: such a specification is
// never priced by its vCPUs and memory (ECI: "Billing of ECS instance types").
func (r Rates) PerSecond(s Spec) (Pico, bool) { return r.price(s, 1) }

// PerHour is the price of a specification for an hour, rounded up once and not every second. It returns false as PerSecond does.
func (r Rates) PerHour(s Spec) (Pico, bool) { return r.price(s, secondsPerHour) }

// Dearest is the price for an hour of the dearest specification of a bill. It returns false when the price of one of them is not known, and for a bill
// without any.
func (r Rates) Dearest(b Bill) (Pico, bool) {
	var dearest Pico
	for _, spec := range b.Specs {
		price, ok := r.PerHour(spec)
		if !ok {
			return 0, false
		}
		dearest = max(dearest, price)
	}
	return dearest, len(b.Specs) > 0
}

// Guess is the price for an hour of the dearest specification of a bill, where an instance type without a price counts
// by its vCPUs and memory, several times over. It returns false when no specification has a price, so that the guess is
// all there is.
func (r Rates) Guess(b Bill) (dearest Pico, known bool) {
	for _, spec := range b.Specs {
		price, ok := r.PerHour(spec)
		if !ok {
			price = r.guess(spec)
		}
		dearest, known = max(dearest, price), known || ok
	}
	return dearest, known
}

func (r Rates) guess(s Spec) Pico {
	factor := int64(guessFactor)
	if s.GPUs > 0 {
		factor = guessFactorGPU
	}
	if s.Memory == 0 {
		s.Memory = timesOver(s.MilliCPU, guessedGiBPerVCPU*gib, 1000)
	}
	price, _ := r.PerHour(Spec{MilliCPU: s.MilliCPU, Memory: s.Memory})
	return Pico(timesOver(int64(price), factor, 1))
}

func (r Rates) price(s Spec, seconds int64) (Pico, bool) {
	if s.InstanceType != "" {
		rate, ok := r.InstanceTypes[s.InstanceType]
		return Pico(timesOver(int64(rate), seconds, 1)), ok
	}
	if s.GPUs > 0 {
		return 0, false // The prices of vCPUs and memory say nothing of GPUs.
	}
	cpu := timesOver(timesOver(s.MilliCPU, seconds, 1), int64(r.CPUSecond), 1000)
	memory := timesOver(timesOver(s.Memory, seconds, 1), int64(r.GiBSecond), gib)
	return Pico(plus(cpu, memory)), true
}
