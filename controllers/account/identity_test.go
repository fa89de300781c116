package account

import (
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// secretOf returns a Secret with an access key of this ID.
func secretOf(name, keyID string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "spillway-system", Name: name}, Data: map[string][]byte{
		keyAccessKeyID: []byte(keyID), keyAccessKeySecret: []byte("secret"),
	}}
}

// replaceKey puts another access key into the Secret.
func (s *scene) replaceKey(keyID string) {
	s.Helper()
	if err := s.ctrl.client.Update(s.Context(), secretOf("eci-credentials", keyID)); err != nil {
		s.Fatal(err)
	}
}

// read reconciles the credentials of a VirtualNode and returns the reading.
func (s *scene) read(vn *v1alpha1.VirtualNode) *Reading {
	s.Helper()
	if _, err := s.ctrl.Reconcile(s.Context(), vn.CredentialsKey()); err != nil {
		s.Fatal(err)
	}
	return s.ctrl.Readings().Get(vn.CredentialsKey())
}

func TestIdentity_AskedOncePerCredentials(t *testing.T) {
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
	s.cloud.accounts = map[string]string{"second": "2"}
	asked := func(want bool, account string) {
		t.Helper()
		reading, calls := s.refresh(10 * time.Second)
		if got := slices.Contains(calls, "GetCallerIdentity"); got != want || reading.AccountID != account {
			t.Errorf("asked %v, account %q; want %v, %q", got, reading.AccountID, want, account)
		}
	}
	asked(true, wrappers.AccountID)
	asked(false, wrappers.AccountID)
	s.replaceKey("renewed")
	asked(true, wrappers.AccountID)
	s.replaceKey("second")
	asked(true, "2")
	asked(false, "2")
}

// TestIdentity_Unknown checks that nothing is read for credentials of which it is not known whose they are, and that
// what was read before stays for a while.
func TestIdentity_Unknown(t *testing.T) {
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
	down := &eci.Error{Class: eci.ClassNetwork, Message: "no answer"}
	s.cloud.fail("GetCallerIdentity", down)
	reading, calls := s.refresh(0)
	if !errors.Is(reading.Failure, down) || reading.AccountID != "" || !reading.At.IsZero() {
		t.Errorf("reading of account %q at %v: %v", reading.AccountID, reading.At, reading.Failure)
	}
	s.wantCalls(calls, "GetCallerIdentity")
	s.cloud.fail("", nil)
	before, _ := s.refresh(10 * time.Second)
	s.cloud.fail("GetCallerIdentity", down)
	if reading, _ := s.refresh(10 * time.Second); reading.Failure != nil {
		t.Errorf("it is asked again: %v", reading.Failure)
	}
	s.replaceKey("renewed")
	reading, _ = s.refresh(10 * time.Second)
	if !errors.Is(reading.Failure, down) || reading.Usage != before.Usage || reading.AccountID != wrappers.AccountID {
		t.Errorf("with other credentials: %+v", reading)
	}
}

// TestIdentity_AnotherAccount checks that nothing of an account is taken for another's when a Secret gets the key of
// that.
func TestIdentity_AnotherAccount(t *testing.T) {
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
	s.cloud.accounts = map[string]string{"second": "2"}
	s.cloud.groups = []eci.GroupStatus{{ID: "a", Namespace: "default", Name: "a", Status: "Running"}}
	if reading, _ := s.refresh(0); len(reading.Groups) != 1 {
		t.Fatalf("groups %v", reading.Groups)
	}
	s.cloud.groups = nil
	s.replaceKey("second")
	if reading, _ := s.refresh(10 * time.Second); reading.Failure != nil || len(reading.Groups) != 0 || reading.AccountID != "2" {
		t.Errorf("account %s has the groups %v: %v", reading.AccountID, reading.Groups, reading.Failure)
	}
	s.replaceKey("id")
	s.cloud.fail("ListUsage", &eci.Error{Class: eci.ClassServer})
	if reading, _ := s.refresh(10 * time.Second); reading.Failure == nil || !reading.At.IsZero() || reading.AccountID != wrappers.AccountID {
		t.Errorf("account %s has the reading of another at %v: %v", reading.AccountID, reading.At, reading.Failure)
	}
}

// TestIdentity_LimitsOfTheAccount checks that the clients of one account in a region share their limits, and that
// others do not.
func TestIdentity_LimitsOfTheAccount(t *testing.T) {
	zones := []*v1alpha1.VirtualNode{
		wrappers.MakeZone("cn-beijing-j").Obj(), wrappers.MakeZone("cn-beijing-k").Secret("same").Obj(), wrappers.MakeZone("cn-beijing-l").Secret("other").Obj(),
	}
	objects := []client.Object{secretOf("same", "same"), secretOf("other", "other")}
	for _, vn := range zones {
		objects = append(objects, vn)
	}
	s := newScene(t, objects...)
	s.cloud.accounts = map[string]string{"other": "2"}
	for _, vn := range zones {
		s.read(vn)
	}
	if got := s.cloud.limits; len(got) != 3 || got[0] != got[1] || got[0] == got[2] {
		t.Errorf("limits %v: want one for the first two clients, and another one for the third", got)
	}
	s.cloud.accounts["id"] = "3"
	s.replaceKey("renewed")
	s.read(zones[0])
	s.replaceKey("id")
	s.read(zones[0])
	if got := s.cloud.limits; len(got) != 5 || got[3] != got[0] || got[4] == got[0] || got[4] == got[2] {
		t.Errorf("limits %v: want those of the account for another key of it, and others for another account", got)
	}
}

// TestRoles_EachForItsOwn checks that each role is used for its own VirtualNode, so that one that does not work borrows
// no other's capacity.
func TestRoles_EachForItsOwn(t *testing.T) {
	zone := func(name, role string) *v1alpha1.VirtualNode {
		z := wrappers.MakeZone(name)
		z.Spec.Credentials = v1alpha1.Credentials{RRSA: &v1alpha1.RRSA{RoleARN: "acs:ram::1:role/" + role, OIDCProviderARN: "acs:ram::1:oidc-provider/p"}}
		return z.Obj()
	}
	works, broken := zone("cn-beijing-j", "works"), zone("cn-beijing-k", "broken")
	s := newScene(t, works, broken)
	s.ctrl.options.TokenFile = "/token"
	if reading := s.read(works); reading.Failure != nil {
		t.Fatal(reading.Failure)
	}
	s.cloud.fail("", &eci.Error{Class: eci.ClassCredentials, Message: "AssumeRoleWithOIDC was refused"})
	if reading := s.read(broken); reading.Failure == nil || !reading.At.IsZero() {
		t.Errorf("a role that does not work has a reading: %+v", reading)
	}
	if reading := s.ctrl.Readings().Get(works.CredentialsKey()); reading.Failure != nil {
		t.Errorf("the other role: %v", reading.Failure)
	}
	used := roles(s.configs)
	if len(used) != 2 || used[0].RoleARN != "acs:ram::1:role/works" || used[1].RoleARN != "acs:ram::1:role/broken" {
		t.Errorf("roles %+v", used)
	}
}
