package eci

import (
	"context"
	"regexp"
)

// accountID is what the ID of an account looks like. Anything else would be published in a status, and make an account
// of its own.
var accountID = regexp.MustCompile(`^[0-9]{1,32}$`)

// AccountID calls GetCallerIdentity.
func (c *client) AccountID(ctx context.Context) (string, error) {
	r := request{c.sts, "GetCallerIdentity", nil}
	var answer struct {
		AccountID string `json:"AccountId"`
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return "", err
	}
	if !accountID.MatchString(answer.AccountID) {
		return "", incomplete(r.action, "AccountId")
	}
	return answer.AccountID, nil
}
