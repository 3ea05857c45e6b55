/* BearSSL's error numbers by name, and those of X.509 in the lab's words.
 *
 * Three codes cover more than one reason, and BearSSL does not say which; they map to the one they are named after:
 * EXPIRED is also "not yet valid", NOT_CA is also "path length exceeded", NOT_TRUSTED is also an issuer's bad
 * signature by an anchor of the right name.  Everything up to BAD_TIME is what the decoder cannot read. */
#ifndef REASONS_H
#define REASONS_H

#include "kit.h"

#include <bearssl.h>

static inline enum kit_reason reason_of(int error)
{
	switch (error) {
	case BR_ERR_X509_EXPIRED:
		return KIT_EXPIRED;
	case BR_ERR_X509_NOT_TRUSTED:
	case BR_ERR_X509_DN_MISMATCH: /* the chain is not in order: BearSSL does not sort */
		return KIT_UNKNOWN_CA;
	case BR_ERR_X509_BAD_SERVER_NAME:
		return KIT_WRONG_HOST;
	case BR_ERR_X509_NOT_CA:
		return KIT_NOT_A_CA;
	case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
		return KIT_WRONG_USAGE;
	case BR_ERR_X509_BAD_SIGNATURE:
		return KIT_BAD_SIGNATURE;
	case BR_ERR_X509_WEAK_PUBLIC_KEY:
		return KIT_WEAK;
	default: /* unsupported feature, critical extension, size limit, key type */
		return error <= BR_ERR_X509_BAD_TIME ? KIT_MALFORMED : KIT_OTHER;
	}
}

static inline const char *name_of(int error)
{
	/* Alerts are 256 + n where the server sent them, 512 + n where we did. */
	if (error >= BR_ERR_SEND_FATAL_ALERT)
		return "BR_ERR_SEND_FATAL_ALERT";
	if (error >= BR_ERR_RECV_FATAL_ALERT)
		return "BR_ERR_RECV_FATAL_ALERT";
	switch (error) {
	case BR_ERR_OK:
		return "BR_ERR_OK";
	case BR_ERR_BAD_PARAM:
		return "BR_ERR_BAD_PARAM";
	case BR_ERR_BAD_STATE:
		return "BR_ERR_BAD_STATE";
	case BR_ERR_UNSUPPORTED_VERSION:
		return "BR_ERR_UNSUPPORTED_VERSION";
	case BR_ERR_BAD_VERSION:
		return "BR_ERR_BAD_VERSION";
	case BR_ERR_BAD_LENGTH:
		return "BR_ERR_BAD_LENGTH";
	case BR_ERR_TOO_LARGE:
		return "BR_ERR_TOO_LARGE";
	case BR_ERR_BAD_MAC:
		return "BR_ERR_BAD_MAC";
	case BR_ERR_NO_RANDOM:
		return "BR_ERR_NO_RANDOM";
	case BR_ERR_UNKNOWN_TYPE:
		return "BR_ERR_UNKNOWN_TYPE";
	case BR_ERR_UNEXPECTED:
		return "BR_ERR_UNEXPECTED";
	case BR_ERR_BAD_CCS:
		return "BR_ERR_BAD_CCS";
	case BR_ERR_BAD_ALERT:
		return "BR_ERR_BAD_ALERT";
	case BR_ERR_BAD_HANDSHAKE:
		return "BR_ERR_BAD_HANDSHAKE";
	case BR_ERR_OVERSIZED_ID:
		return "BR_ERR_OVERSIZED_ID";
	case BR_ERR_BAD_CIPHER_SUITE:
		return "BR_ERR_BAD_CIPHER_SUITE";
	case BR_ERR_BAD_COMPRESSION:
		return "BR_ERR_BAD_COMPRESSION";
	case BR_ERR_BAD_FRAGLEN:
		return "BR_ERR_BAD_FRAGLEN";
	case BR_ERR_BAD_SECRENEG:
		return "BR_ERR_BAD_SECRENEG";
	case BR_ERR_EXTRA_EXTENSION:
		return "BR_ERR_EXTRA_EXTENSION";
	case BR_ERR_BAD_SNI:
		return "BR_ERR_BAD_SNI";
	case BR_ERR_BAD_HELLO_DONE:
		return "BR_ERR_BAD_HELLO_DONE";
	case BR_ERR_LIMIT_EXCEEDED:
		return "BR_ERR_LIMIT_EXCEEDED";
	case BR_ERR_BAD_FINISHED:
		return "BR_ERR_BAD_FINISHED";
	case BR_ERR_RESUME_MISMATCH:
		return "BR_ERR_RESUME_MISMATCH";
	case BR_ERR_INVALID_ALGORITHM:
		return "BR_ERR_INVALID_ALGORITHM";
	case BR_ERR_BAD_SIGNATURE:
		return "BR_ERR_BAD_SIGNATURE";
	case BR_ERR_WRONG_KEY_USAGE:
		return "BR_ERR_WRONG_KEY_USAGE";
	case BR_ERR_NO_CLIENT_AUTH:
		return "BR_ERR_NO_CLIENT_AUTH";
	case BR_ERR_IO:
		return "BR_ERR_IO";
	case BR_ERR_X509_INVALID_VALUE:
		return "BR_ERR_X509_INVALID_VALUE";
	case BR_ERR_X509_TRUNCATED:
		return "BR_ERR_X509_TRUNCATED";
	case BR_ERR_X509_EMPTY_CHAIN:
		return "BR_ERR_X509_EMPTY_CHAIN";
	case BR_ERR_X509_INNER_TRUNC:
		return "BR_ERR_X509_INNER_TRUNC";
	case BR_ERR_X509_BAD_TAG_CLASS:
		return "BR_ERR_X509_BAD_TAG_CLASS";
	case BR_ERR_X509_BAD_TAG_VALUE:
		return "BR_ERR_X509_BAD_TAG_VALUE";
	case BR_ERR_X509_INDEFINITE_LENGTH:
		return "BR_ERR_X509_INDEFINITE_LENGTH";
	case BR_ERR_X509_EXTRA_ELEMENT:
		return "BR_ERR_X509_EXTRA_ELEMENT";
	case BR_ERR_X509_UNEXPECTED:
		return "BR_ERR_X509_UNEXPECTED";
	case BR_ERR_X509_NOT_CONSTRUCTED:
		return "BR_ERR_X509_NOT_CONSTRUCTED";
	case BR_ERR_X509_NOT_PRIMITIVE:
		return "BR_ERR_X509_NOT_PRIMITIVE";
	case BR_ERR_X509_PARTIAL_BYTE:
		return "BR_ERR_X509_PARTIAL_BYTE";
	case BR_ERR_X509_BAD_BOOLEAN:
		return "BR_ERR_X509_BAD_BOOLEAN";
	case BR_ERR_X509_OVERFLOW:
		return "BR_ERR_X509_OVERFLOW";
	case BR_ERR_X509_BAD_DN:
		return "BR_ERR_X509_BAD_DN";
	case BR_ERR_X509_BAD_TIME:
		return "BR_ERR_X509_BAD_TIME";
	case BR_ERR_X509_UNSUPPORTED:
		return "BR_ERR_X509_UNSUPPORTED";
	case BR_ERR_X509_LIMIT_EXCEEDED:
		return "BR_ERR_X509_LIMIT_EXCEEDED";
	case BR_ERR_X509_WRONG_KEY_TYPE:
		return "BR_ERR_X509_WRONG_KEY_TYPE";
	case BR_ERR_X509_BAD_SIGNATURE:
		return "BR_ERR_X509_BAD_SIGNATURE";
	case BR_ERR_X509_TIME_UNKNOWN:
		return "BR_ERR_X509_TIME_UNKNOWN";
	case BR_ERR_X509_EXPIRED:
		return "BR_ERR_X509_EXPIRED (expired or not yet valid: BearSSL has one code for both)";
	case BR_ERR_X509_DN_MISMATCH:
		return "BR_ERR_X509_DN_MISMATCH";
	case BR_ERR_X509_BAD_SERVER_NAME:
		return "BR_ERR_X509_BAD_SERVER_NAME";
	case BR_ERR_X509_CRITICAL_EXTENSION:
		return "BR_ERR_X509_CRITICAL_EXTENSION";
	case BR_ERR_X509_NOT_CA:
		return "BR_ERR_X509_NOT_CA (not a CA, or path length: BearSSL has one code for both)";
	case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
		return "BR_ERR_X509_FORBIDDEN_KEY_USAGE";
	case BR_ERR_X509_WEAK_PUBLIC_KEY:
		return "BR_ERR_X509_WEAK_PUBLIC_KEY";
	case BR_ERR_X509_NOT_TRUSTED:
		return "BR_ERR_X509_NOT_TRUSTED";
	default:
		return "unknown error";
	}
}

#endif
