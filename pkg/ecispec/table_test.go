package ecispec

import (
	"testing"
)

const anywhere = "us-east-1"

func TestRoundUp(t *testing.T) {
	cases := map[string]struct {
		region           string
		milliCPU, memory int64
		want             string
	}{
		// ECI: "Specify the number of vCPUs and memory size to create a pod".
		"documented: 7 vCPU and 13 GiB in Hangzhou":                  {region: "cn-hangzhou", milliCPU: 7000, memory: 13 * gib, want: "8-14Gi"},
		"documented before 2024-06, without regions: 7 vCPU, 13 GiB": {region: anywhere, milliCPU: 7000, memory: 13 * gib, want: "8-16Gi"},
		// ACK: "Pod configurations and limits".
		"documented: 2 vCPU and 3 GiB": {region: "cn-hangzhou", milliCPU: 2000, memory: 3 * gib, want: "2-4Gi"},
		// ECI: "Ignore specific containers during resource adjustment".
		"documented: 4.25 vCPU and 8.5 GiB in Hangzhou": {region: "cn-hangzhou", milliCPU: 4250, memory: 8*gib + gib/2, want: "6-10Gi"},

		"what ECI sells stays":                     {region: anywhere, milliCPU: 12000, memory: 48 * gib, want: "12-48Gi"},
		"nothing is the smallest":                  {region: anywhere, want: "0.25-0.5Gi"},
		"less than nothing, too":                   {region: anywhere, milliCPU: -1, memory: -1, want: "0.25-0.5Gi"},
		"only vCPUs":                               {region: anywhere, milliCPU: 1500, want: "2-1Gi"},
		"only memory":                              {region: anywhere, memory: 3 * gib, want: "1-4Gi"},
		"one byte more":                            {region: anywhere, milliCPU: 2000, memory: 4*gib + 1, want: "2-8Gi"},
		"a thousandth of a vCPU more":              {region: anywhere, milliCPU: 2001, memory: 4 * gib, want: "4-4Gi"},
		"some regions have 2-6Gi":                  {region: "ap-southeast-1", milliCPU: 2000, memory: 5 * gib, want: "2-6Gi"},
		"other regions do not":                     {region: anywhere, milliCPU: 2000, memory: 5 * gib, want: "2-8Gi"},
		"no even number between 14 and 18, but 16": {region: "cn-beijing", milliCPU: 8000, memory: 15 * gib, want: "8-16Gi"},
		"nor between 30 and 34, but 32":            {region: "cn-beijing", milliCPU: 8000, memory: 31 * gib, want: "8-32Gi"},
		"a region that is not known":               {region: "", milliCPU: 5000, memory: 1, want: "8-4Gi"},
		"the largest":                              {region: "cn-heyuan", milliCPU: 64000, memory: 512 * gib, want: "64-512Gi"},
		"much memory for few vCPUs":                {region: anywhere, milliCPU: 1, memory: 400 * gib, want: "64-512Gi"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := RoundUp(tc.region, tc.milliCPU, tc.memory)
			if !ok || got.String() != tc.want {
				t.Errorf("%s, %v, want %s", got, ok, tc.want)
			}
		})
	}
	for _, tooMuch := range []Spec{{MilliCPU: 64001}, {Memory: 512*gib + 1}} {
		if got, ok := RoundUp("cn-hangzhou", tooMuch.MilliCPU, tooMuch.Memory); ok {
			t.Errorf("%s is enough for %s", got, tooMuch)
		}
	}
}

// TestRegions has the regions that the table names as those with more specifications.
func TestRegions(t *testing.T) {
	for _, region := range []string{
		"cn-hangzhou", "cn-shanghai", "cn-qingdao", "cn-beijing", "cn-zhangjiakou", "cn-huhehaote", "cn-wulanchabu", "cn-shenzhen", "cn-heyuan",
		"cn-guangzhou", "cn-chengdu", "ap-southeast-1",
	} {
		if got, _ := RoundUp(region, 6000, 48*gib); got.String() != "6-48Gi" {
			t.Errorf("%s: %s", region, got)
		}
	}
}

// TestRoundUpIsMonotone tries every step of both tables: who asks for more gets more vCPUs, or as many and at least as much memory. More does not hold:
// with more vCPUs the memory may shrink.
func TestRoundUpIsMonotone(t *testing.T) {
	for _, region := range []string{anywhere, "cn-hangzhou"} {
		for _, less := range steps(region) {
			small, _ := RoundUp(region, less.MilliCPU, less.Memory)
			if small.MilliCPU < less.MilliCPU || small.Memory < less.Memory {
				t.Errorf("%s: %s is less than %s", region, small, less)
			}
			for _, more := range steps(region) {
				large, _ := RoundUp(region, more.MilliCPU, more.Memory)
				if more.MilliCPU >= less.MilliCPU && more.Memory >= less.Memory && compare(small, large) > 0 {
					t.Errorf("%s: %s gets %s, but %s only %s", region, less, small, more, large)
				}
			}
		}
	}
}

// TestPriceIsNotMonotone holds what is known of the price: 53 vCPU with 200 GiB cost less than 52 with 200, at the documented rates, because there is no
// 52-256Gi. It is monotone where a vCPU costs at least 32/3 times as much as a GiB, and below 52 vCPU from 8 times on.
func TestPriceIsNotMonotone(t *testing.T) {
	documented := Rates{CPUSecond: 7_700_000, GiBSecond: 960_000}
	less, _ := RoundUp(anywhere, 52000, 200*gib)
	more, _ := RoundUp(anywhere, 53000, 200*gib)
	if price(t, documented, less) <= price(t, documented, more) {
		t.Errorf("%s is not dearer than %s", less, more)
	}
	cases := map[string]struct {
		rates Rates
		below int64
		want  bool
	}{
		"a vCPU costs 32/3 of a GiB":                    {rates: Rates{CPUSecond: 32, GiBSecond: 3}, below: 64000, want: true},
		"a little less":                                 {rates: Rates{CPUSecond: 3199, GiBSecond: 300}, below: 64000, want: false},
		"a vCPU costs 8 GiB, below 52 vCPU":             {rates: Rates{CPUSecond: 8, GiBSecond: 1}, below: 51000, want: true},
		"a little less, below 52 vCPU":                  {rates: Rates{CPUSecond: 799, GiBSecond: 100}, below: 51000, want: false},
		"documented rates in USD, below 52 vCPU":        {rates: documented, below: 51000, want: true},
		"documented sample in CNY: 7.99, below 52 vCPU": {rates: Rates{CPUSecond: 49_000_000, GiBSecond: 6_130_000}, below: 51000, want: false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := priceIsMonotone(t, tc.rates, tc.below); got != tc.want {
				t.Errorf("monotone: %v, want %v", got, tc.want)
			}
		})
	}
}

func priceIsMonotone(t *testing.T, rates Rates, below int64) bool {
	for _, region := range []string{anywhere, "cn-hangzhou"} {
		for _, less := range steps(region) {
			for _, more := range steps(region) {
				if more.MilliCPU < less.MilliCPU || more.Memory < less.Memory {
					continue
				}
				small, _ := RoundUp(region, less.MilliCPU, less.Memory)
				large, _ := RoundUp(region, more.MilliCPU, more.Memory)
				if large.MilliCPU <= below && price(t, rates, small) > price(t, rates, large) {
					return false
				}
			}
		}
	}
	return true
}

// steps are all requests that differ for RoundUp: every number of vCPUs that ECI sells with every amount of memory.
func steps(region string) []Spec {
	specs := everywhere
	if hasMore(region) {
		specs = inSomeRegions
	}
	rows, columns := map[int64]bool{}, map[int64]bool{}
	for _, spec := range specs {
		rows[spec.MilliCPU], columns[spec.Memory] = true, true
	}
	var all []Spec
	for milliCPU := range rows {
		for memory := range columns {
			all = append(all, Spec{MilliCPU: milliCPU, Memory: memory})
		}
	}
	return all
}

func price(t *testing.T, rates Rates, spec Spec) Pico {
	t.Helper()
	hourly, ok := rates.PerHour(spec)
	if !ok {
		t.Fatalf("%s has no price", spec)
	}
	return hourly
}
