package ecisim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	signatureAlgorithm = "ACS3-HMAC-SHA256"
	// freshness is how far the date of a request may be from the server's: 15 minutes, as Alibaba Cloud documents for InvalidTimeStamp.Expired.
	freshness = 15 * time.Minute
	maxBody   = 1 << 20
	// tokenHeader carries the security token of a temporary access key.
	tokenHeader = "x-acs-security-token"
)

var authorizationHeader = regexp.MustCompile(`^ACS3-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$`)

// authenticate checks the signature as Alibaba Cloud's "V3 request body and signature" page describes it. It returns
// the access key ID of the caller.
func (s *Server) authenticate(state *State, r *http.Request) (string, *apiError) {
	parts := authorizationHeader.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		return "", &apiError{http.StatusBadRequest, "IncompleteSignature", "The request signature does not conform to Aliyun standards."}
	}
	accessKeyID, signedHeaders, signature := parts[1], strings.Split(parts[2], ";"), parts[3]
	secret, ok := state.AccessKeys[accessKeyID]
	if !ok {
		return "", &apiError{http.StatusNotFound, "InvalidAccessKeyId.NotFound", "Specified access key is not found."}
	}
	now := s.now().Add(duration(state.ClockSkew))
	if err := s.checkFreshness(r, now); err != nil {
		return "", err
	}
	mismatch := &apiError{http.StatusBadRequest, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation."}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return "", &apiError{http.StatusBadRequest, "InvalidBody", "The request body cannot be read."}
	}
	digest := sha256.Sum256(body)
	if r.Header.Get("x-acs-content-sha256") != hex.EncodeToString(digest[:]) {
		return "", mismatch
	}
	mandatory := []string{"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}
	if r.Header.Get(tokenHeader) != "" {
		mandatory = append(mandatory, tokenHeader)
	}
	for _, must := range mandatory {
		if !slices.Contains(signedHeaders, must) {
			return "", mismatch
		}
	}
	if !hmac.Equal([]byte(signature), []byte(sign(secret, canonicalRequest(r, signedHeaders)))) {
		return "", mismatch
	}
	return accessKeyID, checkToken(state, accessKeyID, r.Header.Get(tokenHeader), now)
}

// checkToken refuses a temporary access key without its security token, or after its time, and a token that belongs to no key.
func checkToken(state *State, accessKeyID, token string, now time.Time) *apiError {
	issued, temporary := state.SecurityTokens[accessKeyID]
	if token != issued.Token {
		return &apiError{http.StatusBadRequest, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey."}
	}
	if expires, _ := time.Parse(time.RFC3339, issued.Expires); temporary && !now.Before(expires) {
		return &apiError{http.StatusBadRequest, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."}
	}
	return nil
}

// checkFreshness refuses requests from another time and nonces that came before.
func (s *Server) checkFreshness(r *http.Request, now time.Time) *apiError {
	date, err := time.Parse(time.RFC3339, r.Header.Get("x-acs-date"))
	if err != nil || date.Before(now.Add(-freshness)) || date.After(now.Add(freshness)) {
		return &apiError{http.StatusBadRequest, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.nonces.fresh(r.Header.Get("x-acs-signature-nonce"), s.now()) {
		return &apiError{http.StatusBadRequest, "SignatureNonceUsed", "Specified signature nonce was used already."}
	}
	return nil
}

// nonces remembers the signature nonces for at least as long as a request can be sent again. It forgets half of them at a time, because looking for
// the old ones with every request would make each as slow as there are many.
type nonces struct {
	young, old map[string]struct{}
	turned     time.Time
}

// fresh tells whether a nonce comes for the first time, and remembers it.
func (n *nonces) fresh(nonce string, now time.Time) bool {
	if n.young == nil || now.Sub(n.turned) > 2*freshness {
		n.young, n.old, n.turned = map[string]struct{}{}, n.young, now
	}
	_, young := n.young[nonce]
	_, old := n.old[nonce]
	n.young[nonce] = struct{}{}
	return nonce != "" && !young && !old
}

// canonicalRequest is the text whose hash is signed.
func canonicalRequest(r *http.Request, signedHeaders []string) string {
	var headers strings.Builder
	for _, name := range signedHeaders {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.TrimSpace(value))
	}
	return strings.Join([]string{
		r.Method, "/", canonicalQuery(r.URL.Query()), headers.String(), strings.Join(signedHeaders, ";"), r.Header.Get("x-acs-content-sha256"),
	}, "\n")
}

// canonicalQuery is the query sorted by key, escaped by RFC 3986.
func canonicalQuery(query url.Values) string {
	escaped := query.Encode()
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(escaped)
}

func sign(secret, canonical string) string {
	hashed := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signatureAlgorithm + "\n" + hex.EncodeToString(hashed[:])))
	return hex.EncodeToString(mac.Sum(nil))
}
