package virtualnode

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestRefresh_AnotherAccount checks when what was read before says nothing of the account of now.
func TestRefresh_AnotherAccount(t *testing.T) {
	const secret = "cn-beijing Secret eci-credentials"
	role := v1alpha1.Credentials{RRSA: &v1alpha1.RRSA{RoleARN: "acs:ram::1:role/r", OIDCProviderARN: "acs:ram::1:oidc-provider/p"}}
	type said struct {
		Account, AccountID string
		Open               bool
	}
	for name, tc := range map[string]struct {
		zone    *wrappers.Zone
		account string
		reading account.Reading
		want    said
	}{
		"the same": {
			zone: wrappers.MakeZone(zoneJ).AccountID("1"), account: secret, reading: account.Reading{AccountID: "1"}, want: said{secret, "1", true},
		},
		"nothing read yet": {zone: wrappers.MakeZone(zoneJ).AccountID("1"), account: secret, want: said{secret, "1", true}},
		"a status of an earlier version": {
			zone: wrappers.MakeZone(zoneJ).AccountID(""), account: secret, reading: account.Reading{AccountID: "1"}, want: said{secret, "", true},
		},
		"other credentials, not read yet": {
			zone: wrappers.MakeZone(zoneJ).AccountID("1").Secret("other"), account: secret, want: said{"cn-beijing Secret other", "1", false},
		},
		"other credentials of the account": {
			zone: wrappers.MakeZone(zoneJ).AccountID("1").Secret("other"), account: secret, reading: account.Reading{AccountID: "1"},
			want: said{"cn-beijing Secret other", "1", false},
		},
		"other credentials of another account": {
			zone: wrappers.MakeZone(zoneJ).AccountID("1").Secret("other"), account: secret, reading: account.Reading{AccountID: "2"},
			want: said{"cn-beijing Secret other", "2", false},
		},
		"another role of the account": {
			zone: func() *wrappers.Zone {
				z := wrappers.MakeZone(zoneJ).AccountID("1")
				z.Spec.Credentials = role
				return z
			}(),
			account: "cn-beijing role acs:ram::1:role/earlier by acs:ram::1:oidc-provider/p",
			want:    said{"cn-beijing role acs:ram::1:role/r by acs:ram::1:oidc-provider/p", "1", false},
		},
		"the key of another account in the Secret": {
			zone: wrappers.MakeZone(zoneJ).AccountID("1"), account: secret, reading: account.Reading{AccountID: "2"}, want: said{secret, "2", false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, vn := newScene(t), tc.zone.Quota("100").Fresh(in(0)).Obj()
			vn.Status.Account = tc.account
			s.ctrl.noteAccount(vn, &tc.reading)
			open := !s.ctrl.stale(vn) && vn.Status.QuotaCPU != nil
			if diff := cmp.Diff(tc.want, said{vn.Status.Account, vn.Status.AccountID, open}); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSiblings_OfTheRegion checks that the others of the region hear when the account of a VirtualNode turns out.
func TestSiblings_OfTheRegion(t *testing.T) {
	elsewhere := wrappers.MakeZone("cn-hangzhou-j")
	elsewhere.Spec.Region = "cn-hangzhou"
	unknown := wrappers.MakeZone("cn-beijing-k").Secret("other").AccountID("").Obj()
	s := newScene(t, wrappers.MakeZone(zoneJ).Obj(), unknown, elsewhere.Obj())
	known := unknown.DeepCopy()
	known.Status.AccountID = "2"
	if !accountChanges.Update(event.UpdateEvent{ObjectOld: unknown, ObjectNew: known}) {
		t.Error("that the account is known is not let through")
	}
	refreshed := known.DeepCopy()
	refreshed.Status.LastRefreshTime = &metav1.Time{Time: in(0)}
	if accountChanges.Update(event.UpdateEvent{ObjectOld: known, ObjectNew: refreshed}) {
		t.Error("a refresh is let through")
	}
	requests := s.ctrl.bySibling(t.Context(), known)
	if len(requests) != 1 || requests[0].Name != zoneJ {
		t.Errorf("requests %v", requests)
	}
}
