package wrappers

import (
	"os"
	"strconv"
)

// defaultSeeds is how many lives a simulation lives in the gate.
const defaultSeeds = 200

// Seeds returns how many seeds a simulation tries: SIMULATION_SEEDS, or 200.
func Seeds() int {
	if n, err := strconv.Atoi(os.Getenv("SIMULATION_SEEDS")); err == nil {
		return n
	}
	return defaultSeeds
}
