/* BoringSSL through the API that it shares with OpenSSL, as its own defaults have it: TLS_method, the classic X.509
 * verifier of X509_verify_cert, the store's order kept, no flag of ours. */
#include "kit.h"
#include "reasons.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>

static const char *version(void)
{
	/* The library says its name and no version: it has no releases, and is known by the Android that it came with. */
	static char text[80];

	snprintf(text, sizeof text, "%s of Android %s", OpenSSL_version(OPENSSL_VERSION), ANDROID_RELEASE);
	return text;
}

/* The oldest entry of the error queue is the cause, the later ones are its consequences. */
static uint32_t cause(char code[32])
{
	uint32_t error = ERR_get_error();

	snprintf(code, 32, "%08" PRIX32, error);
	ERR_clear_error();
	return error;
}

static void fail(struct kit_report *report, enum kit_stage stage)
{
	char code[32];
	uint32_t error = cause(code);

	kit_fail(report, stage, code, ERR_reason_error_string(error));
}

/* A certificate that OpenSSL cannot decode. */
static void refuse(struct kit_report *report, enum kit_stage stage)
{
	char code[32];
	uint32_t error = cause(code);

	kit_reject(report, stage, KIT_MALFORMED, code, ERR_reason_error_string(error));
}

static bool at_end_of_pem(void)
{
	uint32_t error = ERR_peek_last_error();

	return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static bool load_anchors(SSL_CTX *ctx, const struct kit_probe *probe, struct kit_report *report)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *pem = BIO_new_mem_buf(probe->anchors, (int)probe->anchors_len);
	int count = 0;
	X509 *cert;

	for (; (cert = PEM_read_bio_X509(pem, NULL, NULL, NULL)) != NULL; count++) {
		/* A certificate that is there already is no error to anyone who fills a store. */
		if (!X509_STORE_add_cert(store, cert) &&
		    ERR_GET_REASON(ERR_peek_last_error()) != X509_R_CERT_ALREADY_IN_HASH_TABLE) {
			X509_free(cert);
			break;
		}
		ERR_clear_error();
		X509_free(cert);
	}
	BIO_free(pem);
	if (at_end_of_pem() && (count > 0 || probe->anchors_len == 0)) {
		ERR_clear_error();
		return true;
	}
	refuse(report, KIT_LOAD);
	return false;
}

static bool load_client_certificate(SSL_CTX *ctx, const struct kit_probe *probe, struct kit_report *report)
{
	BIO *chain = BIO_new_mem_buf(probe->client_chain, -1);
	BIO *key_pem = BIO_new_mem_buf(probe->client_key, -1);
	X509 *cert = PEM_read_bio_X509(chain, NULL, NULL, NULL), *more;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(key_pem, NULL, NULL, NULL);
	bool loaded = cert != NULL && key != NULL &&
	              SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;

	while (loaded && (more = PEM_read_bio_X509(chain, NULL, NULL, NULL)) != NULL)
		if (!SSL_CTX_add_extra_chain_cert(ctx, more)) /* owns it where it succeeds */
			X509_free(more);
	if (!loaded)
		fail(report, KIT_LOAD);
	ERR_clear_error();
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(chain);
	BIO_free(key_pem);
	return loaded;
}

struct verification {
	struct kit_report *report;
	int64_t time; /* as set: BoringSSL has no way to read it back */
};

/* In place of X509_verify_cert, which it calls: afterwards the context knows path, error and time. */
static int verify(X509_STORE_CTX *store_ctx, void *arg)
{
	const struct verification *seen = arg;
	struct kit_report *report = seen->report;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store_ctx);
	int verified = X509_verify_cert(store_ctx);
	STACK_OF(X509) *path = X509_STORE_CTX_get_chain(store_ctx);
	unsigned char digest[EVP_MAX_MD_SIZE];

	for (size_t i = 0; path != NULL && i < sk_X509_num(path); i++)
		if (X509_digest(sk_X509_value(path, i), EVP_sha256(), digest, NULL))
			kit_path(report, i, digest);
	if (X509_VERIFY_PARAM_get_flags(param) & X509_V_FLAG_USE_CHECK_TIME)
		kit_clock(report, seen->time);
	if (verified <= 0) {
		int error = X509_STORE_CTX_get_error(store_ctx), depth = X509_STORE_CTX_get_error_depth(store_ctx);
		char code[16], text[256];

		snprintf(code, sizeof code, "%d", error);
		snprintf(text, sizeof text, "%s (depth %d)", X509_verify_cert_error_string(error), depth);
		kit_reject(report, KIT_HANDSHAKE, reason_of(error), code, text);
	}
	return verified;
}

/* After an operation that did not succeed: true where it is to be tried again. */
static bool again(SSL *ssl, struct kit_conn *conn, int result)
{
	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return kit_wait(conn, POLLIN);
	case SSL_ERROR_WANT_WRITE:
		return kit_wait(conn, POLLOUT);
	case SSL_ERROR_SYSCALL:
		conn->error = result < 0 ? errno : 0;
	}
	return false;
}

/* Why a connection broke: OpenSSL's error queue, or what the socket said where that is empty. */
static void broken(struct kit_conn *conn, enum kit_stage stage, struct kit_report *report)
{
	if (ERR_peek_error() != 0)
		fail(report, stage);
	else
		kit_fail(report, stage, "SSL_ERROR_SYSCALL", conn->error ? strerror(conn->error) : "end of file");
}

/* A handshake that broke outside of verify(), which is what sets the clock.  What cannot be decoded never reaches it;
 * and a leaf whose key usage does not fit is refused after it, by TLS itself. */
static void judge(SSL *ssl, struct kit_conn *conn, struct kit_report *report)
{
	uint32_t error = ERR_peek_error();
	int lib = ERR_GET_LIB(error), reason = ERR_GET_REASON(error);
	bool reading = strstr(SSL_state_string_long(ssl), "read_server_certificate") != NULL;
	char code[32];

	if (lib == ERR_LIB_SSL && reason == SSL_R_KEY_USAGE_BIT_INCORRECT) {
		cause(code);
		kit_reject(report, KIT_HANDSHAKE, KIT_WRONG_USAGE, code, ERR_reason_error_string(error));
	} else if (!report->has_clock && (lib == ERR_LIB_ASN1 || lib == ERR_LIB_X509 || lib == ERR_LIB_X509V3 ||
	                                  (lib == ERR_LIB_SSL && (reason == SSL_R_CANNOT_PARSE_LEAF_CERT ||
	                                                          (reason == SSL_R_DECODE_ERROR && reading))))) {
		refuse(report, KIT_HANDSHAKE);
	} else {
		broken(conn, KIT_HANDSHAKE, report);
	}
}

struct tls {
	SSL *ssl;
	struct kit_conn *conn;
};

static int tls_read(void *arg, void *data, size_t len)
{
	struct tls *tls = arg;
	int got;

	ERR_clear_error();
	do
		got = SSL_read(tls->ssl, data, (int)len);
	while (got <= 0 && again(tls->ssl, tls->conn, got));
	return got <= 0 && SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN ? 0 : got > 0 ? got : -1;
}

static int tls_write(void *arg, const void *data, size_t len)
{
	struct tls *tls = arg;
	int sent;

	ERR_clear_error();
	do
		sent = SSL_write(tls->ssl, data, (int)len);
	while (sent <= 0 && again(tls->ssl, tls->conn, sent));
	return sent;
}

static void converse(SSL *ssl, const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	struct tls tls = {ssl, conn};
	int done;

	report->stage = KIT_HANDSHAKE;
	do {
		ERR_clear_error();
		done = SSL_connect(ssl);
	} while (done != 1 && again(ssl, conn, done));
	if (report->outcome == KIT_REJECTED || done == 1)
		kit_tls(report, (unsigned)SSL_version(ssl));
	if (report->outcome == KIT_REJECTED)
		return;
	if (done != 1) {
		judge(ssl, conn, report);
		return;
	}
	if (!kit_http(&(struct kit_stream){&tls, tls_read, tls_write}, probe, report))
		broken(conn, KIT_HTTP, report);
	SSL_shutdown(ssl);
}

static void connect_and_verify(SSL_CTX *ctx, const struct kit_probe *probe, struct kit_conn *conn,
                               struct kit_report *report)
{
	SSL *ssl = SSL_new(ctx); /* takes a copy of the context's certificates: not before they are loaded */

	/* Takes nothing but an address, which is no name to send (RFC 6066 section 3). */
	if (!X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), probe->server_name)) {
		ERR_clear_error();
		SSL_set_tlsext_host_name(ssl, probe->server_name);
		X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl), probe->server_name, strlen(probe->server_name));
	}
	if (kit_connect(conn, probe, report) && SSL_set_fd(ssl, conn->fd))
		converse(ssl, probe, conn, report);
	SSL_free(ssl);
}

static void probe(const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	struct verification seen = {.report = report, .time = probe->time};
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	X509_VERIFY_PARAM *param = X509_VERIFY_PARAM_new();

	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify, &seen);
	X509_VERIFY_PARAM_set_time_posix(param, probe->time);
	SSL_CTX_set1_param(ctx, param);
	X509_VERIFY_PARAM_free(param);
	if (load_anchors(ctx, probe, report) &&
	    (probe->client_chain == NULL || load_client_certificate(ctx, probe, report)))
		connect_and_verify(ctx, probe, conn, report);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

int main(int argc, char **argv)
{
	static const char *const can[] = {
		"tls1.0",
		"tls1.1",
		"tls1.2",
		"tls1.3",
		"client-cert",
		NULL,
	};
	static const struct kit_driver driver = {
		.name = "boringssl",
		.clock = "native",
		.can = can,
		.version = version,
		.probe = probe,
	};

	return kit_main(argc, argv, &driver);
}
