/* BearSSL with br_ssl_client_init_full(), its "minimal" X.509 engine, and the lab's time; or, by option, with its
 * "known key" engine, which trusts one public key whatever the certificates say. */
#include "kit.h"
#include "own.h"
#include "pin.h"
#include "reasons.h"

#include <bearssl.h>
#include <stdlib.h>
#include <string.h>

#define DAYS_TO_1970 719528 /* BearSSL counts days from the first of January of year 0 */

/* An anchor is a name and a key.  The decoder stays, because the key lies inside it. */
struct anchor {
	br_x509_decoder_context decoder;
	unsigned char *dn;
	size_t dn_len;
	bool whole;
};

struct anchors {
	struct anchor **list;
	br_x509_trust_anchor *trust;
	size_t count;
};

static void append_dn(void *arg, const void *data, size_t len)
{
	struct anchor *anchor = arg;

	anchor->dn = realloc(anchor->dn, anchor->dn_len + len);
	memcpy(anchor->dn + anchor->dn_len, data, len);
	anchor->dn_len += len;
}

static void push_der(void *anchor, const void *data, size_t len)
{
	br_x509_decoder_push(&((struct anchor *)anchor)->decoder, data, len);
}

static struct anchor *add(struct anchors *anchors)
{
	struct anchor *anchor = calloc(1, sizeof *anchor);

	anchors->list = realloc(anchors->list, (anchors->count + 1) * sizeof *anchors->list);
	anchors->list[anchors->count++] = anchor;
	br_x509_decoder_init(&anchor->decoder, append_dn, anchor);
	return anchor;
}

/* Decodes every certificate in the text; returns BearSSL's error, or 0. */
static int decode(struct anchors *anchors, const char *text, size_t len)
{
	br_pem_decoder_context pem;
	struct anchor *anchor = NULL;
	bool ended = false;
	size_t used;

	br_pem_decoder_init(&pem);
	for (;; text += used, len -= used) {
		if (len == 0 && ended)
			break;
		if (len == 0) { /* the decoder wants the last line to end */
			text = "\n";
			len = 1;
			ended = true;
		}
		used = br_pem_decoder_push(&pem, text, len);
		switch (br_pem_decoder_event(&pem)) {
		case BR_PEM_BEGIN_OBJ:
			anchor = NULL;
			if (strcmp(br_pem_decoder_name(&pem), "CERTIFICATE") == 0 ||
			    strcmp(br_pem_decoder_name(&pem), "X509 CERTIFICATE") == 0)
				anchor = add(anchors);
			br_pem_decoder_setdest(&pem, anchor != NULL ? push_der : NULL, anchor);
			break;
		case BR_PEM_END_OBJ:
			if (anchor != NULL && br_x509_decoder_last_error(&anchor->decoder) != 0)
				return br_x509_decoder_last_error(&anchor->decoder);
			if (anchor != NULL)
				anchor->whole = true;
			break;
		case BR_PEM_ERROR:
			return BR_ERR_X509_INVALID_VALUE;
		}
	}
	return anchors->count > 0 && anchors->list[anchors->count - 1]->whole ? 0 : BR_ERR_X509_TRUNCATED;
}

static bool load_anchors(struct anchors *anchors, const struct kit_probe *probe, struct kit_report *report)
{
	int error = probe->anchors_len > 0 ? decode(anchors, probe->anchors, probe->anchors_len) : 0;
	char code[16];

	if (error != 0) {
		snprintf(code, sizeof code, "%d", error);
		kit_reject(report, KIT_LOAD, KIT_MALFORMED, code, name_of(error));
		return false;
	}
	anchors->trust = calloc(anchors->count + 1, sizeof *anchors->trust);
	for (size_t i = 0; i < anchors->count; i++) {
		struct anchor *anchor = anchors->list[i];

		anchors->trust[i].dn.data = anchor->dn;
		anchors->trust[i].dn.len = anchor->dn_len;
		anchors->trust[i].flags = br_x509_decoder_isCA(&anchor->decoder) ? BR_X509_TA_CA : 0;
		anchors->trust[i].pkey = *br_x509_decoder_get_pkey(&anchor->decoder);
	}
	return true;
}

static void drop(struct anchors *anchors)
{
	for (size_t i = 0; i < anchors->count; i++) {
		free(anchors->list[i]->dn);
		free(anchors->list[i]);
	}
	free(anchors->list);
	free(anchors->trust);
}

static int low_read(void *conn, unsigned char *data, size_t len)
{
	ssize_t got = kit_recv(conn, data, len);

	return got > 0 ? (int)got : -1;
}

static int low_write(void *conn, const unsigned char *data, size_t len)
{
	return (int)kit_send(conn, data, len);
}

static int tls_read(void *io, void *data, size_t len)
{
	br_sslio_context *sslio = io;
	int got = br_sslio_read(sslio, data, len);

	return got < 0 && br_ssl_engine_last_error(sslio->engine) == BR_ERR_OK ? 0 : got;
}

static int tls_write(void *io, const void *data, size_t len)
{
	return br_sslio_write_all(io, data, len) == 0 && br_sslio_flush(io) == 0 ? (int)len : -1;
}

/* BearSSL has one space of error numbers; those of X.509 are its verdict on certificates, all others are not.  Where a
 * key is pinned, the verdict is whether the server can sign with it. */
static void broken(const br_ssl_engine_context *engine, const struct kit_conn *conn, enum kit_stage stage, bool pinned,
                   struct kit_report *report)
{
	int error = br_ssl_engine_last_error(engine);
	char code[16], text[128];

	snprintf(code, sizeof code, "%d", error);
	if (pinned && (error == BR_ERR_BAD_SIGNATURE || error == BR_ERR_WRONG_KEY_USAGE)) {
		snprintf(text, sizeof text, "%s: not the key that is pinned", name_of(error));
		kit_reject(report, stage, KIT_OTHER, code, text);
	} else if (error > BR_ERR_X509_OK && error <= BR_ERR_X509_NOT_TRUSTED) {
		kit_reject(report, stage, reason_of(error), code, name_of(error));
	} else if (error == BR_ERR_IO) {
		snprintf(text, sizeof text, "BR_ERR_IO: %s", conn->error ? strerror(conn->error) : "end of file");
		kit_fail(report, stage, code, text);
	} else {
		kit_fail(report, stage, code, name_of(error));
	}
}

static void probe(const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	static unsigned char buffer[BR_SSL_BUFSIZE_BIDI];
	bool pinned = kit_option(probe, "pin-key");
	struct anchors anchors = {0};
	struct pin pin;
	struct own own = {.count = 0};
	br_ssl_client_context client;
	br_x509_minimal_context x509;
	br_sslio_context io;
	unsigned char *last;
	size_t len;

	if (!(pinned ? load_pin(&pin, probe, report) : load_anchors(&anchors, probe, report)) ||
	    (probe->client_chain != NULL && !load_own(&own, probe, report)) || !kit_connect(conn, probe, report)) {
		drop_own(&own);
		drop(&anchors);
		return;
	}
	br_ssl_client_init_full(&client, &x509, anchors.trust, anchors.count);
	br_x509_minimal_set_time(&x509, (uint32_t)(probe->time / 86400 + DAYS_TO_1970),
	                         (uint32_t)(probe->time % 86400));
	if (own.count > 0)
		show_own(&own, &client);
	if (pinned)
		br_ssl_engine_set_x509(&client.eng, &pin.known.vtable);
	br_ssl_engine_set_buffer(&client.eng, buffer, sizeof buffer, 1);
	/* Seeds the engine with br_prng_seeder_system() where that is there, and fails where it is not. */
	br_ssl_client_reset(&client, probe->server_name, 0);
	br_sslio_init(&io, &client.eng, low_read, conn, low_write, conn);
	if (br_sslio_flush(&io) != 0) { /* which is the handshake */
		broken(&client.eng, conn, KIT_HANDSHAKE, pinned, report);
	} else if (!kit_http(&(struct kit_stream){&io, tls_read, tls_write}, probe, report)) {
		broken(&client.eng, conn, KIT_HTTP, pinned, report);
	} else {
		/* br_sslio_close() would wait for the server's close_notify; ours is enough. */
		br_ssl_engine_close(&client.eng);
		if ((last = br_ssl_engine_sendrec_buf(&client.eng, &len)) != NULL)
			kit_send(conn, last, len);
	}
	if (report->stage == KIT_HTTP || report->outcome == KIT_REJECTED)
		kit_tls(report, br_ssl_engine_get_version(&client.eng));
	if (!pinned)
		kit_clock(report, ((int64_t)x509.days - DAYS_TO_1970) * 86400 + x509.seconds);
	drop_own(&own);
	drop(&anchors);
}

/* The library cannot say its version: this is the Debian package's, at the time of the build. */
static const char *version(void)
{
	return "BearSSL " BEARSSL_VERSION;
}

int main(int argc, char **argv)
{
	static const char *const can[] = {"tls1.0", "tls1.1", "tls1.2", "client-cert", NULL};
	static const char *const can_pin[] = {"tls1.0", "tls1.1", "tls1.2", "client-cert", "pins", NULL};
	static const char *const options[] = {"pin-key", NULL};
	struct kit_driver driver = {
		.name = "bearssl",
		.clock = "native",
		.can = can,
		.options = options,
		.version = version,
		.probe = probe,
	};

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "pin-key") == 0 && strcmp(argv[i - 1], "--option") == 0)
			driver.can = can_pin; /* what the lab sends pins to */
	return kit_main(argc, argv, &driver);
}
