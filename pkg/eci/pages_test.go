package eci

import (
	"errors"
	"testing"
)

// TestTooManyPages asks no server: 500 calls would wait for their turn.
func TestTooManyPages(t *testing.T) {
	pages := 0
	err := request{action: "DescribeContainerGroups", query: map[string]string{}}.pages(func(request) (string, error) {
		pages++
		return "more", nil
	})
	var failed *Error
	if !errors.As(err, &failed) || failed.Class != ClassServer || pages != maxPages {
		t.Errorf("error %v after %d pages, want one of class %s after %d", err, pages, ClassServer, maxPages)
	}
}
