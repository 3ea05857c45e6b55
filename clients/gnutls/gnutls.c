/* GnuTLS with its default priorities, its own verification of chain and host name, and the lab's clock. */
#include "kit.h"
#include "reasons.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <string.h>
#include <time.h>

/* GnuTLS asks this whenever it wants to know the time; outside a probe it fails. */
static struct {
	bool set;
	time_t now;
	unsigned reads; /* in this probe */
} lab_clock;

static time_t lab_time(time_t *out)
{
	time_t now = lab_clock.set ? lab_clock.now : (time_t)-1;

	lab_clock.reads++;
	if (out != NULL)
		*out = now;
	return now;
}

#define STEPS_MAX 64

/* What a verification looked at: every certificate, and under whose name and key. */
struct step {
	unsigned char cert[32], issuer[32];
};

struct tls {
	gnutls_session_t session;
	struct kit_conn *conn;
	struct step steps[STEPS_MAX];
	size_t step_count;
	bool name_constraints; /* a certificate of the path has some */
	int result;            /* of the last operation */
};

static struct tls *verifying; /* GnuTLS hands its callback nothing of ours */

static const char *version(void)
{
	static char text[32];

	snprintf(text, sizeof text, "GnuTLS %s", gnutls_check_version(NULL));
	return text;
}

static bool start(void)
{
	if (gnutls_global_init() != GNUTLS_E_SUCCESS)
		return false;
	gnutls_global_set_time_function(lab_time);
	return true;
}

static void fail(struct kit_report *report, enum kit_stage stage, int error)
{
	char code[16];

	snprintf(code, sizeof code, "%d", error);
	kit_fail(report, stage, code, gnutls_strerror(error));
}

static void reject_error(struct kit_report *report, enum kit_stage stage, enum kit_reason reason, int error)
{
	char code[16];

	snprintf(code, sizeof code, "%d", error);
	kit_reject(report, stage, reason, code, gnutls_strerror(error));
}

static void reject_status(struct kit_report *report, unsigned status, bool name_constraints)
{
	gnutls_datum_t text = {NULL, 0};
	char code[16];
	size_t len;

	snprintf(code, sizeof code, "0x%x", status);
	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
		text.data = NULL;
	if (text.data != NULL)
		for (len = strlen((char *)text.data); len > 0 && text.data[len - 1] == ' '; len--)
			text.data[len - 1] = '\0';
	kit_reject(report, KIT_HANDSHAKE, reason_of_status(status, name_constraints), code,
	           text.data != NULL ? (char *)text.data : "");
	gnutls_free(text.data);
}

static bool digest(gnutls_x509_crt_t cert, unsigned char out[32])
{
	size_t len = 32;

	return gnutls_x509_crt_get_fingerprint(cert, GNUTLS_DIG_SHA256, out, &len) == 0;
}

static bool has_name_constraints(gnutls_x509_crt_t cert)
{
	size_t len = 0;
	unsigned critical;
	int result = gnutls_x509_crt_get_extension_by_oid(cert, "2.5.29.30", 0, NULL, &len, &critical);

	return result != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
}

/* Called for every certificate that a verification looks at; decides nothing. */
static int see_step(gnutls_x509_crt_t cert, gnutls_x509_crt_t issuer, gnutls_x509_crl_t crl, unsigned output)
{
	struct step *step = &verifying->steps[verifying->step_count];

	(void)output;
	if (crl != NULL || verifying->step_count == STEPS_MAX || !digest(cert, step->cert))
		return 0;
	memset(step->issuer, 0, sizeof step->issuer);
	if (issuer != NULL)
		digest(issuer, step->issuer);
	verifying->step_count++;
	verifying->name_constraints |= has_name_constraints(cert) || (issuer != NULL && has_name_constraints(issuer));
	return 0;
}

/* From the end entity up, as far as the steps go.  A later step about the same certificate overrides an earlier one:
 * GnuTLS may try several paths, and the last one counts. */
static void tell_path(const struct tls *tls, struct kit_report *report)
{
	static const unsigned char nobody[32];
	unsigned count = 0;
	const gnutls_datum_t *sent = gnutls_certificate_get_peers(tls->session, &count);
	unsigned char current[32];
	size_t len = sizeof current;

	if (count == 0 || tls->step_count == 0 ||
	    gnutls_fingerprint(GNUTLS_DIG_SHA256, sent, current, &len) != GNUTLS_E_SUCCESS)
		return;
	for (size_t place = 0; place < STEPS_MAX; place++) {
		size_t i = tls->step_count;

		kit_path(report, place, current);
		while (i > 0 && memcmp(tls->steps[i - 1].cert, current, 32) != 0)
			i--;
		if (i == 0 || memcmp(tls->steps[i - 1].issuer, nobody, 32) == 0 ||
		    memcmp(tls->steps[i - 1].issuer, current, 32) == 0)
			return;
		memcpy(current, tls->steps[i - 1].issuer, 32);
	}
}

/* What the end of a handshake says: a verdict on certificates, or that something else broke. */
static void judge(struct kit_report *report, const struct tls *tls, int error)
{
	unsigned status = gnutls_session_get_verify_cert_status(tls->session);
	enum kit_reason reason;

	if (error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		reject_status(report, status, tls->name_constraints);
	else if (reason_of_error(error, &reason))
		reject_error(report, KIT_HANDSHAKE, reason, error);
	else if ((error == GNUTLS_E_PUSH_ERROR || error == GNUTLS_E_PULL_ERROR) && tls->conn->error != 0)
		kit_fail(report, KIT_HANDSHAKE, "socket", strerror(tls->conn->error));
	else
		fail(report, KIT_HANDSHAKE, error);
}

static ssize_t send_some(gnutls_transport_ptr_t arg, const void *data, size_t len)
{
	struct tls *tls = arg;
	ssize_t sent = kit_send(tls->conn, data, len);

	if (sent < 0)
		gnutls_transport_set_errno(tls->session, EIO); /* never EAGAIN: the deadline is over */
	return sent;
}

static ssize_t recv_some(gnutls_transport_ptr_t arg, void *data, size_t len)
{
	struct tls *tls = arg;
	ssize_t got = kit_recv(tls->conn, data, len);

	if (got < 0)
		gnutls_transport_set_errno(tls->session, EIO);
	return got;
}

/* Whether there is something to read.  GnuTLS waits with it only where it was told a timeout, and it was not. */
static int ready(gnutls_transport_ptr_t arg, unsigned ms)
{
	struct tls *tls = arg;
	struct pollfd fd = {.fd = tls->conn->fd, .events = POLLIN};

	(void)ms;
	return poll(&fd, 1, 0);
}

static bool again(int result)
{
	return result < 0 && gnutls_error_is_fatal(result) == 0;
}

static int tls_read(void *arg, void *data, size_t len)
{
	struct tls *tls = arg;

	do
		tls->result = (int)gnutls_record_recv(tls->session, data, len);
	while (again(tls->result));
	return tls->result;
}

static int tls_write(void *arg, const void *data, size_t len)
{
	struct tls *tls = arg;

	do
		tls->result = (int)gnutls_record_send(tls->session, data, len);
	while (again(tls->result));
	return tls->result;
}

static void converse(struct tls *tls, const struct kit_probe *probe, struct kit_report *report)
{
	int error;

	gnutls_transport_set_ptr(tls->session, tls);
	gnutls_transport_set_push_function(tls->session, send_some);
	gnutls_transport_set_pull_function(tls->session, recv_some);
	gnutls_transport_set_pull_timeout_function(tls->session, ready);
	gnutls_session_set_verify_output_function(tls->session, see_step);
	verifying = tls;
	do
		error = gnutls_handshake(tls->session);
	while (again(error));
	verifying = NULL;
	tell_path(tls, report);
	if (error != GNUTLS_E_SUCCESS) {
		judge(report, tls, error);
		gnutls_alert_send_appropriate(tls->session, error);
	}
	if (error == GNUTLS_E_SUCCESS || report->outcome == KIT_REJECTED)
		kit_tls(report, 0x0300u + (unsigned)(gnutls_protocol_get_version(tls->session) - GNUTLS_SSL3));
	if (error != GNUTLS_E_SUCCESS)
		return;
	if (!kit_http(&(struct kit_stream){tls, tls_read, tls_write}, probe, report))
		fail(report, KIT_HTTP, tls->result);
	gnutls_bye(tls->session, GNUTLS_SHUT_WR);
}

static bool load(gnutls_certificate_credentials_t credentials, const struct kit_probe *probe,
                 struct kit_report *report)
{
	gnutls_datum_t anchors = {(unsigned char *)probe->anchors, (unsigned)probe->anchors_len}, chain, key;
	int result = 0;

	if (probe->anchors_len > 0)
		result = gnutls_certificate_set_x509_trust_mem(credentials, &anchors, GNUTLS_X509_FMT_PEM);
	if (result < 0 || (result == 0 && probe->anchors_len > 0)) {
		reject_error(report, KIT_LOAD, KIT_MALFORMED, result < 0 ? result : GNUTLS_E_NO_CERTIFICATE_FOUND);
		return false;
	}
	if (probe->client_chain == NULL)
		return true;
	chain = (gnutls_datum_t){(unsigned char *)probe->client_chain, (unsigned)strlen(probe->client_chain)};
	key = (gnutls_datum_t){(unsigned char *)probe->client_key, (unsigned)strlen(probe->client_key)};
	result = gnutls_certificate_set_x509_key_mem(credentials, &chain, &key, GNUTLS_X509_FMT_PEM);
	if (result < 0)
		fail(report, KIT_LOAD, result);
	return result >= 0;
}

static bool is_address(const char *name)
{
	unsigned char room[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, room) == 1 || inet_pton(AF_INET6, name, room) == 1;
}

static void connect_and_verify(gnutls_certificate_credentials_t credentials, const struct kit_probe *probe,
                               struct kit_conn *conn, struct kit_report *report)
{
	struct tls tls = {.conn = conn};
	int error = gnutls_init(&tls.session, GNUTLS_CLIENT);

	if (error != GNUTLS_E_SUCCESS) {
		fail(report, KIT_LOAD, error);
		return;
	}
	error = gnutls_set_default_priority(tls.session);
	if (error == GNUTLS_E_SUCCESS)
		error = gnutls_credentials_set(tls.session, GNUTLS_CRD_CERTIFICATE, credentials);
	if (error == GNUTLS_E_SUCCESS && !is_address(probe->server_name))
		error = gnutls_server_name_set(tls.session, GNUTLS_NAME_DNS, probe->server_name,
		                               strlen(probe->server_name));
	gnutls_session_set_verify_cert(tls.session, probe->server_name, 0);
	if (error != GNUTLS_E_SUCCESS)
		fail(report, KIT_LOAD, error);
	else if (kit_connect(conn, probe, report))
		converse(&tls, probe, report);
	gnutls_deinit(tls.session);
}

static void probe(const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	gnutls_certificate_credentials_t credentials;
	int error = gnutls_certificate_allocate_credentials(&credentials);

	if (error != GNUTLS_E_SUCCESS) {
		fail(report, KIT_LOAD, error);
		return;
	}
	lab_clock.now = (time_t)probe->time;
	lab_clock.set = true;
	lab_clock.reads = 0;
	if (load(credentials, probe, report))
		connect_and_verify(credentials, probe, conn, report);
	gnutls_certificate_free_credentials(credentials);
	if (lab_clock.reads > 0)
		kit_clock(report, lab_clock.now);
	lab_clock.set = false;
}

int main(int argc, char **argv)
{
	static const char *const can[] = {"tls1.0", "tls1.1", "tls1.2", "tls1.3", "client-cert", NULL};
	static const struct kit_driver driver = {
		.name = "gnutls",
		.clock = "native",
		.can = can,
		.version = version,
		.start = start,
		.probe = probe,
	};

	return kit_main(argc, argv, &driver);
}
