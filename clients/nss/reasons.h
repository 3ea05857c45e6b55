/* NSS's errors in the lab's words. */
#ifndef REASONS_H
#define REASONS_H

#include "kit.h"

#include <secerr.h>
#include <sslerr.h>

/* False for an error that says nothing about certificates.  NSS has one error for what is expired and what is not yet
 * valid; the driver tells them apart by asking NSS about the certificates themselves. */
static inline bool reason_of(int error, enum kit_reason *reason)
{
	switch (error) {
	case SEC_ERROR_EXPIRED_CERTIFICATE:
	case SEC_ERROR_EXPIRED_ISSUER_CERTIFICATE:
		*reason = KIT_EXPIRED;
		return true;
	case SEC_ERROR_UNKNOWN_ISSUER:
	case SEC_ERROR_UNTRUSTED_ISSUER:
	case SEC_ERROR_UNTRUSTED_CERT:
	case SEC_ERROR_UNKNOWN_CERT:
		*reason = KIT_UNKNOWN_CA;
		return true;
	case SSL_ERROR_BAD_CERT_DOMAIN:
		*reason = KIT_WRONG_HOST;
		return true;
	case SEC_ERROR_CA_CERT_INVALID:
		*reason = KIT_NOT_A_CA;
		return true;
	case SEC_ERROR_PATH_LEN_CONSTRAINT_INVALID:
		*reason = KIT_PATH_LENGTH;
		return true;
	case SEC_ERROR_CERT_NOT_IN_NAME_SPACE:
		*reason = KIT_NAME_CONSTRAINTS;
		return true;
	case SEC_ERROR_INADEQUATE_KEY_USAGE:
	case SEC_ERROR_INADEQUATE_CERT_TYPE:
	case SEC_ERROR_CERT_USAGES_INVALID:
		*reason = KIT_WRONG_USAGE;
		return true;
	case SEC_ERROR_BAD_SIGNATURE:
		*reason = KIT_BAD_SIGNATURE;
		return true;
	case SEC_ERROR_CERT_SIGNATURE_ALGORITHM_DISABLED:
	case SEC_ERROR_UNSUPPORTED_KEYALG:
		*reason = KIT_WEAK;
		return true;
	case SEC_ERROR_BAD_DER:
	case SEC_ERROR_INVALID_TIME:
	case SEC_ERROR_EXTENSION_VALUE_INVALID:
	case SEC_ERROR_EXTRA_INPUT:
	case SEC_ERROR_LIBRARY_FAILURE: /* what NSS says of a certificate that it cannot decode */
	case SEC_ERROR_BAD_KEY:
	case SEC_ERROR_INVALID_KEY:
		*reason = KIT_MALFORMED;
		return true;
	case SEC_ERROR_REVOKED_CERTIFICATE:
		*reason = KIT_REVOKED;
		return true;
	case SEC_ERROR_UNKNOWN_CRITICAL_EXTENSION:
	case SEC_ERROR_CERT_NOT_VALID:
	case SEC_ERROR_CERT_BAD_ACCESS_LOCATION:
	case SEC_ERROR_REUSED_ISSUER_AND_SERIAL:
		*reason = KIT_OTHER;
		return true;
	default:
		return false;
	}
}

#endif
