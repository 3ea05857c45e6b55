/* wolfSSL as Debian builds it, with SSLv23_client_method, verification required, and the lab's clock. */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>

#include "kit.h"
#include "reasons.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* What wolfSSL's X.509 code is told when it asks for the time.  Before 5.0 there is no wc_SetTimeCb(): there the linker
 * turns every call of time() in this program into one of this (--wrap=time).  start() proves that it works. */
static struct {
	time_t now;
	unsigned reads; /* in this probe */
} lab_clock;

#if LIBWOLFSSL_VERSION_HEX < 0x05000000
#define tell_time __wrap_time
time_t tell_time(time_t *out);
#else
static time_t tell_time(time_t *out);
#endif

time_t tell_time(time_t *out)
{
	lab_clock.reads++;
	if (out != NULL)
		*out = lab_clock.now;
	return lab_clock.now;
}

static bool owns_the_clock(void)
{
	time_t told = 0;

#if LIBWOLFSSL_VERSION_HEX >= 0x05000000
	if (wc_SetTimeCb(tell_time) != 0)
		return false;
#endif
	lab_clock.now = 1000000000; /* 2001-09-09 01:46:40 */
	lab_clock.reads = 0;
	return wc_GetTime(&told, sizeof told) == 0 && told == lab_clock.now && lab_clock.reads == 1;
}

static void explain(int error, char code[16], char text[160])
{
	const char *reason = wolfSSL_ERR_reason_error_string((unsigned long)error);

	snprintf(code, 16, "%d", error);
	snprintf(text, 160, "%s%s%s", name_of(error), *name_of(error) ? ": " : "", reason != NULL ? reason : "");
}

/* wolfSSL has one space of error numbers: those of the table are its verdict on certificates, all others are not. */
static void broken(struct kit_report *report, const struct kit_conn *conn, enum kit_stage stage, int error)
{
	enum kit_reason reason;
	char code[16], text[160];

	explain(error, code, text);
	if (reason_of(error, &reason))
		kit_reject(report, stage, reason, code, text);
	else if (conn != NULL && conn->error != 0)
		kit_fail(report, stage, code, strerror(conn->error));
	else
		kit_fail(report, stage, code, text);
}

static int send_some(WOLFSSL *ssl, char *data, int len, void *conn)
{
	ssize_t sent = kit_send(conn, data, (size_t)len);

	(void)ssl;
	return sent < 0 ? WOLFSSL_CBIO_ERR_GENERAL : (int)sent;
}

static int recv_some(WOLFSSL *ssl, char *data, int len, void *conn)
{
	ssize_t got = kit_recv(conn, data, (size_t)len);

	(void)ssl;
	return got > 0 ? (int)got : got == 0 ? WOLFSSL_CBIO_ERR_CONN_CLOSE : WOLFSSL_CBIO_ERR_GENERAL;
}

static int tls_read(void *ssl, void *data, size_t len)
{
	int got = wolfSSL_read(ssl, data, (int)len);

	return got <= 0 && wolfSSL_get_shutdown(ssl) & WOLFSSL_RECEIVED_SHUTDOWN ? 0 : got > 0 ? got : -1;
}

static int tls_write(void *ssl, const void *data, size_t len)
{
	return wolfSSL_write(ssl, data, (int)len);
}

static void converse(WOLFSSL *ssl, const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	int done;

	wolfSSL_SetIOReadCtx(ssl, conn);
	wolfSSL_SetIOWriteCtx(ssl, conn);
	done = wolfSSL_connect(ssl);
	if (done != WOLFSSL_SUCCESS)
		broken(report, conn, KIT_HANDSHAKE, wolfSSL_get_error(ssl, done));
	if (done == WOLFSSL_SUCCESS || report->outcome == KIT_REJECTED)
		kit_tls(report, (unsigned)wolfSSL_version(ssl));
	if (done != WOLFSSL_SUCCESS)
		return;
	if (!kit_http(&(struct kit_stream){ssl, tls_read, tls_write}, probe, report))
		broken(report, conn, KIT_HTTP, wolfSSL_get_error(ssl, -1));
	wolfSSL_shutdown(ssl);
}

/* An anchor whose dates do not fit is refused here already, unless the option asks for leniency.  Of several anchors
 * wolfSSL leaves out those that it does not like, and is content with one. */
static bool load_anchors(WOLFSSL_CTX *ctx, const struct kit_probe *probe, struct kit_report *report)
{
	unsigned flags = kit_option(probe, "date-err-okay") ? WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY
	                                                    : WOLFSSL_LOAD_VERIFY_DEFAULT_FLAGS;
	int loaded;

	if (probe->anchors_len == 0)
		return true;
	loaded = wolfSSL_CTX_load_verify_buffer_ex(ctx, (const unsigned char *)probe->anchors, (long)probe->anchors_len,
	                                           WOLFSSL_FILETYPE_PEM, 0, flags);
	if (loaded != WOLFSSL_SUCCESS)
		broken(report, NULL, KIT_LOAD, loaded);
	return loaded == WOLFSSL_SUCCESS;
}

static bool load_client_certificate(WOLFSSL_CTX *ctx, const struct kit_probe *probe, struct kit_report *report)
{
	int loaded = wolfSSL_CTX_use_certificate_chain_buffer(ctx, (const unsigned char *)probe->client_chain,
	                                                      (long)strlen(probe->client_chain));
	char code[16], text[160];

	if (loaded == WOLFSSL_SUCCESS)
		loaded = wolfSSL_CTX_use_PrivateKey_buffer(ctx, (const unsigned char *)probe->client_key,
		                                           (long)strlen(probe->client_key), WOLFSSL_FILETYPE_PEM);
	if (loaded == WOLFSSL_SUCCESS)
		return true;
	explain(loaded, code, text);
	kit_fail(report, KIT_LOAD, code, text);
	return false;
}

static bool is_address(const char *name)
{
	unsigned char room[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, room) == 1 || inet_pton(AF_INET6, name, room) == 1;
}

static void connect_and_verify(WOLFSSL_CTX *ctx, const struct kit_probe *probe, struct kit_conn *conn,
                               struct kit_report *report)
{
	const char *name = probe->server_name;
	WOLFSSL *ssl = wolfSSL_new(ctx); /* not before everything is loaded */

	if (ssl != NULL && is_address(name)) { /* no name to send (RFC 6066 section 3) */
#ifdef OPENSSL_EXTRA
		wolfSSL_X509_VERIFY_PARAM_set1_ip_asc(wolfSSL_get0_param(ssl), name);
		if (kit_connect(conn, probe, report))
			converse(ssl, probe, conn, report);
#else
		kit_unsupported(report, KIT_LOAD, "this build of wolfSSL compares no addresses");
#endif
	} else if (ssl == NULL || wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, name, (unsigned short)strlen(name)) != WOLFSSL_SUCCESS)
		kit_fail(report, KIT_LOAD, "", "wolfSSL_UseSNI does not take the server's name");
	else if (wolfSSL_check_domain_name(ssl, name) != WOLFSSL_SUCCESS) /* 5.9: no full domain name */
		kit_unsupported(report, KIT_LOAD, "wolfSSL_check_domain_name does not take the server's name");
	else if (kit_connect(conn, probe, report))
		converse(ssl, probe, conn, report);
	wolfSSL_free(ssl);
}

static void probe(const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());

	if (ctx == NULL) {
		kit_fail(report, KIT_HARNESS, "", "wolfSSL makes no context");
		return;
	}
	lab_clock.now = (time_t)probe->time;
	lab_clock.reads = 0;
	/* Before the anchors: Debian's build has OPENSSL_COMPATIBLE_DEFAULTS, in which a context verifies nothing until
	 * it is asked to, and such a context does not check the dates of what it loads. */
	wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER, NULL);
	wolfSSL_CTX_SetIOSend(ctx, send_some);
	wolfSSL_CTX_SetIORecv(ctx, recv_some);
	if (load_anchors(ctx, probe, report) &&
	    (probe->client_chain == NULL || load_client_certificate(ctx, probe, report)))
		connect_and_verify(ctx, probe, conn, report);
	wolfSSL_CTX_free(ctx);
	if (lab_clock.reads > 0)
		kit_clock(report, lab_clock.now);
}

static const char *version(void)
{
	static char text[32];

	snprintf(text, sizeof text, "wolfSSL %s", wolfSSL_lib_version());
	return text;
}

static bool start(void)
{
	if (!owns_the_clock()) {
		fprintf(stderr, "wolfssl: this build does not take its time from the lab\n");
		return false;
	}
	return wolfSSL_Init() == WOLFSSL_SUCCESS;
}

int main(int argc, char **argv)
{
	static const char *const can[] = {
#if !defined(NO_OLD_TLS) && defined(WOLFSSL_ALLOW_TLSV10)
		"tls1.0",
#endif
#ifndef NO_OLD_TLS
		"tls1.1",
#endif
		"tls1.2",
#ifdef WOLFSSL_TLS13
		"tls1.3",
#endif
		"client-cert",
		NULL,
	};
	static const char *const options[] = {"date-err-okay", NULL};
	static const struct kit_driver driver = {
		.name = "wolfssl",
		.clock = "native",
		.can = can,
		.options = options,
		.version = version,
		.start = start,
		.probe = probe,
	};

	return kit_main(argc, argv, &driver);
}
