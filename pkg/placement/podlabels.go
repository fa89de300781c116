package placement

import (
	"maps"
	"slices"
	"strings"
)

// ReplacedLabels returns the note for the Binding of a pod that is to get these labels: those that it carries with
// other values, as "key=value,key=value". Where the API server does not copy the labels of a Binding only this tells a
// value that is still to be replaced from one that somebody has set since.
func ReplacedLabels(podLabels, written map[string]string) string {
	var replaced []string
	for _, key := range slices.Sorted(maps.Keys(written)) {
		if before, carried := podLabels[key]; carried {
			replaced = append(replaced, key+"="+before)
		}
	}
	return strings.Join(replaced, ",")
}

// DueLabels returns the labels of the unit that a pod which was placed in it has still to get, and the note to keep
// with them. A label is due once: when the pod lacks it, or carries the value that its placement was to replace. Every
// key that the pod has then is settled: whoever changes or removes it later has the say. notes are texts of
// ReplacedLabels and DueLabels: a key alone is settled.
func (u *Unit) DueLabels(podLabels map[string]string, notes ...string) (due map[string]string, note string) {
	replaced, settled := readNotes(notes)
	var keys []string
	look := func(l label, replaces bool) {
		value, carried := podLabels[l.key]
		before, noted := replaced[l.key]
		if !settled[l.key] && (!carried || replaces && noted && value == before && value != l.value) {
			if due == nil {
				due = map[string]string{}
			}
			due[l.key] = l.value
		}
		keys = append(keys, l.key)
	}
	for _, l := range u.podLabels {
		look(l, true)
	}
	for _, l := range u.defaultLabels {
		look(l, false)
	}
	slices.Sort(keys)
	return due, strings.Join(keys, ",")
}

// readNotes returns the values that were to be replaced, and the keys that are settled.
func readNotes(notes []string) (replaced map[string]string, settled map[string]bool) {
	replaced, settled = map[string]string{}, map[string]bool{}
	for _, note := range notes {
		for word := range strings.SplitSeq(note, ",") {
			if key, value, found := strings.Cut(word, "="); found {
				replaced[key] = value
			} else {
				settled[key] = true
			}
		}
	}
	return replaced, settled
}
