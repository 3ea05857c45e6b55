/* wolfSSL's verdicts on certificates by name, and in the lab's words.  Error numbers that are not here mean that
 * something else broke. */
#ifndef REASONS_H
#define REASONS_H

#include "kit.h"

#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

static const struct {
	int error;
	enum kit_reason reason;
	const char *name;
} verdicts[] = {
#define VERDICT(error, reason) {error, reason, #error}
	VERDICT(ASN_AFTER_DATE_E, KIT_EXPIRED),
	VERDICT(ASN_BEFORE_DATE_E, KIT_NOT_YET_VALID),
	VERDICT(ASN_NO_SIGNER_E, KIT_UNKNOWN_CA),
	VERDICT(ASN_SELF_SIGNED_E, KIT_UNKNOWN_CA),
	VERDICT(DOMAIN_NAME_MISMATCH, KIT_WRONG_HOST),
	VERDICT(IPADDR_MISMATCH, KIT_WRONG_HOST),
	VERDICT(ASN_SIG_CONFIRM_E, KIT_BAD_SIGNATURE),
	VERDICT(NOT_CA_ERROR, KIT_NOT_A_CA),
	VERDICT(ASN_PATHLEN_SIZE_E, KIT_PATH_LENGTH),
	VERDICT(ASN_PATHLEN_INV_E, KIT_PATH_LENGTH),
	VERDICT(MAX_CHAIN_ERROR, KIT_PATH_LENGTH), /* longer than the stack goes, whatever the certificates allow */
	VERDICT(ASN_NAME_INVALID_E, KIT_NAME_CONSTRAINTS),
	VERDICT(KEYUSAGE_E, KIT_WRONG_USAGE),
	VERDICT(EXTKEYUSAGE_E, KIT_WRONG_USAGE),
	VERDICT(KEYUSE_SIGNATURE_E, KIT_WRONG_USAGE),
	VERDICT(KEYUSE_ENCIPHER_E, KIT_WRONG_USAGE),
	VERDICT(EXTKEYUSE_AUTH_E, KIT_WRONG_USAGE),
	VERDICT(RSA_KEY_SIZE_E, KIT_WEAK),
	VERDICT(ECC_KEY_SIZE_E, KIT_WEAK),
	VERDICT(HASH_TYPE_E, KIT_WEAK),
	VERDICT(CRL_CERT_REVOKED, KIT_REVOKED),
	VERDICT(OCSP_CERT_REVOKED, KIT_REVOKED),
	/* What its parser does not read. */
	VERDICT(ASN_PARSE_E, KIT_MALFORMED),
	VERDICT(ASN_VERSION_E, KIT_MALFORMED),
	VERDICT(ASN_GETINT_E, KIT_MALFORMED),
	VERDICT(ASN_RSA_KEY_E, KIT_MALFORMED),
	VERDICT(ASN_OBJECT_ID_E, KIT_MALFORMED),
	VERDICT(ASN_TAG_NULL_E, KIT_MALFORMED),
	VERDICT(ASN_EXPECT_0_E, KIT_MALFORMED),
	VERDICT(ASN_BITSTR_E, KIT_MALFORMED),
	VERDICT(ASN_UNKNOWN_OID_E, KIT_MALFORMED),
	VERDICT(ASN_DATE_SZ_E, KIT_MALFORMED),
	VERDICT(ASN_TIME_E, KIT_MALFORMED),
	VERDICT(ASN_INPUT_E, KIT_MALFORMED),
	VERDICT(ASN_SIG_OID_E, KIT_MALFORMED),
	VERDICT(ASN_SIG_HASH_E, KIT_MALFORMED),
	VERDICT(ASN_SIG_KEY_E, KIT_MALFORMED),
	VERDICT(ASN_ECC_KEY_E, KIT_MALFORMED),
	VERDICT(ASN_CRIT_EXT_E, KIT_MALFORMED),
	VERDICT(ASN_ALT_NAME_E, KIT_MALFORMED),
	VERDICT(ASN_NO_PEM_HEADER, KIT_MALFORMED),
	VERDICT(CERTPOLICIES_E, KIT_MALFORMED),
	VERDICT(VERIFY_CERT_ERROR, KIT_OTHER),
#undef VERDICT
};

/* False where the error is no verdict on certificates. */
static inline bool reason_of(int error, enum kit_reason *reason)
{
	for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
		if (verdicts[i].error == error) {
			*reason = verdicts[i].reason;
			return true;
		}
	return false;
}

static inline const char *name_of(int error)
{
	for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
		if (verdicts[i].error == error)
			return verdicts[i].name;
	return "";
}

#endif
