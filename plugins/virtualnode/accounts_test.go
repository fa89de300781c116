package virtualnode

import (
	"testing"
	"time"

	fwk "k8s.io/kube-scheduler/framework"
)

const noQuota = "cn-beijing-j: the vCPU quota of cn-beijing leaves no room for 2-4Gi"

// TestFilter_OneAccountByTwoSecrets checks that two VirtualNodes with different credentials share the quota of the
// account that both belong to.
func TestFilter_OneAccountByTwoSecrets(t *testing.T) {
	for name, tc := range map[string]struct {
		accountOfK string
		want       string
	}{
		"one account": {accountOfK: "1", want: noQuota}, "two accounts": {accountOfK: "2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, zone(zoneJ, "100").Quota("4").AccountID("1"), zone(zoneK, "100").Quota("4").Secret("other").AccountID(tc.accountOfK))
			w.pods(billed("a").Node(nodeK), billed("b").Node(nodeK))
			if status := w.filter(w.begin(billed("p")), billed("p"), nodeJ); status.Message() != tc.want {
				t.Errorf("status %q, want %q", status.Message(), tc.want)
			}
		})
	}
}

// TestFilter_UnknownAccount checks that a node whose account is not known takes no pod, and that those on it count in
// every account of the region.
func TestFilter_UnknownAccount(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "100").Quota("4").AccountID("1"), zone(zoneK, "100").Quota("100").Secret("other").AccountID(""))
	w.pods(billed("a").Node(nodeK), billed("b").Node(nodeK))
	state := w.begin(billed("p"))
	if status := w.filter(state, billed("p"), nodeK); status.Message() != "cn-beijing-k: what ECI would accept is not known yet" {
		t.Errorf("the unknown account: %v", status)
	}
	if status := w.filter(state, billed("p"), nodeJ); status.Message() != noQuota {
		t.Errorf("the other account: %v", status)
	}
	w.handle.take()
	w.pl.PostFilter(t.Context(), state, billed("p").Obj(), nil)
	w.say(zone(zoneK, "100").Quota("100").Secret("other").AccountID("2"))
	for _, node := range []string{nodeJ, nodeK} {
		if status := w.filter(w.begin(billed("p")), billed("p"), node); !status.IsSuccess() {
			t.Errorf("%s, once the account is known: %v", node, status)
		}
	}
	w.handle.await(t, "p")
}

// TestFilter_AccountWithoutQuota checks that a node whose credentials have changed, so that its quota is not known,
// does not lift that of the account in which its pods count.
func TestFilter_AccountWithoutQuota(t *testing.T) {
	changed := zone(zoneK, "100").Secret("other").Fresh(time.Now().Add(time.Second))
	changed.Status.QuotaCPU = nil
	w := newWorld(t, zone(zoneJ, "100").Quota("4"), changed)
	w.pods(billed("a").Node(nodeK), billed("b").Node(nodeJ))
	if status := w.filter(w.begin(billed("p")), billed("p"), nodeJ); status.Code() != fwk.Unschedulable || status.Message() != noQuota {
		t.Errorf("status %v", status)
	}
}

// TestFilter_OneCatalogPerCycle checks that a cycle is decided by what the VirtualNodes said when it began: its nodes
// are not compared by two versions of the world.
func TestFilter_OneCatalogPerCycle(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "100").Quota("4").AccountID("1"))
	w.pods(billed("a").Node(nodeJ), billed("b").Node(nodeJ))
	state := w.begin(billed("p"))
	w.say(zone(zoneJ, "100").Quota("100").AccountID("1"))
	if status := w.filter(state, billed("p"), nodeJ); status.Message() != noQuota {
		t.Errorf("in the cycle that had begun: %v", status)
	}
	if status := w.filter(w.begin(billed("p")), billed("p"), nodeJ); !status.IsSuccess() {
		t.Errorf("in the next cycle: %v", status)
	}
}
