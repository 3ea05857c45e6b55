#include "staple.h"

#if OPENSSL_VERSION_NUMBER >= 0x10100000L

#include <openssl/err.h>
#include <openssl/ocsp.h>

static void refuse(struct kit_report *report, enum kit_reason reason, const char *code, const char *text)
{
	ERR_clear_error();
	kit_reject(report, KIT_HANDSHAKE, reason, code, text);
}

/* OCSP_check_validity() goes by the machine's clock, which is not the probe's. */
static bool in_its_time(const ASN1_GENERALIZEDTIME *updated, const ASN1_GENERALIZEDTIME *due, time_t now)
{
	return X509_cmp_time(updated, &now) < 0 && (due == NULL || X509_cmp_time(due, &now) > 0);
}

static void judge(OCSP_BASICRESP *basic, OCSP_CERTID *id, SSL *ssl, struct kit_report *report)
{
	ASN1_GENERALIZEDTIME *updated, *due;
	time_t now = X509_VERIFY_PARAM_get_time(SSL_get0_param(ssl));
	int status, why;

	if (OCSP_basic_verify(basic, SSL_get0_verified_chain(ssl), SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), 0) != 1)
		refuse(report, KIT_OTHER, "OCSP_basic_verify", "the stapled response is not signed by who may sign it");
	else if (!OCSP_resp_find_status(basic, id, &status, &why, NULL, &updated, &due))
		refuse(report, KIT_OTHER, "OCSP_resp_find_status", "the stapled response is about another certificate");
	else if (!in_its_time(updated, due, now))
		refuse(report, KIT_OTHER, "OCSP_check_validity", "the stapled response is out of its time");
	else if (status == V_OCSP_CERTSTATUS_REVOKED)
		refuse(report, KIT_REVOKED, OCSP_cert_status_str(status), "the stapled response says so");
	else if (status != V_OCSP_CERTSTATUS_GOOD)
		refuse(report, KIT_OTHER, OCSP_cert_status_str(status), "the stapled response says so");
}

static void read_response(OCSP_BASICRESP *basic, SSL *ssl, struct kit_report *report)
{
	STACK_OF(X509) *path = SSL_get0_verified_chain(ssl);
	X509 *leaf = SSL_get_peer_certificate(ssl);
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, leaf, sk_X509_value(path, sk_X509_num(path) > 1 ? 1 : 0));

	judge(basic, id, ssl, report);
	OCSP_CERTID_free(id);
	X509_free(leaf);
}

/* Called once the certificates are verified, with a staple or without. */
static int check(SSL *ssl, void *arg)
{
	struct kit_report *report = arg;
	const unsigned char *der = NULL;
	long len = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *basic;

	if (der == NULL || len <= 0)
		return 1;
	response = d2i_OCSP_RESPONSE(NULL, &der, len);
	basic = response != NULL ? OCSP_response_get1_basic(response) : NULL;
	if (basic == NULL)
		refuse(report, KIT_OTHER, "OCSP_response_get1_basic", "the stapled response cannot be read");
	else
		read_response(basic, ssl, report);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	return report->outcome != KIT_REJECTED;
}

void ask_for_staple(SSL_CTX *ctx, X509_VERIFY_PARAM *param, struct kit_report *report)
{
	X509_STORE_set1_param(SSL_CTX_get_cert_store(ctx), param);
	SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp);
	SSL_CTX_set_tlsext_status_cb(ctx, check);
	SSL_CTX_set_tlsext_status_arg(ctx, report);
}

#else /* before, nobody can be asked for the path that was verified */

void ask_for_staple(SSL_CTX *ctx, X509_VERIFY_PARAM *param, struct kit_report *report)
{
	(void)ctx;
	(void)param;
	kit_unsupported(report, KIT_LOAD, "status-request needs OpenSSL 1.1.0");
}

#endif
