package ecisim

import "regexp"

// defaultAccountID is the account of the access keys that State.AccountIDs does not name.
const defaultAccountID = "1000000000000001"

// accountIDs are what IDs of accounts look like.
var accountIDs = regexp.MustCompile(`^[0-9]{1,32}$`)

// getCallerIdentity answers GetCallerIdentity of STS: whose access key the request was signed with.
func getCallerIdentity(c *call) (map[string]any, *apiError) {
	account := c.state.accountOf(c.accessKeyID)
	answer := map[string]any{"AccountId": account, "PrincipalId": c.accessKeyID}
	arn := "acs:ram::" + account
	if _, temporary := c.state.SecurityTokens[c.accessKeyID]; temporary {
		answer["IdentityType"], answer["RoleId"] = "AssumedRoleUser", c.accessKeyID
		answer["Arn"] = arn + ":assumed-role/simulator/" + c.accessKeyID
	} else {
		answer["IdentityType"], answer["UserId"] = "RAMUser", c.accessKeyID
		answer["Arn"] = arn + ":user/" + c.accessKeyID
	}
	return answer, nil
}

// accountOf returns the ID of the account that an access key belongs to.
func (s *State) accountOf(accessKeyID string) string {
	if id, named := s.AccountIDs[accessKeyID]; named {
		return id
	}
	return defaultAccountID
}
