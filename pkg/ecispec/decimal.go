package ecispec

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// parseDecimal reads a plain decimal number, without sign or exponent, in units of the last of so many decimals. What comes after them is cut off, which
// the second result tells if it was not 0. The third is false when the text is no such number, or too large.
func parseDecimal(text string, decimals int) (int64, bool, bool) {
	whole, fraction, point := strings.Cut(text, ".")
	if !isDigits(whole) || point && !isDigits(fraction) {
		return 0, false, false
	}
	cut := false
	if len(fraction) > decimals {
		cut = strings.Trim(fraction[decimals:], "0") != ""
		fraction = fraction[:decimals]
	}
	value, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10, 64)
	return value, cut, err == nil
}

// formatDecimal writes a value in units of the last of so many decimals, without trailing zeros.
func formatDecimal(value int64, decimals int) string {
	sign, digits := "", strconv.FormatInt(value, 10)
	if value < 0 {
		sign, digits = "-", digits[1:]
	}
	if missing := decimals + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	whole, fraction := digits[:len(digits)-decimals], strings.TrimRight(digits[len(digits)-decimals:], "0")
	if fraction == "" {
		return sign + whole
	}
	return sign + whole + "." + fraction
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// plus adds two amounts that are not negative. It stops at the largest number instead of overflowing.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// timesOver is a*b/per, rounded up. It stops at the largest number instead of overflowing; what is negative counts as 0.
func timesOver(a, b int64, per uint64) int64 {
	high, low := bits.Mul64(uint64(max(a, 0)), uint64(max(b, 0)))
	if high >= per {
		return math.MaxInt64
	}
	quotient, rest := bits.Div64(high, low, per)
	if quotient >= math.MaxInt64 {
		return math.MaxInt64
	}
	if rest > 0 {
		quotient++
	}
	return int64(quotient)
}
