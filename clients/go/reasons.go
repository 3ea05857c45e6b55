package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// CertificateInvalidError's reasons by their names in crypto/x509, and in the lab's words.  By value: Go 1.15
// lacks the names of the last ones, which stand in the package's order.
var invalid = []struct{ name, reason string }{
	{"NotAuthorizedToSign", "not-a-ca"},
	{"Expired", "expired"},
	{"CANotAuthorizedForThisName", "name-constraints"},
	{"TooManyIntermediates", "path-length"},
	{"IncompatibleUsage", "wrong-usage"},
	{"NameMismatch", "unknown-ca"},
	{"NameConstraintsWithoutSANs", "name-constraints"},
	{"UnconstrainedName", "name-constraints"},
	{"TooManyConstraints", "name-constraints"},
	{"CANotAuthorizedForExtKeyUsage", "wrong-usage"},
	{"NoValidChains", "other"},
}

// What crypto/tls says of a certificate that crypto/x509 cannot parse; it has no type of its own.
const unparsed = "tls: failed to parse certificate from server: "

// verdict translates an error of Handshake: no reason where it is not crypto/x509 that said no.
func verdict(err error, now int64) (reason, code string) {
	var bad x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var constraint x509.ConstraintViolationError
	var critical x509.UnhandledCriticalExtension
	var weak x509.InsecureAlgorithmError
	switch {
	case errors.As(err, &bad):
		if int(bad.Reason) >= len(invalid) {
			return "other", fmt.Sprintf("x509.CertificateInvalidError/%d", bad.Reason)
		}
		known := invalid[bad.Reason]
		reason = known.reason
		// Go has one reason for both ends of validity; the certificate that it names tells which.
		if bad.Reason == x509.Expired && bad.Cert != nil && time.Unix(now, 0).Before(bad.Cert.NotBefore) {
			reason = "not-yet-valid"
		}
		return reason, "x509.CertificateInvalidError/" + known.name
	case errors.As(err, &unknown):
		return "unknown-ca", "x509.UnknownAuthorityError"
	case errors.As(err, &host):
		return "wrong-host", "x509.HostnameError"
	case errors.As(err, &constraint):
		return "wrong-usage", "x509.ConstraintViolationError"
	case errors.As(err, &critical):
		return "malformed", "x509.UnhandledCriticalExtension"
	case errors.As(err, &weak):
		return "weak", "x509.InsecureAlgorithmError"
	case strings.HasPrefix(err.Error(), unparsed):
		return "malformed", strings.TrimSuffix(unparsed, ": ")
	}
	return "", ""
}

// kind names the innermost error's type: the nearest that Go has to a code.
func kind(err error) string {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", err), "*")
}
