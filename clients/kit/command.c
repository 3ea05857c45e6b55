/* command RULE... -- PROGRAM [ARGUMENT...] -- [what the lab appends]
 *
 * A client out of a program that knows no dialogue: one run of it a probe, no shell in between.  Its exit status says
 * what happened, its output why.  rules.h has the rules; these are the others:
 *
 *   --client NAME             the stack, for the hello
 *   --version-command TEXT    words that print a version on their first line; several are joined
 *   --clock faketime|real     whether the program runs under libfaketime at the probe's time
 *   --hosts                   the program resolves the server's name through libnss_wrapper
 *   --env NAME=VALUE          more environment
 *   --file NAME=TEXT          a file in the probe's folder
 *   --client-cert WORD        a word more for the program where the probe has a certificate of the client's own
 *
 * In arguments, environment and files: {dir} a new folder for this probe, {empty_dir} an empty one in it, {anchors},
 * {client_chain} and {client_key} PEM files in it, {server_name} {host} {port} {time}, {authority} the server's name as
 * URLs have it, and {timeout} in seconds.  The folder lies below $TMPDIR, /dev/shm or /tmp, whichever can be written. */
#include "faketime.h"
#include "kit.h"
#include "rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIST_MAX 32
#define WORDS_MAX 16
#define OUTPUT_MAX 65536
#define VERSION_MS 20000

extern char **environ;

static const char *files[LIST_MAX], *own_words[WORDS_MAX], *settings[LIST_MAX], *version_commands[LIST_MAX];
static size_t file_count, own_count, setting_count, version_count;
static struct rules rules;
static char **arguments;
static const char *library, *resolver;
static char version_text[300];

static bool write_file(const char *path, const char *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool written = fd >= 0 && write(fd, data, len) == (ssize_t)len;

	if (fd >= 0)
		close(fd);
	return written;
}

/* Replaces placeholders; the result is allocated. */
static char *expand(const char *text, const struct kit_probe *probe, const char *dir)
{
	char port[8], time[24], seconds[16], anchors[300], empty[300], chain[300], key[300], authority[300], *result = NULL;
	const struct {
		const char *name, *value;
	} known[] = {{"{dir}", dir}, {"{empty_dir}", empty}, {"{anchors}", anchors}, {"{client_chain}", chain},
	             {"{client_key}", key}, {"{port}", port}, {"{time}", time}, {"{timeout}", seconds},
	             {"{server_name}", probe->server_name}, {"{authority}", authority}, {"{host}", probe->host}};
	size_t len = 0, count = sizeof known / sizeof *known, i;
	FILE *out = open_memstream(&result, &len);

	snprintf(port, sizeof port, "%d", probe->port);
	snprintf(time, sizeof time, "%" PRId64, probe->time);
	snprintf(seconds, sizeof seconds, "%d", (probe->timeout_ms + 999) / 1000);
	snprintf(anchors, sizeof anchors, "%s/anchors.pem", dir);
	snprintf(empty, sizeof empty, "%s/empty", dir);
	snprintf(chain, sizeof chain, "%s/client-chain.pem", dir);
	snprintf(key, sizeof key, "%s/client-key.pem", dir);
	/* An address in which there are colons stands in brackets (RFC 3986 section 3.2.2). */
	snprintf(authority, sizeof authority, strchr(probe->server_name, ':') != NULL ? "[%s]" : "%s", probe->server_name);
	while (*text != '\0') {
		for (i = 0; i < count && strncmp(text, known[i].name, strlen(known[i].name)) != 0; i++)
			;
		if (i < count) {
			fputs(known[i].value, out);
			text += strlen(known[i].name);
		} else {
			putc(*text++, out);
		}
	}
	fclose(out);
	return result;
}

/* A new folder with the anchors, an empty folder and the files that were asked for. */
static bool prepare(char dir[256], const struct kit_probe *probe)
{
	const char *places[] = {getenv("TMPDIR"), "/dev/shm", "/tmp"};
	char path[600];
	bool made = false;

	for (size_t i = 0; !made && i < sizeof places / sizeof *places; i++)
		if (places[i] != NULL && snprintf(dir, 256, "%s/tlslab-XXXXXX", places[i]) < 256)
			made = mkdtemp(dir) != NULL;
	if (!made) {
		dir[0] = '\0';
		return false;
	}
	snprintf(path, sizeof path, "%s/empty", dir);
	made = mkdir(path, 0700) == 0;
	snprintf(path, sizeof path, "%s/anchors.pem", dir);
	made = made && write_file(path, probe->anchors, probe->anchors_len);
	if (probe->client_chain != NULL) {
		snprintf(path, sizeof path, "%s/client-chain.pem", dir);
		made = made && write_file(path, probe->client_chain, strlen(probe->client_chain));
		snprintf(path, sizeof path, "%s/client-key.pem", dir);
		made = made && write_file(path, probe->client_key, strlen(probe->client_key));
	}
	snprintf(path, sizeof path, "%s/hosts", dir);
	if (resolver != NULL) {
		char line[900];
		size_t name = strlen(probe->server_name);
		/* Programs ask for an absolute name with its dot or without. */
		int bare = (int)(name - (name > 0 && probe->server_name[name - 1] == '.'));
		int len = snprintf(line, sizeof line, "%s %.*s %s\n", probe->host, bare, probe->server_name,
		                   probe->server_name);

		made = made && len < (int)sizeof line && write_file(path, line, (size_t)len);
	}
	for (size_t i = 0; made && i < file_count; i++) {
		size_t name = strcspn(files[i], "=");
		char *text = expand(files[i] + name + 1, probe, dir);

		snprintf(path, sizeof path, "%s/%.*s", dir, (int)name, files[i]);
		made = write_file(path, text, strlen(text));
		free(text);
	}
	return made;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status, (void)type, (void)where;
	return remove(path);
}

static pid_t spawn(char **words, char **environment, int *output)
{
	pid_t parent = getpid(), pid;
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		int nothing = open("/dev/null", O_RDONLY);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		if (getppid() != parent)
			_exit(127);
		signal(SIGPIPE, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		dup2(nothing, 0);
		dup2(pipes[1], 1);
		dup2(pipes[1], 2);
		faketime_forget(getpid());
		execvpe(words[0], words, environment);
		dprintf(2, "%s: %s\n", words[0], strerror(errno));
		_exit(127);
	}
	close(pipes[1]);
	*output = pipes[0];
	return pid;
}

/* Runs a program until it ends; false where it did not before the deadline.  Nothing of it is left afterwards. */
static bool run(char **words, char **environment, int64_t deadline, char output[OUTPUT_MAX + 1], int *status)
{
	char rest[4096];
	size_t have = 0;
	bool ended = false, enough = false;
	int fd = -1, ignored;
	pid_t pid = spawn(words, environment, &fd);
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	*status = pid > 0 ? 0 : 127 << 8;
	while (pid > 0) {
		int64_t left = deadline - kit_now_ms();
		ssize_t got = -1;

		/* A program may close its output before it ends, or leave it to a child: so both are looked at. */
		if (left > 0 && poll(&ready, 1, ended ? 0 : ready.fd < 0 ? 1 : 10) > 0)
			got = have < OUTPUT_MAX ? read(fd, output + have, OUTPUT_MAX - have) : read(fd, rest, sizeof rest);
		if (got > 0 && have < OUTPUT_MAX) {
			have += (size_t)got;
			output[have] = '\0';
			if (rules_enough(&rules, output)) {
				enough = true;
				break;
			}
		}
		if (got == 0 && ready.fd >= 0)
			ready.fd = -1;
		if (got <= 0 && ended)
			break;
		if (!ended)
			ended = waitpid(pid, status, WNOHANG) == pid;
		if (!ended && left <= 0)
			break;
	}
	if (pid > 0) {
		kill(-pid, SIGKILL);
		while (!ended && waitpid(pid, enough ? &ignored : status, 0) < 0 && errno == EINTR)
			;
		faketime_forget(pid);
	}
	output[have] = '\0';
	close(fd);
	return ended || enough || pid < 0;
}

/* What a program says must not tell one probe from another: its folder and its port come back as placeholders. */
static void anonymise(char output[OUTPUT_MAX + 1], const char *found, const char *placeholder)
{
	size_t len = strlen(found), wanted = strlen(placeholder);
	char *place = output;

	while ((place = strstr(place, found)) != NULL && strlen(output) + wanted <= OUTPUT_MAX + len) {
		memmove(place + wanted, place + len, strlen(place + len) + 1);
		memcpy(place, placeholder, wanted);
		place += wanted;
	}
}

static void judge(const char *dir, const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	static char output[OUTPUT_MAX + 1];
	const char *more[LIST_MAX + 3];
	char *words[LIST_MAX * 4 + WORDS_MAX + 1], **environment, preload[300], hosts[300], port[8];
	size_t count = 0, next = 0;
	int status;

	for (; arguments[count] != NULL && count < LIST_MAX * 4; count++)
		words[count] = expand(arguments[count], probe, dir);
	for (size_t i = 0; probe->client_chain != NULL && i < own_count; i++)
		words[count++] = expand(own_words[i], probe, dir);
	words[count] = NULL;
	for (size_t i = 0; i < setting_count; i++)
		more[next++] = expand(settings[i], probe, dir);
	if (resolver != NULL) {
		snprintf(preload, sizeof preload, "LD_PRELOAD=%s", resolver);
		snprintf(hosts, sizeof hosts, "NSS_WRAPPER_HOSTS=%s/hosts", dir);
		more[next] = preload;
		more[next + 1] = hosts;
		more[next + 2] = NULL;
	} else {
		more[next] = NULL;
	}
	environment = faketime_environment(library, probe->time, more);
	if (library != NULL && !faketime_proven(environment, probe->time)) {
		kit_fail(report, KIT_HARNESS, "", "libfaketime does not fake the time");
	} else if (!run(words, environment, conn->deadline, output, &status)) {
		conn->expired = true;
		fprintf(stderr, "%s\n", output);
		kit_fail(report, KIT_HANDSHAKE, "timeout", "");
	} else if (WIFSIGNALED(status)) {
		/* A crash of the program is ours, so that the lab names it. */
		fprintf(stderr, "%s\n%s died of signal %d\n", output, words[0], WTERMSIG(status));
		nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	} else {
		snprintf(port, sizeof port, ":%d", probe->port);
		anonymise(output, dir, "{dir}");
		anonymise(output, port, ":{port}");
		rules_apply(&rules, WEXITSTATUS(status), output, report);
		if (library != NULL)
			kit_clock(report, probe->time);
	}
	for (size_t i = 0; i < count; i++)
		free(words[i]);
	for (size_t i = 0; i < setting_count; i++)
		free((char *)more[i]);
	for (size_t i = 0; environment[i] != NULL; i++)
		free(environment[i]);
	free(environment);
}

static bool is_address(const char *name)
{
	unsigned char room[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, room) == 1 || inet_pton(AF_INET6, name, room) == 1;
}

static void probe(const struct kit_probe *probe, struct kit_conn *conn, struct kit_report *report)
{
	char dir[256];

	if (resolver != NULL && is_address(probe->server_name)) {
		kit_unsupported(report, KIT_LOAD, "the program connects to the address that it checks, which is not the lab's");
		return;
	}
	if (prepare(dir, probe))
		judge(dir, probe, conn, report);
	else
		kit_fail(report, KIT_HARNESS, "", "no place for files: neither $TMPDIR nor /dev/shm nor /tmp");
	if (dir[0] != '\0')
		nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The first line that each version command prints. */
static bool start(void)
{
	static char output[OUTPUT_MAX + 1];

	for (size_t i = 0; i < version_count; i++) {
		char *words[WORDS_MAX + 1] = {NULL}, *text = strdup(version_commands[i]);
		size_t count = 0, len = strlen(version_text);
		int status;

		for (char *word = strtok(text, " "); word != NULL && count < WORDS_MAX; word = strtok(NULL, " "))
			words[count++] = word;
		if (count == 0 || !run(words, environ, kit_now_ms() + VERSION_MS, output, &status) || status != 0) {
			fprintf(stderr, "%s: %s", version_commands[i], output);
			return false;
		}
		output[strcspn(output, "\r\n")] = '\0';
		snprintf(version_text + len, sizeof version_text - len, "%s%.200s", len > 0 ? ", " : "", output);
		free(text);
	}
	faketime_sweep();
	return true;
}

static const char *version(void)
{
	return version_text;
}

static const char *find_resolver(void)
{
	static char found[256];
	glob_t list;

	if (glob("/usr/lib/*/libnss_wrapper.so", 0, NULL, &list) != 0)
		return NULL;
	snprintf(found, sizeof found, "%s", list.gl_pathv[0]);
	globfree(&list);
	return found;
}

static int wrong(const char *what, const char *which)
{
	fprintf(stderr, "command: %s%s\nusage: command RULE... -- PROGRAM [ARGUMENT...] -- [...]\n", what, which);
	return 2;
}

/* Takes one rule and its value; false where it is not known. */
static bool take(struct kit_driver *driver, const char *name, const char *value)
{
	if (strcmp(name, "--client") == 0)
		driver->name = value;
	else if (strcmp(name, "--clock") == 0)
		driver->clock = strcmp(value, "faketime") == 0 ? "faketime" : "real";
	else if (strcmp(name, "--version-command") == 0 && version_count < LIST_MAX)
		version_commands[version_count++] = value;
	else if (strcmp(name, "--env") == 0 && strchr(value, '=') != NULL && setting_count < LIST_MAX)
		settings[setting_count++] = value;
	else if (strcmp(name, "--file") == 0 && strchr(value, '=') != NULL && file_count < LIST_MAX)
		files[file_count++] = value;
	else if (strcmp(name, "--client-cert") == 0 && own_count < WORDS_MAX)
		own_words[own_count++] = value;
	else
		return rules_take(&rules, name, value);
	return true;
}

int main(int argc, char **argv)
{
	static const char *const can[] = {"client-cert", NULL};
	static struct kit_driver driver = {.clock = "real", .version = version, .start = start, .probe = probe};
	int i = 1, last = argc - 1;

	if (argc == 2 && strcmp(argv[1], FAKETIME_SHOW) == 0)
		return faketime_show();
	while (i < argc && strcmp(argv[i], "--") != 0) {
		if (strcmp(argv[i], "--hosts") == 0) {
			resolver = find_resolver();
			if (resolver == NULL)
				return wrong("libnss_wrapper is not there: apt-get install libnss-wrapper", "");
			i++;
		} else if (i + 1 < argc && take(&driver, argv[i], argv[i + 1])) {
			i += 2;
		} else {
			return wrong("not a rule: ", argv[i]);
		}
	}
	while (last > i && strcmp(argv[last], "--") != 0)
		last--;
	if (last <= i + 1 || driver.name == NULL || version_count == 0)
		return wrong("--client, --version-command and a program between two -- are needed", "");
	if (strcmp(driver.clock, "faketime") == 0 && (library = faketime_library(NULL)) == NULL)
		return wrong("libfaketime is not there: apt-get install libfaketime", "");
	driver.can = own_count > 0 ? can : NULL;
	arguments = argv + i + 1;
	argv[last] = argv[0];
	arguments = calloc((size_t)(last - i), sizeof *arguments);
	memcpy(arguments, argv + i + 1, (size_t)(last - i - 1) * sizeof *arguments);
	return kit_main(argc - last, argv + last, &driver);
}
