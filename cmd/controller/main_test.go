package main

import "testing"

func TestProfilesAreForThisMachineAlone(t *testing.T) {
	for address, want := range map[string]bool{"0": true, "127.0.0.1:8082": true, "[::1]:8082": true, ":8082": false, "0.0.0.0:8082": false, "10.0.0.1:80": false, "no": false, "": false} {
		if got := isLoopbackOrOff(address); got != want {
			t.Errorf("%q: %v, want %v", address, got, want)
		}
	}
}
