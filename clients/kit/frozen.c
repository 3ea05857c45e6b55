/* frozen [--lib PATH] -- DRIVER [ARGUMENT...]
 *
 * Stands between the lab and a driver whose stack asks the system for the time.  The driver runs under libfaketime,
 * one process per distinct time: a probe at another time ends it and starts the next one.  Probes and reports pass
 * byte for byte; the first driver's hello passes with "clock":"faketime", and every later driver must say the same.
 *
 * --dial, --token and --column among the arguments are for this program, wherever they are: a driver needs to know
 * its stdin and stdout only.  A driver that ends or crashes ends this program in the same way; but one that did start at
 * another time, and at this one twice ends before its hello, is proof that its stack cannot be told this time. */
#include "faketime.h"
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELLO_MAX 65536
#define CHUNK 65536
#define LEAVE_MS 300 /* for a driver to end by itself when its stdin does */

/* The driver that runs, if one does. */
struct child {
	pid_t pid;
	int in, out;
	int64_t time;
};

static struct child child;
static const char *library;
static char **driver;
static json_t *greeting; /* what the first driver said */
static int stillborn;    /* the exit status of a later driver that said nothing */

static _Noreturn void give_up(const char *message)
{
	fprintf(stderr, "frozen: %s\n", message);
	_exit(3); /* which takes the driver along */
}

static void end(int signal_number)
{
	_exit(128 + signal_number);
}

/* The driver is over, and we with it, in the same way. */
static _Noreturn void follow(void)
{
	int status = 0;

	while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
		;
	faketime_forget(child.pid);
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "frozen: the driver died of signal %d\n", WTERMSIG(status));
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
		_exit(128 + WTERMSIG(status));
	}
	_exit(WEXITSTATUS(status));
}

/* A driver ended before its hello: true where an earlier one, at another time, said its own. */
static bool is_stillborn(void)
{
	int status = 0;

	if (greeting == NULL || waitpid(child.pid, &status, 0) != child.pid)
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 0) {
		fprintf(stderr, "frozen: the driver did not say hello: status %d\n", status);
		_exit(3);
	}
	stillborn = WEXITSTATUS(status);
	faketime_forget(child.pid);
	close(child.in);
	close(child.out);
	child.pid = 0;
	return true;
}

static void stop(void)
{
	struct pollfd output = {.fd = child.out, .events = 0};

	if (child.pid == 0)
		return;
	close(child.in);
	if (poll(&output, 1, LEAVE_MS) <= 0)
		kill(child.pid, SIGKILL);
	close(child.out);
	while (waitpid(child.pid, NULL, 0) < 0 && errno == EINTR)
		;
	faketime_forget(child.pid);
	child.pid = 0;
}

static void become_driver(const int in[2], const int out[2], char **environment, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(3);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	dup2(in[0], 0);
	dup2(out[1], 1);
	faketime_forget(getpid());
	execvpe(driver[0], driver, environment);
	fprintf(stderr, "frozen: %s: %s\n", driver[0], strerror(errno));
	_exit(127);
}

static void start(int64_t time)
{
	char **environment = faketime_environment(library, time, NULL);
	int in[2], out[2];
	pid_t parent = getpid();

	if (environment == NULL || !faketime_proven(environment, time))
		give_up("libfaketime does not do what it is here for");
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		give_up("no pipes");
	child = (struct child){.pid = fork(), .in = in[1], .out = out[0], .time = time};
	if (child.pid < 0)
		give_up("no process");
	if (child.pid == 0)
		become_driver(in, out, environment, parent);
	close(in[0]);
	close(out[1]);
	for (size_t i = 0; environment[i] != NULL; i++)
		free(environment[i]);
	free(environment);
}

/* Waits for the driver's output; false where the lab (-1 for nobody) hangs up first. */
static bool await_child(int lab)
{
	struct pollfd both[2] = {{.fd = child.out, .events = POLLIN}, {.fd = lab, .events = POLLRDHUP}};

	while (poll(both, 2, -1) < 0 && errno == EINTR)
		;
	return both[0].revents != 0 || both[1].revents == 0;
}

/* Reads the hello of a driver that was just started; NULL where the lab hung up meanwhile, or it is stillborn. */
static json_t *read_hello(int lab)
{
	static char line[HELLO_MAX];
	json_error_t syntax;
	json_t *hello;
	size_t len = 0;

	for (;;) {
		if (!await_child(lab))
			return NULL;
		if (read(child.out, line + len, 1) != 1) {
			if (is_stillborn())
				return NULL;
			follow();
		}
		if (line[len] == '\n')
			break;
		if (++len == sizeof line)
			give_up("the driver's hello is too long");
	}
	hello = json_loadb(line, len, 0, &syntax);
	if (!json_is_object(hello))
		give_up("the driver's hello is no JSON object");
	json_object_set_new(hello, "clock", json_string("faketime"));
	return hello;
}

/* Sees to it that a driver runs at this time; false where the lab hung up meanwhile, or it is stillborn. */
static bool at(int64_t time, int lab)
{
	json_t *hello;

	if (child.pid != 0 && child.time == time)
		return true;
	stop();
	start(time);
	hello = read_hello(lab);
	if (hello == NULL)
		return false;
	if (greeting == NULL)
		greeting = json_incref(hello);
	if (!json_equal(hello, greeting))
		give_up("the driver says another hello at another time");
	json_decref(hello);
	return true;
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t sent = write(fd, data, len);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		data += sent;
		len -= (size_t)sent;
	}
	return true;
}

static bool greet(int lab, const char *column, const char *token)
{
	json_t *hello = json_copy(greeting);
	char *line;
	bool written;

	if (column != NULL)
		json_object_set_new(hello, "column", json_string(column));
	if (token != NULL)
		json_object_set_new(hello, "token", json_string(token));
	line = json_dumps(hello, JSON_COMPACT);
	written = write_all(lab, line, strlen(line)) && write_all(lab, "\n", 1);
	free(line);
	json_decref(hello);
	return written;
}

/* The time of a probe, or `otherwise` where the line has none: then it is the driver that says so. */
static int64_t time_of(const char *line, size_t len, int64_t otherwise)
{
	json_t *probe = json_loadb(line, len, 0, NULL), *time = json_object_get(probe, "time");
	int64_t value = json_integer_value(time);

	if (!json_is_integer(time) || value < 0 || value > KIT_TIME_MAX)
		value = otherwise;
	json_decref(probe);
	return value;
}

/* Passes on what the driver says; counts the reports that end in it.  False where the lab does not listen. */
static bool pass_on(int lab, unsigned long *answered)
{
	static char data[CHUNK];
	ssize_t got = read(child.out, data, sizeof data);

	if (got < 0 && errno == EINTR)
		return true;
	if (got <= 0)
		follow();
	for (ssize_t i = 0; i < got; i++)
		*answered += data[i] == '\n';
	return write_all(lab, data, (size_t)got);
}

/* Answers a line for a driver that does not start at its time. */
static bool excuse(const char *line, size_t len, int out, unsigned long *answered)
{
	static const char text[] = "the stack does not start at this time, as it does at others";
	json_t *probe = json_loadb(line, len, 0, NULL), *said;
	const char *id = json_string_value(json_object_get(probe, "id"));
	char *report, code[16];
	bool written;

	snprintf(code, sizeof code, "%d", stillborn);
	stillborn = 0;
	said = json_pack("{si, ss, ss, ss, ss, ss}", "v", 1, "id", id != NULL ? id : "", "outcome", "unsupported",
	                 "stage", "load", "code", code, "text", text);
	report = json_dumps(said, JSON_COMPACT);
	written = report != NULL && write_all(out, report, strlen(report)) && write_all(out, "\n", 1);
	free(report);
	json_decref(said);
	json_decref(probe);
	++*answered;
	return written;
}

/* Takes one whole line out of the buffer and hands it to the right driver; false where the lab hung up. */
static bool hand_over(char *buffer, size_t *have, size_t len, int lab, int out, unsigned long *answered)
{
	int64_t wanted = time_of(buffer, len, child.pid != 0 ? child.time : time(NULL));

	/* Once may be an accident. */
	if (at(wanted, lab) || (stillborn != 0 && (stillborn = 0, at(wanted, lab)))) {
		if (!write_all(child.in, buffer, len + 1))
			follow();
	} else if (stillborn == 0 || !excuse(buffer, len, out, answered)) {
		return false;
	}
	memmove(buffer, buffer + len + 1, *have - len - 1);
	*have -= len + 1;
	return true;
}

/* Until the lab hangs up; returns how many probes were answered.  One line is under way at a time. */
static unsigned long converse(int in, int out)
{
	size_t have = 0, room = 0, seen = 0;
	unsigned long asked = 0, answered = 0;
	char *buffer = NULL;

	for (;;) {
		char *line_end = asked == answered && have > seen ? memchr(buffer + seen, '\n', have - seen) : NULL;
		struct pollfd both[2] = {{.fd = in, .events = POLLIN},
		                         {.fd = child.pid != 0 ? child.out : -1, .events = POLLIN}};
		ssize_t got;

		if (line_end != NULL) {
			seen = 0;
			asked++;
			if (!hand_over(buffer, &have, (size_t)(line_end - buffer), in, out, &answered))
				break;
			continue;
		}
		if (asked == answered)
			seen = have;
		if (poll(both, 2, -1) < 0)
			continue;
		if (both[1].revents != 0 && !pass_on(out, &answered))
			break;
		if (both[0].revents == 0)
			continue;
		if (have == room) {
			room += CHUNK;
			buffer = room <= KIT_LINE_MAX + CHUNK ? realloc(buffer, room) : NULL;
			if (buffer == NULL)
				give_up("the lab's line is too long");
		}
		got = read(in, buffer + have, room - have);
		if (got <= 0)
			break;
		have += (size_t)got;
	}
	free(buffer);
	return answered;
}

struct dialled {
	const char *column, *token;
};

static unsigned long dialled_in(int fd, void *arg)
{
	const struct dialled *who = arg;
	unsigned long answered = greet(fd, who->column, who->token) ? converse(fd, fd) : 0;

	stop(); /* what it might still say belongs to a connection that is over */
	return answered;
}

int main(int argc, char **argv)
{
	const char *named = NULL, *dial = NULL;
	struct dialled who = {0};
	int i = 1, kept = 0, status = 0;

	if (argc == 2 && strcmp(argv[1], FAKETIME_SHOW) == 0)
		return faketime_show();
	if (argc > i + 1 && strcmp(argv[i], "--lib") == 0) {
		named = argv[i + 1];
		i += 2;
	}
	if (i + 1 >= argc || strcmp(argv[i], "--") != 0) {
		fprintf(stderr, "usage: frozen [--lib PATH] -- DRIVER [ARGUMENT...] [--dial HOST:PORT --token TOKEN --column "
		                "NAME]\n");
		return 2;
	}
	driver = &argv[i + 1];
	for (i = 0; driver[i] != NULL; i++) {
		const char **value = strcmp(driver[i], "--dial") == 0     ? &dial
		                     : strcmp(driver[i], "--token") == 0  ? &who.token
		                     : strcmp(driver[i], "--column") == 0 ? &who.column
		                                                          : NULL;

		if (value != NULL && driver[i + 1] != NULL)
			*value = driver[++i];
		else
			driver[kept++] = driver[i];
	}
	driver[kept] = NULL;
	if (kept == 0 || (dial != NULL && (who.token == NULL || who.column == NULL))) {
		fprintf(stderr, "frozen: --dial needs --token and --column\n");
		return 2;
	}
	library = faketime_library(named);
	if (library == NULL) {
		fprintf(stderr, "frozen: libfaketime is not there: apt-get install libfaketime\n");
		return 3;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, end);
	signal(SIGINT, end);
	faketime_sweep();
	if (!at(time(NULL), dial == NULL ? 0 : -1))
		return 0;
	if (dial != NULL)
		status = kit_dial_in(dial, dialled_in, &who);
	else if (greet(1, NULL, NULL))
		converse(0, 1);
	stop();
	return status;
}
