/* mbedTLS 2.16 to 3.6 with MBEDTLS_SSL_PRESET_DEFAULT, verification required, and the lab's clock. */
#include "kit.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/sha256.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <string.h>
#include <time.h>

#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#define mbedtls_sha256_ret mbedtls_sha256
#define MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE MBEDTLS_ERR_SSL_BAD_CERTIFICATE
#endif

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context drbg;

/* mbedTLS takes the time from time(), and offers no other way in as Debian builds it.  The linker turns every call of
 * time() in this program into one of this (--wrap=time); start() proves that it did.  Outside a probe it fails: what
 * runs before the lab has said what time it is must not get another clock's answer. */
static struct {
	bool set;
	time_t now;
	unsigned reads; /* in this probe */
} lab_clock;

time_t __wrap_time(time_t *out);
time_t __wrap_time(time_t *out)
{
	time_t now = lab_clock.set ? lab_clock.now : (time_t)-1;

	lab_clock.reads++;
	if (out != NULL)
		*out = now;
	return now;
}

/* The flags in the lab's words.  The first that is set decides.  Trust comes first: without a path to an anchor the
 * others describe certificates that nobody vouches for.  Then what a CA may never sign, then what the end entity is,
 * and the dates last, as they are the only thing that heals by waiting.  Code and text always name all of them. */
static const struct {
	uint32_t flags;
	enum kit_reason reason;
} reasons[] = {
	{MBEDTLS_X509_BADCERT_NOT_TRUSTED, KIT_UNKNOWN_CA},
	{MBEDTLS_X509_BADCERT_REVOKED, KIT_REVOKED},
	{MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY, KIT_WEAK},
	{MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
	 KIT_WRONG_USAGE},
	{MBEDTLS_X509_BADCERT_CN_MISMATCH, KIT_WRONG_HOST},
	{MBEDTLS_X509_BADCERT_EXPIRED, KIT_EXPIRED},
	{MBEDTLS_X509_BADCERT_FUTURE, KIT_NOT_YET_VALID},
};

static void reject_flags(struct kit_report *report, uint32_t flags)
{
	char code[16], lines[512] = "", text[512] = "", *rest = lines, *line;
	enum kit_reason reason = KIT_OTHER;

	for (size_t i = sizeof reasons / sizeof *reasons; i-- > 0;)
		if (flags & reasons[i].flags)
			reason = reasons[i].reason;
	snprintf(code, sizeof code, "0x%02x", (unsigned)flags);
	mbedtls_x509_crt_verify_info(lines, sizeof lines / 2, "", flags);
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0')
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", *text ? "; " : "", line);
	kit_reject(report, KIT_HANDSHAKE, reason, code, text);
}

static void explain(int error, char code[16], char text[160])
{
	snprintf(code, 16, "-0x%04x", (unsigned)-error);
	mbedtls_strerror(error, text, 160);
}

static void fail(struct kit_report *report, enum kit_stage stage, int error)
{
	char code[16], text[160];

	explain(error, code, text);
	kit_fail(report, stage, code, text);
}

/* mbedTLS could not decode a certificate; `error` is how many it could not where it is positive. */
static void reject_malformed(struct kit_report *report, enum kit_stage stage, int error)
{
	char code[16], text[160];

	if (error < 0) {
		explain(error, code, text);
	} else {
		snprintf(code, sizeof code, "%d", error);
		snprintf(text, sizeof text, "%d of the certificates cannot be parsed", error);
	}
	kit_reject(report, stage, KIT_MALFORMED, code, text);
}

/* What the end of a handshake says: a verdict on certificates, or that something else broke. */
static void judge(struct kit_report *report, const mbedtls_ssl_context *ssl, int error)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(ssl);
	int module = -error & 0x7f80; /* the rest is the low-level cause */

	if (error == MBEDTLS_ERR_X509_FATAL_ERROR)
		kit_reject(report, KIT_HANDSHAKE, KIT_PATH_LENGTH, "-0x3000", "longer than this stack follows a chain");
	else if (error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ||
	         (error == MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE && flags != 0 && flags != UINT32_MAX))
		reject_flags(report, flags);
	else if (module >= -MBEDTLS_ERR_X509_UNKNOWN_OID && module <= -MBEDTLS_ERR_X509_SIG_MISMATCH)
		reject_malformed(report, KIT_HANDSHAKE, error);
	else
		fail(report, KIT_HANDSHAKE, error);
}

static int send_some(void *conn, const unsigned char *data, size_t len)
{
	ssize_t sent = kit_send(conn, data, len);

	return sent < 0 ? MBEDTLS_ERR_NET_SEND_FAILED : (int)sent;
}

static int recv_some(void *conn, unsigned char *data, size_t len)
{
	ssize_t got = kit_recv(conn, data, len);

	return got < 0 ? MBEDTLS_ERR_NET_RECV_FAILED : (int)got;
}

/* Called for the path's certificates from the anchor down to the end entity; decides nothing. */
static int see_path(void *report, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	unsigned char digest[32];

	(void)depth, (void)flags;
	if (mbedtls_sha256_ret(crt->raw.p, crt->raw.len, digest, 0) == 0)
		kit_path(report, 0, digest);
	return 0;
}

struct tls {
	mbedtls_ssl_context *ssl;
	int result; /* of the last operation */
};

static int tls_read(void *arg, void *data, size_t len)
{
	struct tls *tls = arg;

	do /* what is not application data makes it return, too */
		tls->result = mbedtls_ssl_read(tls->ssl, data, len);
	while (tls->result == MBEDTLS_ERR_SSL_WANT_READ);
	return tls->result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? 0 : tls->result;
}

static int tls_write(void *arg, const void *data, size_t len)
{
	struct tls *tls = arg;

	return tls->result = mbedtls_ssl_write(tls->ssl, data, len);
}

static void converse(mbedtls_ssl_context *ssl, const struct kit_probe *probe, struct kit_conn *conn,
                     struct kit_report *report)
{
	struct tls tls = {.ssl = ssl};
	int error;

	mbedtls_ssl_set_bio(ssl, conn, send_some, recv_some, NULL);
	error = mbedtls_ssl_handshake(ssl);
	if (error != 0)
		judge(report, ssl, error);
	if (error == 0 || report->outcome == KIT_REJECTED)
		kit_tls(report, 0x0301u + (unsigned)(mbedtls_ssl_get_version(ssl)[6] - '0')); /* "TLSv1.2" */
	if (error != 0)
		return;
	if (!kit_http(&(struct kit_stream){&tls, tls_read, tls_write}, probe, report))
		fail(report, KIT_HTTP, tls.result);
	mbedtls_ssl_close_notify(ssl);
}

/* mbedTLS parses PEM only with its terminating zero counted in. */
static int parse_pem(mbedtls_x509_crt *crt, const char *pem)
{
	return mbedtls_x509_crt_parse(crt, (const unsigned char *)pem, strlen(pem) + 1);
}

static int parse_key(mbedtls_pk_context *key, const char *pem)
{
	const unsigned char *text = (const unsigned char *)pem;

#if MBEDTLS_VERSION_MAJOR >= 3
	return mbedtls_pk_parse_key(key, text, strlen(pem) + 1, NULL, 0, mbedtls_ctr_drbg_random, &drbg);
#else
	return mbedtls_pk_parse_key(key, text, strlen(pem) + 1, NULL, 0);
#endif
}

static bool load(mbedtls_x509_crt *anchors, mbedtls_x509_crt *own, mbedtls_pk_context *key,
                 const struct kit_probe *probe, struct kit_report *report)
{
	int error = probe->anchors_len > 0 ? parse_pem(anchors, probe->anchors) : 0;

	if (error != 0) {
		reject_malformed(report, KIT_LOAD, error);
		return false;
	}
	if (probe->client_chain == NULL)
		return true;
	error = parse_pem(own, probe->client_chain);
	if (error == 0)
		error = parse_key(key, probe->client_key);
	if (error != 0)
		fail(report, KIT_LOAD, error);
	return error == 0;
}

static void probe(const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	mbedtls_ssl_config config;
	mbedtls_ssl_context ssl;
	mbedtls_x509_crt anchors, own;
	mbedtls_pk_context key;
	int error;

	lab_clock.now = (time_t)probe->time;
	lab_clock.set = true;
	lab_clock.reads = 0;
	mbedtls_ssl_config_init(&config);
	mbedtls_ssl_init(&ssl);
	mbedtls_x509_crt_init(&anchors);
	mbedtls_x509_crt_init(&own);
	mbedtls_pk_init(&key);
	if (load(&anchors, &own, &key, probe, report)) {
		mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
		                            MBEDTLS_SSL_PRESET_DEFAULT);
		mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
		mbedtls_ssl_conf_ca_chain(&config, &anchors, NULL);
		mbedtls_ssl_conf_verify(&config, see_path, report);
		mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &drbg);
		error = probe->client_chain != NULL ? mbedtls_ssl_conf_own_cert(&config, &own, &key) : 0;
		if (error == 0)
			error = mbedtls_ssl_setup(&ssl, &config);
		if (error == 0)
			error = mbedtls_ssl_set_hostname(&ssl, probe->server_name);
		if (error != 0)
			fail(report, KIT_LOAD, error);
		else if (kit_connect(conn, probe, report))
			converse(&ssl, probe, conn, report);
	}
	mbedtls_pk_free(&key);
	mbedtls_x509_crt_free(&own);
	mbedtls_x509_crt_free(&anchors);
	mbedtls_ssl_free(&ssl);
	mbedtls_ssl_config_free(&config);
	if (lab_clock.reads > 0)
		kit_clock(report, lab_clock.now);
	lab_clock.set = false;
}

/* Whether the X.509 module lives by our clock.  A build against shared objects would not, and would still answer. */
static bool owns_the_clock(void)
{
	const mbedtls_x509_time before = {.year = 2001, .mon = 9, .day = 9}, after = {.year = 2001, .mon = 9, .day = 10};
	bool owned;

	lab_clock.now = 1000000000; /* 2001-09-09 01:46:40 */
	lab_clock.set = true;
	owned = mbedtls_x509_time_is_past(&before) && mbedtls_x509_time_is_future(&after) && lab_clock.reads >= 2;
	lab_clock.set = false;
	return owned;
}

static bool start(void)
{
	if (!owns_the_clock()) {
		fprintf(stderr, "mbedtls: this build does not take its time from the lab\n");
		return false;
	}
#if MBEDTLS_VERSION_MAJOR >= 3
	if (psa_crypto_init() != PSA_SUCCESS) /* TLS 1.3 needs it */
		return false;
#endif
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&drbg);
	return mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0) == 0;
}

static const char *version(void)
{
	static char text[32];

	mbedtls_version_get_string_full(text);
	return text;
}

int main(int argc, char **argv)
{
	static const char *const can[] = {
#if MBEDTLS_VERSION_MAJOR < 3
		"tls1.0",
		"tls1.1",
#endif
		"tls1.2",
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
		"tls1.3",
#endif
		"client-cert",
		NULL,
	};
	static const struct kit_driver driver = {
		.name = "mbedtls",
		.clock = "native",
		.can = can,
		.version = version,
		.start = start,
		.probe = probe,
	};

	return kit_main(argc, argv, &driver);
}
