package placement

import (
	"fmt"
	"strings"
	"time"
)

// waitsSince and waitedSince begin the words of a clock that runs and of one that has run out.
const (
	waitsSince  = "waits since"
	waitedSince = "waited since"
)

// clockWords tells how long a pod waits in a unit. The moment is written in whole seconds and does not move, so that the message stays the same while
// the pod waits (R12).
func clockWords(words string, since time.Time, timeout time.Duration) string {
	return fmt.Sprintf("%s %s for at most %s", words, since.UTC().Format(time.RFC3339), timeout)
}

// ReadClock returns when a pod first failed in a unit, as the message of its PodScheduled condition says (R6). That message is the only place where
// the clock survives a restart of the scheduler, and it costs no API call of its own (R9). It returns false when the message does not say.
func (u *Unit) ReadClock(message string) (time.Time, bool) {
	_, words, found := strings.Cut(message, "("+u.Title+"): ")
	if !found {
		return time.Time{}, false
	}
	words, _, _ = strings.Cut(words, "; unit ")
	for _, begin := range []string{waitsSince, waitedSince} {
		if _, rest, ok := strings.Cut(words, begin+" "); ok {
			moment, _, _ := strings.Cut(rest, " ")
			since, err := time.Parse(time.RFC3339, moment)
			return since, err == nil
		}
	}
	return time.Time{}, false
}
