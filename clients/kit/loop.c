/* The program: arguments, then a report for every line until the lab hangs up. */
#include "kit.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIAL_PATIENCE_MS 60000   /* a lab that is being started */
#define REDIAL_PATIENCE_MS 5000  /* a lab that hung up may want us again, or be over */
#define REDIAL_PAUSE_MS 250
#define OPTIONS_MAX 16

static const char *chosen[OPTIONS_MAX + 1]; /* by --option; ends with NULL */
static size_t chosen_count;

bool kit_option(const struct kit_probe *probe, const char *name)
{
	json_t *option;
	size_t i;

	for (i = 0; i < chosen_count; i++)
		if (strcmp(chosen[i], name) == 0)
			return true;
	json_array_foreach (json_object_get(probe->json, "options"), i, option)
		if (strcmp(json_string_value(option), name) == 0)
			return true;
	return false;
}

/* A process that is PID 1 has no default action for signals: it must ask for one. */
static void end(int signal_number)
{
	_exit(128 + signal_number);
}

static int usage(const char *program, const char *message, const char *argument)
{
	fprintf(stderr,
	        "%s: %s%s\nusage: %s [--option NAME]... [--dial HOST:PORT --token TOKEN --column NAME]\n",
	        program, message, argument, program);
	return 2;
}

static bool choose(const struct kit_driver *driver, const char *name)
{
	const char *const *known = driver->options;

	while (known != NULL && *known != NULL && strcmp(*known, name) != 0)
		known++;
	if (known == NULL || *known == NULL || chosen_count == OPTIONS_MAX)
		return false;
	chosen[chosen_count++] = name;
	return true;
}

/* Reads one line, without its end, into *line.  Returns 1; 0 at the end of input; -1 where the line was
 * too long, which is then skipped.  A last line without an end is no line: its sender did not finish. */
static int read_line(FILE *in, char **line, size_t *room, size_t *len)
{
	bool fits = true;
	int c;

	*len = 0;
	while ((c = getc_unlocked(in)) != EOF && c != '\n') {
		if (fits && *len == *room) {
			size_t more = *room ? 2 * *room : 16384;
			char *grown = more <= KIT_LINE_MAX ? realloc(*line, more) : NULL;

			fits = grown != NULL;
			if (fits) {
				*line = grown;
				*room = more;
			}
		}
		if (fits)
			(*line)[(*len)++] = (char)c;
	}
	if (c == EOF)
		return 0;
	return fits ? 1 : -1;
}

static void serve(const struct kit_driver *driver, const struct kit_probe *probe, int64_t received,
                  struct kit_report *report)
{
	struct kit_conn conn = {.fd = -1, .deadline = received + probe->timeout_ms};

	kit_fail(report, KIT_HARNESS, "", "the driver said nothing");
	driver->probe(probe, &conn, report);
	if (conn.fd >= 0)
		close(conn.fd);
	if (conn.expired && report->outcome == KIT_FAILED) {
		char text[64];

		snprintf(text, sizeof text, "no end within %d ms", probe->timeout_ms);
		kit_fail(report, report->stage, "timeout", text);
	}
}

/* Returns how many lines were answered. */
static unsigned long loop(const struct kit_driver *driver, FILE *in, FILE *out)
{
	unsigned long answered = 0;
	char *line = NULL, error[256];
	size_t room = 0, len;
	int got;

	while ((got = read_line(in, &line, &room, &len)) != 0) {
		int64_t received = kit_now_ms();
		struct kit_report report = {0};
		struct kit_probe probe = {.id = ""};
		bool written;

		if (got < 0)
			kit_fail(&report, KIT_HARNESS, "", "the line is longer than 4 MiB");
		else if (!kit_parse(line, len, driver, &probe, error))
			kit_fail(&report, KIT_HARNESS, "", error);
		else if (probe.refusal != NULL)
			kit_unsupported(&report, KIT_LOAD, probe.refusal);
		else
			serve(driver, &probe, received, &report);
		written = kit_write_report(out, &probe, &report);
		kit_release(&probe, &report);
		if (!written)
			break; /* nobody listens any more */
		answered++;
	}
	free(line);
	return answered;
}

/* Dials in, and again when the lab hangs up: after a deadline it wants a fresh start.  Ends when the lab is gone,
 * and a while after it, so that whoever runs lab and clients together sees the lab end first.  `session` may use the
 * descriptor until it returns how many probes it answered. */
int kit_dial_in(const char *lab, unsigned long (*session)(int fd, void *arg), void *arg)
{
	bool useful = false;
	int fd;

	while ((fd = kit_dial(lab, useful ? REDIAL_PATIENCE_MS : DIAL_PATIENCE_MS)) >= 0) {
		bool asked = session(fd, arg) > 0;

		close(fd);
		if (!asked && !useful) {
			fprintf(stderr, "the lab at %s hung up without a question\n", lab);
			return 3;
		}
		useful = true;
		if (!asked)
			poll(NULL, 0, REDIAL_PAUSE_MS);
	}
	if (!useful)
		fprintf(stderr, "cannot reach the lab at %s\n", lab);
	return useful ? 0 : 3;
}

struct dialled {
	const struct kit_driver *driver;
	const char *column, *token;
};

static unsigned long dialled_in(int fd, void *arg)
{
	const struct dialled *who = arg;
	FILE *in = fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 0), "r"), *out = fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 0), "w");
	unsigned long answered = 0;

	if (in != NULL && out != NULL && kit_write_hello(out, who->driver, chosen, who->column, who->token))
		answered = loop(who->driver, in, out);
	if (out != NULL)
		fclose(out);
	if (in != NULL)
		fclose(in);
	return answered;
}

int kit_main(int argc, char **argv, const struct kit_driver *driver)
{
	const char *dial = NULL, *token = NULL, *column = NULL;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, end);
	signal(SIGINT, end);
	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (value == NULL)
			return usage(argv[0], "needs a value, or is not known: ", argv[i]);
		if (strcmp(argv[i], "--option") == 0) {
			if (!choose(driver, value))
				return usage(argv[0], "unknown option: ", value);
		} else if (strcmp(argv[i], "--dial") == 0) {
			dial = value;
		} else if (strcmp(argv[i], "--token") == 0) {
			token = value;
		} else if (strcmp(argv[i], "--column") == 0) {
			column = value;
		} else {
			return usage(argv[0], "unknown argument: ", argv[i]);
		}
	}
	if (dial != NULL && (token == NULL || column == NULL))
		return usage(argv[0], "--dial needs --token and --column", "");
	if (driver->start != NULL && !driver->start()) {
		fprintf(stderr, "%s: the stack does not start\n", argv[0]);
		return 3;
	}
	if (dial != NULL)
		return kit_dial_in(dial, dialled_in, &(struct dialled){driver, column, token});
	if (!kit_write_hello(stdout, driver, chosen, NULL, NULL))
		return 3;
	loop(driver, stdin, stdout);
	return 0;
}
