package controllers

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestPoolSharesWhatIsEqual(t *testing.T) {
	p := newPool[string](func(value string) string { return value })
	isShared := func(a, b map[string]string) bool {
		return reflect.ValueOf(p.one(a)).Pointer() == reflect.ValueOf(p.one(b)).Pointer()
	}
	cases := map[string]struct {
		a, b map[string]string
		want bool
	}{
		"equal":           {a: map[string]string{"a": "1", "b": "2"}, b: map[string]string{"b": "2", "a": "1"}, want: true},
		"another value":   {a: map[string]string{"a": "1"}, b: map[string]string{"a": "2"}},
		"one more":        {a: map[string]string{"a": "1"}, b: map[string]string{"a": "1", "b": ""}},
		"one like two":    {a: map[string]string{"a": "11:b1:2"}, b: map[string]string{"a": "1", "b": "2"}},
		"key and value":   {a: map[string]string{"ab": "c"}, b: map[string]string{"a": "bc"}},
		"too long":        {a: map[string]string{"a": strings.Repeat("x", longestPooled)}, b: map[string]string{"a": strings.Repeat("x", longestPooled)}},
		"none and nobody": {a: nil, b: map[string]string{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := isShared(tc.a, tc.b); got != tc.want {
				t.Errorf("shared = %v, want %v", got, tc.want)
			}
			if got := p.one(tc.b); !reflect.DeepEqual(got, tc.b) {
				t.Errorf("%v became %v", tc.b, got)
			}
		})
	}
}

func TestPoolIsBounded(t *testing.T) {
	p := newPool[string](strconv.Itoa)
	for i := range 2*mostPooled + 1 {
		if got := p.one(map[string]int{"a": i}); got["a"] != i {
			t.Fatalf("%d became %v", i, got)
		}
	}
	if len(p.known) > mostPooled {
		t.Errorf("%d maps are known", len(p.known))
	}
}
