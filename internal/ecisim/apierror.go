package ecisim

import (
	"net/http"
	"strings"
)

// The refusals of CreateContainerGroup that the ledger counts. ECI's own code for a spent quota is not in public documentation.
const (
	codeQuota     = "QuotaExceeded"
	codeNoStock   = "OperationDenied.NoStock"
	codeNotOnSale = "Zone.NotOnSale"
	codeNoIP      = "InvalidVSwitchId.IpNotEnough"
)

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
	case code == codeNoStock, code == codeNotOnSale:
		return &apiError{http.StatusForbidden, code, "The requested resource is sold out in the specified zone; try other types of resources or other regions and zones."}
	default:
		return &apiError{http.StatusBadRequest, code, "The request was refused by the script of the simulator."}
	}
}

// missing is the answer to a request without a mandatory parameter.
func missing(parameter string) *apiError {
	return &apiError{http.StatusBadRequest, "MissingParameter", "The input parameter " + parameter + " that is mandatory for processing this request is not supplied."}
}

// invalid is the answer to a parameter whose value is not allowed.
func invalid(parameter, message string) *apiError {
	return &apiError{http.StatusBadRequest, "InvalidParameter." + parameter, parameter + " " + message}
}
