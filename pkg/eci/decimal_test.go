package eci

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

func TestParseDecimal(t *testing.T) {
	for text, want := range map[string]ecispec.Pico{
		"0": 0, "0.0": 0, "0e5": 0, "1": one, "2.01": 2_010_000_000_000, "6.13e-06": 6_130_000, "6.13E-6": 6_130_000, "1e-12": 1, "12.5e1": 125 * one,
		"1.5E+2": 150 * one, "1e0": one, "123.456e-2": 1_234_560_000_000, "0.000000000001": 1, "1.0e+06": 1_000_000 * one,
	} {
		if got, ok := parseDecimal(json.Number(text)); !ok || got.pico != want {
			t.Errorf("%s = %d, %v, want %d", text, got.pico, ok, want)
		}
	}
	for _, text := range []string{"", "-1", "-1e3", "-1e-3", "1e31", "1e99999999999999999999", "1e-31", "9300000000", "NaN", "1e", "abc", "1e7e7"} {
		if got, ok := parseDecimal(json.Number(text)); ok {
			t.Errorf("%q = %d, want an error", text, got.pico)
		}
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, seed := range []string{"6.13e-06", "1E5", "0.25", "123e-3", "-0", "9e18"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var number json.Number
		if json.Unmarshal([]byte(text), &number) != nil {
			return
		}
		got, ok := parseDecimal(number)
		if !ok {
			return
		}
		want, err := strconv.ParseFloat(number.String(), 64)
		if diff := float64(got.pico)/one - want; err != nil || diff < -1e-11*(1+want) || diff > 1e-11*(1+want) {
			t.Errorf("%q = %d, want %v (%v)", text, got.pico, want, err)
		}
	})
}

func TestRounding(t *testing.T) {
	for text, want := range map[string][3]int64{
		"0.25": {250, 250, 1 << 28}, "0.0001": {0, 1, 107375}, "11.2505": {11250, 11251, 12080132391}, "9000000": {9_000_000_000, 9_000_000_000, 9_000_000 << 30},
	} {
		d, ok := parseDecimal(json.Number(text))
		if got := [3]int64{d.floorMilli(), d.ceilMilli(), d.ceilGiB()}; !ok || got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for milliCPU, want := range map[int64]string{0: "0", 250: "0.25", 1001: "1.001", 64_000: "64", 1_000_000_000: "1000000"} {
		if got := formatCPU(milliCPU); got != want {
			t.Errorf("%d thousandths of a vCPU = %s, want %s", milliCPU, got, want)
		}
	}
	for size, want := range map[int64]string{512 << 20: "0.5", 4 << 30: "4", 3 << 28: "0.75", 512 << 30: "512"} {
		if got := formatGiB(size); got != want {
			t.Errorf("%d bytes = %s GiB, want %s", size, got, want)
		}
	}
}
