package v1alpha1

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestAllowedCapabilities checks that an empty list is one, also after it was written and read again: without it the
// API server would fill in the default.
func TestAllowedCapabilities(t *testing.T) {
	cases := map[string]struct {
		list, want []string
	}{
		"a CRD without the field": {want: []string{"NET_ADMIN", "NET_RAW"}},
		"an empty list":           {list: []string{}},
		"a list":                  {list: []string{"IPC_LOCK"}, want: []string{"IPC_LOCK"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			written, err := json.Marshal(&VirtualNode{Spec: VirtualNodeSpec{AllowedCapabilities: tc.list}})
			if err != nil {
				t.Fatal(err)
			}
			read := &VirtualNode{}
			if err := json.Unmarshal(written, read); err != nil {
				t.Fatal(err)
			}
			if got := read.DeepCopy().AllowedCapabilities(); !slices.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
