package ecispec

import (
	"math"
	"testing"
)

func TestParsePico(t *testing.T) {
	cases := map[string]struct {
		text, want string
		pico       Pico
	}{
		"documented: a vCPU-second":     {text: "0.0000077", pico: 7_700_000, want: "0.0000077"},
		"documented: a GiB-second":      {text: "0.00000096", pico: 960_000, want: "0.00000096"},
		"nothing":                       {text: "0", want: "0"},
		"whole":                         {text: "12", pico: 12_000_000_000_000, want: "12"},
		"trailing zeros":                {text: "1.50", pico: 1_500_000_000_000, want: "1.5"},
		"leading zeros":                 {text: "007.5", pico: 7_500_000_000_000, want: "7.5"},
		"the smallest":                  {text: "0.000000000001", pico: 1, want: "0.000000000001"},
		"more decimals are rounded up":  {text: "0.0000000000011", pico: 2, want: "0.000000000002"},
		"zeros are not":                 {text: "0.0000000000010000", pico: 1, want: "0.000000000001"},
		"the largest":                   {text: "9223372.036854775807", pico: math.MaxInt64, want: "9223372.036854775807"},
		"the largest is not rounded up": {text: "9223372.0368547758079", pico: math.MaxInt64, want: "9223372.036854775807"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePico(tc.text)
			if err != nil || got != tc.pico || got.String() != tc.want {
				t.Errorf("%d, written %s, error %v, want %d, written %s", got, got, err, tc.pico, tc.want)
			}
		})
	}
	for _, text := range []string{"", "-1", "+1", ".5", "5.", "1e3", "1,5", " 1", "one", "1.2.3", "0x1", "9223372.036854775808", "99999999999999999999"} {
		if got, err := ParsePico(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
	if got := Pico(math.MinInt64).String(); got != "-9223372.036854775808" {
		t.Errorf("the smallest is %s", got)
	}
}

func TestPrices(t *testing.T) {
	// ECI: "Billing of virtual nodes", prices outside China.
	rates := Rates{CPUSecond: 7_700_000, GiBSecond: 960_000, InstanceTypes: map[string]Pico{"ecs.c6.large": 25_000_000}}
	cases := map[string]struct {
		spec               Spec
		perSecond, perHour string
	}{
		"documented: 2-4Gi is about 0.0693 an hour": {spec: Default(), perSecond: "0.00001924", perHour: "0.069264"},
		"fractions":                  {spec: Spec{MilliCPU: 250, Memory: gib / 2}, perSecond: "0.000002405", perHour: "0.008658"},
		"rounded up":                 {spec: Spec{Memory: 1}, perSecond: "0.000000000001", perHour: "0.000000000004"},
		"nothing":                    {perSecond: "0", perHour: "0"},
		"an instance type":           {spec: Spec{MilliCPU: 2000, Memory: 4 * gib, InstanceType: "ecs.c6.large"}, perSecond: "0.000025", perHour: "0.09"},
		"what is negative is 0":      {spec: Spec{MilliCPU: -1, Memory: math.MinInt64}, perSecond: "0", perHour: "0"},
		"what is absurd is the most": {spec: Spec{MilliCPU: math.MaxInt64, Memory: math.MaxInt64}, perSecond: "9223372.036854775807", perHour: "9223372.036854775807"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			perSecond, _ := rates.PerSecond(tc.spec)
			perHour, ok := rates.PerHour(tc.spec)
			if !ok || perSecond.String() != tc.perSecond || perHour.String() != tc.perHour {
				t.Errorf("%s a second, %s an hour, %v, want %s and %s", perSecond, perHour, ok, tc.perSecond, tc.perHour)
			}
		})
	}
	unknown := Spec{MilliCPU: 2000, Memory: 4 * gib, InstanceType: "ecs.g6.large"}
	if price, ok := rates.PerSecond(unknown); ok {
		t.Errorf("%s costs %s, although its price is not known", unknown, price)
	}
}

func TestDearest(t *testing.T) {
	rates := Rates{CPUSecond: 7_700_000, GiBSecond: 960_000, InstanceTypes: map[string]Pico{"ecs.c6.large": 25_000_000}}
	known, unknown := Spec{InstanceType: "ecs.c6.large"}, Spec{InstanceType: "ecs.g6.large"}
	if got, ok := rates.Dearest(Bill{Specs: []Spec{Default(), known, Default()}}); !ok || got.String() != "0.09" {
		t.Errorf("dearest: %s, %v, want 0.09", got, ok)
	}
	for _, bill := range []Bill{{}, {Specs: []Spec{known, unknown}}} {
		if got, ok := rates.Dearest(bill); ok {
			t.Errorf("dearest of %v: %s", bill, got)
		}
	}
}

// TestGuess checks what a specification counts for whose price ECI does not tell.
func TestGuess(t *testing.T) {
	rates := Rates{CPUSecond: 1000, GiBSecond: 100, InstanceTypes: map[string]Pico{"ecs.c7.large": 1_000_000}}
	cases := map[string]struct {
		specs []string
		want  Pico
		known bool
	}{
		"a price":                             {specs: []string{"2-4Gi"}, want: 3600 * 2400, known: true},
		"memory by its name":                  {specs: []string{"ecs.c6.large"}, want: 4 * 3600 * (2*1000 + 4*100)},
		"the most memory":                     {specs: []string{"ecs.zz9.large"}, want: 4 * 3600 * (2*1000 + 16*100)},
		"GPUs":                                {specs: []string{"ecs.gn9-c4g1.xlarge"}, want: 16 * 3600 * (4*1000 + 32*100)},
		"the dearest is the one with a price": {specs: []string{"ecs.zz9.large", "ecs.c7.large"}, want: 3600 * 1_000_000, known: true},
		"the dearest is the one without":      {specs: []string{"2-4Gi", "ecs.zz9.large"}, want: 4 * 3600 * 3600, known: true},
		"a size that nobody sells":            {specs: []string{"ecs.gn9-c1g1.64xlarge"}, want: 16 * 3600 * (256*1000 + 8*256*100)},
		"nothing":                             {},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var bill Bill
			for _, text := range tc.specs {
				spec, err := Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				bill.Specs = append(bill.Specs, spec)
			}
			if got, known := rates.Guess(bill); got != tc.want || known != tc.known {
				t.Errorf("guess %d, known = %v, want %d, %v", got, known, tc.want, tc.known)
			}
		})
	}
	if got, _ := (Rates{CPUSecond: math.MaxInt64}).Guess(Bill{Specs: []Spec{{MilliCPU: 1000, InstanceType: "x"}}}); got != math.MaxInt64 {
		t.Errorf("a guess that overflows: %d", got)
	}
}
