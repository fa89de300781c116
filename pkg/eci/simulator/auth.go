package simulator

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
	// clockSkew is how far the date of a request may be from the server's: 15 minutes, as Alibaba Cloud documents for InvalidTimeStamp.Expired.
	clockSkew = 15 * time.Minute
	maxBody   = 1 << 20
)

var authorizationHeader = regexp.MustCompile(`^ACS3-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$`)

// apiError is an error of the OpenAPI, with the documented code and HTTP status.
type apiError struct {
	Status  int
	Code    string
	Message string
}

// scripted returns the error of a code that the state asks for.
func scripted(code string) *apiError {
	switch {
	case strings.HasPrefix(code, "Throttling"):
		return &apiError{http.StatusTooManyRequests, code, "Request was denied due to user flow control."}
	case code == "ServiceUnavailable":
		return &apiError{http.StatusServiceUnavailable, code, "The request has failed due to a temporary failure of the server."}
	case code == "InternalError":
		return &apiError{http.StatusInternalServerError, code, "The request processing has failed due to some unknown error."}
	case strings.HasPrefix(code, "Forbidden"):
		return &apiError{http.StatusForbidden, code, "User not authorized to operate on the specified resource."}
	default:
		return &apiError{http.StatusBadRequest, code, "The request was refused by the script of the simulator."}
	}
}

// authenticate checks the signature as Alibaba Cloud's "V3 request body and signature" page describes it.
func (s *Server) authenticate(state *State, r *http.Request) *apiError {
	parts := authorizationHeader.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		return &apiError{http.StatusBadRequest, "IncompleteSignature", "The request signature does not conform to Aliyun standards."}
	}
	accessKeyID, signedHeaders, signature := parts[1], strings.Split(parts[2], ";"), parts[3]
	secret, ok := state.AccessKeys[accessKeyID]
	if !ok {
		return &apiError{http.StatusNotFound, "InvalidAccessKeyId.NotFound", "Specified access key is not found."}
	}
	if err := s.checkFreshness(r); err != nil {
		return err
	}
	mismatch := &apiError{http.StatusBadRequest, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation."}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return &apiError{http.StatusBadRequest, "InvalidBody", "The request body cannot be read."}
	}
	digest := sha256.Sum256(body)
	if r.Header.Get("x-acs-content-sha256") != hex.EncodeToString(digest[:]) {
		return mismatch
	}
	for _, must := range []string{"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"} {
		if !slices.Contains(signedHeaders, must) {
			return mismatch
		}
	}
	if !hmac.Equal([]byte(signature), []byte(sign(secret, canonicalRequest(r, signedHeaders)))) {
		return mismatch
	}
	return nil
}

// checkFreshness refuses requests from another time and nonces that came before.
func (s *Server) checkFreshness(r *http.Request) *apiError {
	now := s.now()
	date, err := time.Parse(time.RFC3339, r.Header.Get("x-acs-date"))
	if err != nil || date.Before(now.Add(-clockSkew)) || date.After(now.Add(clockSkew)) {
		return &apiError{http.StatusBadRequest, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."}
	}
	nonce := r.Header.Get("x-acs-signature-nonce")
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, seen := range s.nonces {
		if now.Sub(seen) > 2*clockSkew {
			delete(s.nonces, old)
		}
	}
	if _, used := s.nonces[nonce]; used || nonce == "" {
		return &apiError{http.StatusBadRequest, "SignatureNonceUsed", "Specified signature nonce was used already."}
	}
	s.nonces[nonce] = now
	return nil
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
