package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

const (
	// accountPrefix comes before the names of ServiceAccounts in those of users.
	accountPrefix = "system:serviceaccount:" + namespace + ":"
	// longestLine is more than any line of the log has.
	longestLine = 1 << 20
)

// grantedBy finds in the reason of a decision the role that allowed a request.
var grantedBy = regexp.MustCompile(` of (ClusterRole|Role) "([^"]+)" to `)

// auditLog is the API server's log of the requests of the two ServiceAccounts.
type auditLog struct {
	path string
	// skipped are the parts of the file in which refusals are what a test wants.
	skipped [][2]int64
}

// asked is a request of a ServiceAccount.
type asked struct {
	account, verb, group, resource, namespace, name, uri string
	// role is the role that allowed it, and "" for what was refused.
	role string
	// refused is true when no role allows it. What is forbidden for another reason, such as a new object in a namespace that is going, was allowed by a role.
	refused bool
}

func (a asked) String() string {
	return fmt.Sprintf("%s: %s %s", a.account, a.verb, a.uri)
}

// size returns the length of the log.
func (l *auditLog) size() int64 {
	GinkgoHelper()
	info, err := os.Stat(l.path)
	Expect(err).NotTo(HaveOccurred())
	return info.Size()
}

// expectRefusals runs what is meant to ask for more than it may.
func (l *auditLog) expectRefusals(run func()) {
	GinkgoHelper()
	begin := l.size()
	run()
	l.skipped = append(l.skipped, [2]int64{begin, l.size()})
}

// requests returns what was asked, without the parts that are skipped.
func (l *auditLog) requests() []asked {
	GinkgoHelper()
	file, err := os.Open(l.path)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = file.Close() }()
	var all []asked
	at := int64(0)
	lines := bufio.NewReaderSize(file, longestLine)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return all // A line without its end is being written.
		}
		Expect(err).NotTo(HaveOccurred())
		if !l.skips(at) {
			event := &auditv1.Event{}
			Expect(json.Unmarshal(line, event)).To(Succeed())
			all = append(all, newAsked(event))
		}
		at += int64(len(line))
	}
}

func (l *auditLog) skips(at int64) bool {
	for _, part := range l.skipped {
		if at >= part[0] && at < part[1] {
			return true
		}
	}
	return false
}

// refused returns the requests that were refused, each once.
func (l *auditLog) refused() []string {
	GinkgoHelper()
	seen := map[string]bool{}
	var all []string
	for _, a := range l.requests() {
		if a.refused && !seen[a.String()] {
			seen[a.String()] = true
			all = append(all, a.String())
		}
	}
	return all
}

func newAsked(event *auditv1.Event) asked {
	a := asked{account: strings.TrimPrefix(event.User.Username, accountPrefix), verb: event.Verb, uri: event.RequestURI}
	if ref := event.ObjectRef; ref != nil {
		a.group, a.resource, a.namespace, a.name = ref.APIGroup, ref.Resource, ref.Namespace, ref.Name
		if ref.Subresource != "" {
			a.resource += "/" + ref.Subresource
		}
	}
	a.refused = event.Annotations["authorization.k8s.io/decision"] == "forbid"
	if match := grantedBy.FindStringSubmatch(event.Annotations["authorization.k8s.io/reason"]); match != nil {
		a.role = match[2]
	}
	return a
}
