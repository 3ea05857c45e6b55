/* NSS with its default protocol versions and ciphers, its own authentication, no database, and the lab's clock. */
#include "kit.h"
#include "own.h"
#include "reasons.h"

#include <cert.h>
#include <certdb.h>
#include <hasht.h>
#include <nss.h>
#include <nssb64.h>
#include <pk11pub.h>
#include <poll.h>
#include <private/pprio.h>
#include <prerror.h>
#include <prinit.h>
#include <secitem.h>
#include <ssl.h>
#include <sslexp.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANCHORS_MAX 256
#define DEPTH_MAX 20 /* CERT_MAX_CERT_CHAIN */

/* What a probe's own process leaves behind; its json_t pointers mean nothing outside of it. */
static struct shared {
	struct kit_report report;
	bool expired;
	size_t depth;
	unsigned char path[DEPTH_MAX][32];
} *shared;

struct store {
	CERTCertificate *certs[ANCHORS_MAX];
	size_t count;
};

struct tls {
	PRFileDesc *fd;
	struct kit_conn *conn;
	struct kit_report *report;
	PRTime now;     /* microseconds */
	unsigned reads; /* of the time, by NSS's authentication */
	bool asked;     /* NSS was asked about the certificates */
	PRErrorCode error; /* of the last operation that failed */
};

static const char *version(void)
{
	static char text[64];

	snprintf(text, sizeof text, "NSS %s", NSS_GetVersion());
	return text;
}

static void explain(PRErrorCode error, char code[48], char text[256])
{
	const char *name = PR_ErrorToName(error), *words = PR_ErrorToString(error, PR_LANGUAGE_I_DEFAULT);

	if (name != NULL)
		snprintf(code, 48, "%s", name);
	else
		snprintf(code, 48, "%d", (int)error);
	snprintf(text, 256, "%s (%d)", words != NULL ? words : "", (int)error);
}

static void reject(struct kit_report *report, enum kit_stage stage, enum kit_reason reason, PRErrorCode error)
{
	char code[48], text[256];

	explain(error, code, text);
	kit_reject(report, stage, reason, code, text);
}

static void fail(struct kit_report *report, enum kit_stage stage, PRErrorCode error)
{
	char code[48], text[256];

	explain(error, code, text);
	kit_fail(report, stage, code, text);
}

static bool set_trust(CERTCertificate *cert, const char *flags)
{
	CERTCertTrust trust;

	return CERT_DecodeTrustString(&trust, flags) == SECSuccess &&
	       CERT_ChangeCertTrust(CERT_GetDefaultCertDB(), cert, &trust) == SECSuccess;
}

/* One anchor from the base64 inside its PEM block. */
static bool add_anchor(struct store *store, const char *base64, size_t len)
{
	SECItem der = {siBuffer, NULL, 0};
	CERTCertificate *cert = NULL;
	bool added = false;

	if (store->count < ANCHORS_MAX && NSSBase64_DecodeBuffer(NULL, &der, base64, (unsigned)len) != NULL)
		cert = CERT_NewTempCertificate(CERT_GetDefaultCertDB(), &der, NULL, PR_FALSE, PR_TRUE);
	if (cert != NULL) {
		store->certs[store->count++] = cert;
		added = set_trust(cert, "C,,");
	}
	SECITEM_FreeItem(&der, PR_FALSE);
	return added;
}

static bool load(struct store *store, const struct kit_probe *probe, struct kit_report *report)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
	const char *at = probe->anchors, *stop;

	while ((at = strstr(at, begin)) != NULL) {
		at += sizeof begin - 1;
		stop = strstr(at, end);
		if (stop == NULL || !add_anchor(store, at, (size_t)(stop - at)))
			break;
		at = stop;
	}
	if (at == NULL && (store->count > 0 || probe->anchors_len == 0))
		return true;
	reject(report, KIT_LOAD, KIT_MALFORMED, at == NULL || PR_GetError() == 0 ? SEC_ERROR_BAD_DER : PR_GetError());
	return false;
}

static void unload(struct store *store)
{
	while (store->count > 0)
		CERT_DestroyCertificate(store->certs[--store->count]);
}

/* NSS_NoDB_Init opens no database and does not load Mozilla's roots. */
static bool open_nss(void)
{
	return NSS_NoDB_Init(NULL) == SECSuccess && NSS_SetDomesticPolicy() == SECSuccess &&
	       SSL_OptionSetDefault(SSL_NO_CACHE, PR_TRUE) == SECSuccess;
}

static PRTime PR_CALLBACK lab_time(void *arg)
{
	struct tls *tls = arg;

	tls->reads++;
	return tls->now;
}

static bool is_anchor(CERTCertificate *cert)
{
	CERTCertTrust trust;

	return CERT_GetCertTrust(cert, &trust) == SECSuccess && (trust.sslFlags & CERTDB_TRUSTED_CA);
}

/* From the end entity up, as NSS's own verification goes: the issuer that NSS finds at that time, until one is an
 * anchor.  Returns NSS's word on the dates of the first certificate that is out of them. */
static SECCertTimeValidity walk(struct tls *tls, CERTCertificate *leaf)
{
	CERTCertificate *cert = CERT_DupCertificate(leaf), *issuer;
	SECCertTimeValidity dates = secCertTimeValid;

	for (size_t place = 0; cert != NULL && place < DEPTH_MAX; place++) {
		PK11_HashBuf(SEC_OID_SHA256, shared->path[place], cert->derCert.data, (PRInt32)cert->derCert.len);
		shared->depth = place + 1;
		if (dates == secCertTimeValid)
			dates = CERT_CheckCertValidTimes(cert, tls->now, PR_FALSE);
		issuer = NULL;
		if ((place == 0 || !is_anchor(cert)) && !cert->isRoot)
			issuer = CERT_FindCertIssuer(cert, tls->now, certUsageSSLServer);
		CERT_DestroyCertificate(cert);
		cert = issuer;
	}
	if (cert != NULL)
		CERT_DestroyCertificate(cert);
	return dates;
}

/* Around SSL_AuthCertificate, which is what NSS does by default: it decides, this only listens. */
static SECStatus PR_CALLBACK authenticate(void *arg, PRFileDesc *fd, PRBool check_signature, PRBool is_server)
{
	struct tls *tls = arg;
	SECStatus verdict;
	PRErrorCode error;
	CERTCertificate *leaf;
	SECCertTimeValidity dates = secCertTimeUndetermined;
	enum kit_reason reason = KIT_OTHER;

	tls->reads = 0;
	PR_SetError(0, 0);
	verdict = SSL_AuthCertificate(CERT_GetDefaultCertDB(), fd, check_signature, is_server);
	error = PR_GetError();
	tls->asked = true;
	if (tls->reads > 0)
		kit_clock(tls->report, tls->now / PR_USEC_PER_SEC);
	leaf = SSL_PeerCertificate(fd);
	if (leaf != NULL) {
		dates = walk(tls, leaf);
		CERT_DestroyCertificate(leaf);
	}
	if (verdict != SECSuccess) {
		reason_of(error, &reason);
		if (reason == KIT_EXPIRED && dates == secCertTimeNotValidYet)
			reason = KIT_NOT_YET_VALID;
		if (IS_SEC_ERROR(error) || IS_SSL_ERROR(error))
			reject(tls->report, KIT_HANDSHAKE, reason, error);
		else
			fail(tls->report, KIT_HANDSHAKE, error);
		PR_SetError(error, 0);
	}
	return verdict;
}

/* After an operation that did not succeed: true where it is to be tried again. */
static bool again(struct tls *tls, short events)
{
	tls->error = PR_GetError();
	return tls->error == PR_WOULD_BLOCK_ERROR && kit_wait(tls->conn, events);
}

static int tls_read(void *arg, void *data, size_t len)
{
	struct tls *tls = arg;
	PRInt32 got;

	do
		got = PR_Read(tls->fd, data, (PRInt32)len);
	while (got < 0 && again(tls, POLLIN));
	return got;
}

static int tls_write(void *arg, const void *data, size_t len)
{
	struct tls *tls = arg;
	PRInt32 sent;

	do
		sent = PR_Write(tls->fd, data, (PRInt32)len);
	while (sent < 0 && again(tls, POLLOUT));
	return sent;
}

/* What the end of a handshake says where NSS was never asked about the certificates. */
static void judge(struct tls *tls)
{
	enum kit_reason reason;

	/* What cannot be decoded never reaches the authentication. */
	if (!tls->asked && reason_of(tls->error, &reason))
		reject(tls->report, KIT_HANDSHAKE, reason, tls->error);
	else
		fail(tls->report, KIT_HANDSHAKE, tls->error);
}

static void converse(struct tls *tls, const struct kit_probe *probe)
{
	SSLPreliminaryChannelInfo info;
	SECStatus done;

	tls->report->stage = KIT_HANDSHAKE;
	do
		done = SSL_ForceHandshake(tls->fd);
	while (done != SECSuccess && again(tls, POLLIN));
	if (done != SECSuccess && tls->report->outcome != KIT_REJECTED)
		judge(tls);
	if ((done == SECSuccess || tls->report->outcome == KIT_REJECTED) &&
	    SSL_GetPreliminaryChannelInfo(tls->fd, &info, sizeof info) == SECSuccess &&
	    (info.valuesSet & ssl_preinfo_version))
		kit_tls(tls->report, info.protocolVersion);
	if (done == SECSuccess && !kit_http(&(struct kit_stream){tls, tls_read, tls_write}, probe, tls->report))
		fail(tls->report, KIT_HTTP, tls->error);
}

static bool prepare(struct tls *tls, const struct kit_probe *probe, struct own *own)
{
	return (own->cert == NULL || SSL_GetClientAuthDataHook(tls->fd, show_own, own) == SECSuccess) &&
	       SSL_OptionSet(tls->fd, SSL_SECURITY, PR_TRUE) == SECSuccess &&
	       SSL_OptionSet(tls->fd, SSL_HANDSHAKE_AS_CLIENT, PR_TRUE) == SECSuccess &&
	       SSL_SetURL(tls->fd, probe->server_name) == SECSuccess &&
	       SSL_SetTimeFunc(tls->fd, lab_time, tls) == SECSuccess &&
	       SSL_AuthCertificateHook(tls->fd, authenticate, tls) == SECSuccess &&
	       SSL_ResetHandshake(tls->fd, PR_FALSE) == SECSuccess;
}

static void connect_and_verify(const struct kit_probe *probe, struct own *own, struct kit_conn *conn,
                               struct kit_report *report)
{
	struct tls tls = {.conn = conn, .report = report, .now = (PRTime)probe->time * PR_USEC_PER_SEC};
	PRSocketOptionData option = {.option = PR_SockOpt_Nonblocking, .value = {.non_blocking = PR_TRUE}};
	PRFileDesc *tcp, *ssl;

	if (!kit_connect(conn, probe, report))
		return;
	tcp = PR_ImportTCPSocket(conn->fd);
	if (tcp == NULL) {
		fail(report, KIT_HARNESS, PR_GetError());
		return;
	}
	PR_SetSocketOption(tcp, &option);
	ssl = SSL_ImportFD(NULL, tcp);
	tls.fd = ssl != NULL ? ssl : tcp;
	if (ssl == NULL || !prepare(&tls, probe, own))
		fail(report, KIT_LOAD, PR_GetError());
	else
		converse(&tls, probe);
	PR_Close(tls.fd); /* and the socket in it */
	conn->fd = -1;
}

static void run(const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	struct store store = {.count = 0};
	struct own own = {.cert = NULL};

	if (!open_nss()) {
		fail(report, KIT_HARNESS, PR_GetError());
		return;
	}
	if (load(&store, probe, report)) {
		if (probe->client_chain != NULL && !load_own(&own, probe))
			fail(report, KIT_LOAD, PR_GetError());
		else
			connect_and_verify(probe, &own, conn, report);
	}
	drop_own(&own);
	unload(&store);
}

/* Every probe has a process, and so an NSS, of its own: NSS remembers trust beyond the life of a certificate, and cannot
 * be shut down and started again as often as we like (NSPR has 128 indices for thread-private data, and each start takes
 * one).  A crash of that process is one of ours. */
static void probe(const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	pid_t child;
	int status = 0;

	memset(shared, 0, sizeof *shared);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(probe, conn, report);
		shared->report = *report;
		shared->expired = conn->expired;
		_exit(0);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (child > 0 && WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		kit_fail(report, KIT_HARNESS, "", "the probe's process did not end as it should");
		return;
	}
	*report = shared->report;
	report->path = NULL;
	conn->expired = shared->expired;
	for (size_t place = 0; place < shared->depth; place++)
		kit_path(report, place, shared->path[place]);
}

static bool start(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared != MAP_FAILED;
}

int main(int argc, char **argv)
{
	static const char *const can[] = {"tls1.2", "tls1.3", "client-cert", NULL};
	static const struct kit_driver driver = {
		.name = "nss",
		.clock = "native",
		.can = can,
		.version = version,
		.start = start,
		.probe = probe,
	};

	return kit_main(argc, argv, &driver);
}
