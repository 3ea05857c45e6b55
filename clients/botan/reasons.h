// The verdicts of Botan's path validation in the lab's words.  tls_verify_cert_chain() throws their text alone; what
// Botan itself says for a code tells which code it was.
#ifndef REASONS_H
#define REASONS_H

#include <botan/x509path.h>

#include <cstring>
#include <string>

inline void reject(kit_report *report, const char *text)
{
	using Code = Botan::Certificate_Status_Code;

	static const struct {
		Code code;
		kit_reason reason;
	} known[] = {
		{Code::SIGNATURE_METHOD_TOO_WEAK, KIT_WEAK},
		{Code::UNTRUSTED_HASH, KIT_WEAK},
		{Code::NO_REVOCATION_DATA, KIT_OTHER},
		{Code::CERT_NOT_YET_VALID, KIT_NOT_YET_VALID},
		{Code::CERT_HAS_EXPIRED, KIT_EXPIRED},
		{Code::CERT_ISSUER_NOT_FOUND, KIT_UNKNOWN_CA},
		{Code::CANNOT_ESTABLISH_TRUST, KIT_UNKNOWN_CA},
		{Code::CERT_CHAIN_LOOP, KIT_UNKNOWN_CA},
		{Code::CHAIN_LACKS_TRUST_ROOT, KIT_UNKNOWN_CA},
		{Code::CHAIN_NAME_MISMATCH, KIT_UNKNOWN_CA},
		{Code::INVALID_USAGE, KIT_WRONG_USAGE},
		{Code::CERT_CHAIN_TOO_LONG, KIT_PATH_LENGTH},
		{Code::CA_CERT_NOT_FOR_CERT_ISSUER, KIT_NOT_A_CA},
		{Code::NAME_CONSTRAINT_ERROR, KIT_NAME_CONSTRAINTS},
		{Code::CERT_NAME_NOMATCH, KIT_WRONG_HOST},
		{Code::UNKNOWN_CRITICAL_EXTENSION, KIT_OTHER},
		{Code::DUPLICATE_CERT_EXTENSION, KIT_MALFORMED},
		{Code::EXT_IN_V1_V2_CERT, KIT_MALFORMED},
		{Code::DUPLICATE_CERT_POLICY, KIT_MALFORMED},
		{Code::V2_IDENTIFIERS_IN_V1_CERT, KIT_MALFORMED},
		{Code::CERT_IS_REVOKED, KIT_REVOKED},
		{Code::SIGNATURE_ERROR, KIT_BAD_SIGNATURE},
		{Code::CERT_PUBKEY_INVALID, KIT_MALFORMED},
		{Code::SIGNATURE_ALGO_UNKNOWN, KIT_BAD_SIGNATURE},
		{Code::SIGNATURE_ALGO_BAD_PARAMS, KIT_MALFORMED},
	};
	static const char before[] = "Certificate validation failure: ";

	if (std::strncmp(text, before, sizeof before - 1) == 0)
		text += sizeof before - 1;
	for (const auto &one : known) {
		const char *said = Botan::Path_Validation_Result::status_string(one.code);

		if (said != nullptr && std::strcmp(said, text) == 0) {
			const std::string code = std::to_string(static_cast<int>(one.code));

			kit_reject(report, KIT_HANDSHAKE, one.reason, code.c_str(), text);
			return;
		}
	}
	kit_reject(report, KIT_HANDSHAKE, KIT_OTHER, "", text);
}

#endif
