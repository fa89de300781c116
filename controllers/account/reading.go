// Package account asks ECI, with each set of credentials in each region, what it would accept: the quota, the container
// groups that use it, the free addresses of vSwitches, the stock and the prices; and STS to which account the
// credentials belong. It asks in the background, by what the VirtualNodes need, and keeps the newest answers for the
// controller of VirtualNodes.
//
//   - controller.go: when ECI is asked.
//   - reading.go: the answers.
//   - ask.go: the calls, and their order.
//   - groups.go: which container groups exist.
//   - credentials.go: from a VirtualNode to a client and its account.
//   - inuse.go: which specifications pods ask for.
package account

import (
	"slices"
	"sync"
	"time"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// Reading is what ECI said to one set of credentials in a region. Immutable.
type Reading struct {
	// AccountID is the account that the credentials belong to; empty while that is not known. Nothing was read then.
	AccountID string
	// At is when the calls began from whose answers the capacity follows; zero when they never all succeeded.
	At time.Time
	// Failure is why the last attempt failed; nil when it succeeded. The rest is then that of the last success.
	Failure error
	// Zones and VSwitches were asked for on behalf of these.
	asked question
	// Usage is the quota and its use.
	Usage eci.Usage
	// Groups are the container groups that cost money before Usage was asked for and still did afterwards: they are certain to be in it.
	Groups Groups
	// Zones are those in which ECI is sold.
	Zones []string
	// VSwitches are those of the VirtualNodes that exist, by ID.
	VSwitches map[string]eci.VSwitch
	// Stock is what ECI has of the specifications that pods ask for, by the specification's name and by zone, each as asked at a time of its own.
	Stock map[string]Stock
	// Prices are the prices by zone.
	Prices map[string]Prices
}

// NewReading returns a reading that answers what one VirtualNode needs to know.
func NewReading(vn *v1alpha1.VirtualNode, reading Reading) *Reading {
	reading.asked = newQuestion([]*v1alpha1.VirtualNode{vn}, nil)
	return &reading
}

// Covers tells whether the reading answers what the VirtualNode needs to know. One that is new, or was edited, is asked for at once.
func (r *Reading) Covers(vn *v1alpha1.VirtualNode) bool {
	for _, id := range vn.Spec.VSwitches {
		if !slices.Contains(r.asked.vSwitches, id) {
			return false
		}
	}
	return slices.Contains(r.asked.zones, vn.Spec.Zone)
}

// Stock is ECI's answer about one specification.
type Stock struct {
	At    time.Time
	Zones map[string]eci.Stock
}

// Prices are what ECI asks in a zone.
type Prices struct {
	At       time.Time
	Currency string
	Rates    ecispec.Rates
}

// Readings are the newest readings by VirtualNode.CredentialsKey. The zero value is empty. It is safe for concurrent
// use.
type Readings struct {
	mu    sync.Mutex
	byKey map[string]*Reading
}

// Get returns the newest reading with the credentials, or nil.
func (r *Readings) Get(key string) *Reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byKey[key]
}

// set replaces the reading with the credentials; nil removes it.
func (r *Readings) set(key string, reading *Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byKey == nil {
		r.byKey = map[string]*Reading{}
	}
	if delete(r.byKey, key); reading != nil {
		r.byKey[key] = reading
	}
}
