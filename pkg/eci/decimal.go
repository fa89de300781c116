package eci

import (
	"encoding/json"
	"math/bits"
	"strconv"
	"strings"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	one   = 1_000_000_000_000 // of ecispec.Pico
	milli = one / 1000
	gib   = 1 << 30

	// maxPower bounds exponents. No price, quota or size needs more.
	maxPower = 30
)

// decimal is a number of an answer, exact to 10^-12 and from 0 to some 9 million. A float64 would make 2009 thousandths of 2.01.
type decimal struct {
	pico ecispec.Pico
}

// parseDecimal returns false for a number that is missing, negative or too large.
func parseDecimal(number json.Number) (decimal, bool) {
	text, ok := plain(number.String())
	if !ok {
		return decimal{}, false
	}
	pico, err := ecispec.ParsePico(text)
	return decimal{pico}, err == nil
}

// plain writes a number without an exponent, such as 0.00000613 for 6.13e-06. It returns false when that would be longer than any number that counts.
func plain(number string) (string, bool) {
	mantissa, power, found := strings.Cut(strings.ToLower(number), "e")
	if !found {
		return number, true
	}
	shift, err := strconv.Atoi(power)
	if err != nil || shift < -maxPower || shift > maxPower {
		return "", false
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if shift < 0 {
		whole = strings.Repeat("0", -shift) + whole
		at := len(whole) + shift
		return whole[:at] + "." + whole[at:] + fraction, true
	}
	fraction += strings.Repeat("0", shift)
	return whole + fraction[:shift] + "." + fraction[shift:] + "0", true
}

// floorMilli is the number in thousandths, rounded down.
func (d decimal) floorMilli() int64 { return int64(d.pico) / milli }

// ceilMilli is the number in thousandths, rounded up.
func (d decimal) ceilMilli() int64 {
	thousandths := int64(d.pico) / milli
	if int64(d.pico)%milli > 0 {
		thousandths++
	}
	return thousandths
}

// ceilGiB is so many GiB in bytes, rounded up.
func (d decimal) ceilGiB() int64 {
	high, low := bits.Mul64(uint64(d.pico), gib)
	size, rest := bits.Div64(high, low, one)
	if rest > 0 {
		size++
	}
	return int64(size)
}

// formatCPU writes thousandths of a vCPU as vCPUs.
func formatCPU(milliCPU int64) string {
	return strconv.FormatFloat(float64(milliCPU)/1000, 'f', -1, 64)
}

// formatGiB writes bytes as GiB. A division by a power of two is exact.
func formatGiB(size int64) string {
	return strconv.FormatFloat(float64(size)/gib, 'f', -1, 64)
}
