/* ffmpeg as a client: one run of it a probe, which reads the answer over https and copies it to nowhere. */
#define _GNU_SOURCE /* memfd_create */
#include "clock.h"
#include "kit.h"

#include <libgen.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX 16384

static char program[512]; /* beside this one */
static const char *can[] = {"tls1.0", "tls1.1", "tls1.2", NULL, NULL};
static char made_of[128]; /* what it and the GnuTLS inside say of themselves */

/* Runs ffmpeg and takes its output; false where the harness failed. */
static bool run(struct run *run, char output[OUTPUT_MAX + 1])
{
	ssize_t got;

	run->output = memfd_create("output", 0);
	if (run->output < 0 || !run_at(run))
		return false;
	got = pread(run->output, output, OUTPUT_MAX, 0);
	output[got > 0 ? got : 0] = '\0';
	close(run->output);
	return got >= 0;
}

/* The last line of the output that has these words, without what ffmpeg puts in front: "[tls @ 0x...] ". */
static bool find_line(const char *output, const char *words, char line[256])
{
	const char *at = output, *found = NULL, *begin;

	while ((at = strstr(at, words)) != NULL)
		found = at++;
	if (found == NULL)
		return false;
	for (begin = found; begin > output && begin[-1] != '\n';)
		begin--;
	if (*begin == '[' && begin[strcspn(begin, "]\n")] == ']')
		begin += strcspn(begin, "]") + 1;
	while (*begin == ' ')
		begin++;
	snprintf(line, 256, "%.*s", (int)strcspn(begin, "\n"), begin);
	return true;
}

/* What ffmpeg says, in tls_gnutls.c's words.  It tests one flag of the verification's status, GNUTLS_CERT_INVALID, and
 * says no more: which flags were set beside it stays unknown. */
static const struct {
	const char *words, *code;
	enum kit_outcome outcome;
	enum kit_stage stage;
	enum kit_reason reason;
} meanings[] = {
	{"Peer certificate failed verification", "GNUTLS_CERT_INVALID", KIT_REJECTED, KIT_HANDSHAKE, KIT_OTHER},
	{"The certificate's owner does not match", "owner", KIT_REJECTED, KIT_HANDSHAKE, KIT_WRONG_HOST},
	{"Unable to verify peer certificate", "verify", KIT_REJECTED, KIT_HANDSHAKE, KIT_OTHER},
	{"ASN1 parser: ", "asn1", KIT_REJECTED, KIT_HANDSHAKE, KIT_MALFORMED},
	{"Error in the certificate", "GNUTLS_E_CERTIFICATE_ERROR", KIT_REJECTED, KIT_HANDSHAKE, KIT_MALFORMED},
	{"Duplicate extension", "duplicate", KIT_REJECTED, KIT_HANDSHAKE, KIT_MALFORMED},
	{"Connection refused", "ECONNREFUSED", KIT_FAILED, KIT_CONNECT, KIT_OTHER},
	{"Resource temporarily unavailable", "EAGAIN", KIT_FAILED, KIT_HANDSHAKE, KIT_OTHER},
	{"Server returned", "http", KIT_FAILED, KIT_HTTP, KIT_OTHER},
	{"[tls @ ", "tls", KIT_FAILED, KIT_HANDSHAKE, KIT_OTHER},
};

static void judge(const char *output, int status, struct kit_report *report)
{
	char line[256], code[16];

	if (status == 0) {
		kit_accept(report);
		return;
	}
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
		if (!find_line(output, meanings[i].words, line))
			continue;
		if (meanings[i].outcome == KIT_REJECTED)
			kit_reject(report, meanings[i].stage, meanings[i].reason, meanings[i].code, line);
		else
			kit_fail(report, meanings[i].stage, meanings[i].code, line);
		return;
	}
	snprintf(code, sizeof code, "%d", status);
	if (!find_line(output, ":", line))
		line[0] = '\0';
	kit_fail(report, KIT_HARNESS, code, line);
}

static void probe(const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	static char output[OUTPUT_MAX + 1];
	bool six = strchr(probe->host, ':') != NULL;
	int anchors = memfd_create("anchors", 0);
	char file[32], url[128];
	char *arguments[] = {program, "-hide_banner", "-nostdin", "-loglevel", "error", "-tls_verify", "1", "-ca_file",
	                     file, "-verifyhost", (char *)probe->server_name, "-f", "data", "-i", url, "-map", "0",
	                     "-codec", "copy", "-f", "null", "-", NULL};
	char *environment[] = {"TZ=UTC", "LC_ALL=C", NULL};
	struct run one = {.arguments = arguments, .environment = environment, .time = probe->time,
	                  .left_ms = (int)(conn->deadline - kit_now_ms())};

	snprintf(file, sizeof file, "/proc/self/fd/%d", anchors);
	snprintf(url, sizeof url, "https://%s%s%s:%d/", six ? "[" : "", probe->host, six ? "]" : "", probe->port);
	report->stage = KIT_HANDSHAKE;
	if (anchors < 0 || write(anchors, probe->anchors, probe->anchors_len) != (ssize_t)probe->anchors_len ||
	    !run(&one, output)) {
		kit_fail(report, KIT_HARNESS, "", "ffmpeg cannot be run under our clock");
	} else if (one.expired) {
		conn->expired = true;
		kit_fail(report, KIT_HANDSHAKE, "timeout", "");
	} else if (WIFSIGNALED(one.status)) {
		/* A crash of ffmpeg is ours, so that the lab names it. */
		fprintf(stderr, "%s\n", output);
		signal(WTERMSIG(one.status), SIG_DFL);
		raise(WTERMSIG(one.status));
	} else {
		judge(output, WEXITSTATUS(one.status), report);
	}
	if (one.reads > 0)
		kit_clock(report, probe->time);
	if (anchors >= 0)
		close(anchors);
}

/* GnuTLS names itself in its log, where it is asked to keep one; ffmpeg does not name it. */
static bool start(void)
{
	static char output[OUTPUT_MAX + 1], name[400];
	static const char gnutls[] = "Enabled GnuTLS ", ffmpeg[] = "ffmpeg version ";
	char *arguments[] = {program, "-version", NULL};
	char *environment[] = {"TZ=UTC", "LC_ALL=C", "GNUTLS_DEBUG_LEVEL=2", NULL};
	struct run one = {.arguments = arguments, .environment = environment, .left_ms = 20000};
	const char *first, *second;
	ssize_t len = readlink("/proc/self/exe", name, sizeof name - 1);

	snprintf(program, sizeof program, "%s/ffmpeg", len > 0 ? dirname(name) : ".");
	if (!run(&one, output) || one.status != 0) {
		fprintf(stderr, "%s cannot be run: status %d\n", program, one.status);
		return false;
	}
	first = strstr(output, ffmpeg);
	second = strstr(output, gnutls);
	if (first == NULL || second == NULL) {
		fprintf(stderr, "%s does not say what it is made of: %s\n", program, output);
		return false;
	}
	first += sizeof ffmpeg - 1;
	second += sizeof gnutls - 1;
	snprintf(made_of, sizeof made_of, "ffmpeg %.*s, GnuTLS %.*s", (int)strcspn(first, " \n"), first,
	         (int)strcspn(second, " \n"), second);
	if (strncmp(second, "3.5.", 4) != 0) /* since 3.6.3 */
		can[3] = "tls1.3";
	return true;
}

static const char *version(void)
{
	return made_of;
}

int main(int argc, char **argv)
{
	static const struct kit_driver driver = {
		.name = "ffmpeg",
		.clock = "native",
		.can = can,
		.version = version,
		.start = start,
		.probe = probe,
	};

	return kit_main(argc, argv, &driver);
}
