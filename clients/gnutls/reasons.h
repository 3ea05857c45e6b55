/* GnuTLS's verification status and errors in the lab's words. */
#ifndef REASONS_H
#define REASONS_H

#include "kit.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/* A status is a set of flags, and the first of this order decides.  Trust comes first: without a path to an anchor the
 * others describe certificates that nobody vouches for.  Then what a CA may never sign, then what the end entity is,
 * and the dates last, as they are the only thing that heals by waiting.  Code and text always name all flags.
 * A CA that is none comes before trust, because GnuTLS then says both. */
static inline enum kit_reason reason_of_status(unsigned status, bool name_constraints)
{
	static const struct {
		unsigned flags;
		enum kit_reason reason;
	} reasons[] = {
		{GNUTLS_CERT_SIGNATURE_FAILURE, KIT_BAD_SIGNATURE},
		{GNUTLS_CERT_SIGNER_NOT_CA, KIT_NOT_A_CA},
		{GNUTLS_CERT_SIGNER_NOT_FOUND, KIT_UNKNOWN_CA},
		{GNUTLS_CERT_REVOKED, KIT_REVOKED},
		{GNUTLS_CERT_INSECURE_ALGORITHM, KIT_WEAK},
		{GNUTLS_CERT_PURPOSE_MISMATCH, KIT_WRONG_USAGE},
		{GNUTLS_CERT_UNEXPECTED_OWNER, KIT_WRONG_HOST},
		{GNUTLS_CERT_EXPIRED, KIT_EXPIRED},
		{GNUTLS_CERT_NOT_ACTIVATED, KIT_NOT_YET_VALID},
	};

	/* One flag for path length and for name constraints: where no certificate has the latter, it was the former. */
	if ((status & GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE) && !(status & GNUTLS_CERT_SIGNER_NOT_FOUND))
		return name_constraints ? KIT_NAME_CONSTRAINTS : KIT_PATH_LENGTH;
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (status & reasons[i].flags)
			return reasons[i].reason;
	return KIT_OTHER;
}

/* Errors that end a handshake because of the certificates themselves; false for any other error. */
static inline bool reason_of_error(int error, enum kit_reason *reason)
{
	switch (error) {
	case GNUTLS_E_ASN1_ELEMENT_NOT_FOUND:
	case GNUTLS_E_ASN1_IDENTIFIER_NOT_FOUND:
	case GNUTLS_E_ASN1_DER_ERROR:
	case GNUTLS_E_ASN1_VALUE_NOT_FOUND:
	case GNUTLS_E_ASN1_GENERIC_ERROR:
	case GNUTLS_E_ASN1_VALUE_NOT_VALID:
	case GNUTLS_E_ASN1_TAG_ERROR:
	case GNUTLS_E_ASN1_TAG_IMPLICIT:
	case GNUTLS_E_ASN1_TYPE_ANY_ERROR:
	case GNUTLS_E_ASN1_SYNTAX_ERROR:
	case GNUTLS_E_ASN1_DER_OVERFLOW:
	case GNUTLS_E_ASN1_TIME_ERROR:
	case GNUTLS_E_X509_DUPLICATE_EXTENSION:
	case GNUTLS_E_CERTIFICATE_ERROR:
		*reason = KIT_MALFORMED;
		return true;
	case GNUTLS_E_KEY_USAGE_VIOLATION:
		*reason = KIT_WRONG_USAGE;
		return true;
	case GNUTLS_E_CONSTRAINT_ERROR: /* more certificates than GnuTLS follows */
		*reason = KIT_PATH_LENGTH;
		return true;
	default:
		return false;
	}
}

#endif
