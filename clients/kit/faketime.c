/* Environments for libfaketime, and the proof that they work. */
#include "faketime.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SELF "/proc/self/exe"

extern char **environ;

const char *faketime_library(const char *named)
{
	static const char *const places[] = {"/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1",
	                                     "/usr/local/lib/faketime/libfaketime.so.1"};
	static char found[256];
	glob_t list;

	if (named != NULL)
		return access(named, R_OK) == 0 ? named : NULL;
	for (size_t i = 0; found[0] == '\0' && i < sizeof places / sizeof *places; i++) {
		if (glob(places[i], 0, NULL, &list) != 0)
			continue;
		snprintf(found, sizeof found, "%s", list.gl_pathv[0]);
		globfree(&list);
	}
	return found[0] != '\0' ? found : NULL;
}

static bool is_ours(const char *entry, const char *const *more)
{
	static const char *const ours[] = {"LD_PRELOAD=", "TZ=", "FAKETIME", "NO_FAKE_STAT="};

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strncmp(entry, ours[i], strlen(ours[i])) == 0)
			return true;
	for (; more != NULL && *more != NULL; more++)
		if (strncmp(entry, *more, strcspn(*more, "=") + 1) == 0)
			return true;
	return false;
}

char **faketime_environment(const char *library, int64_t time, const char *const *more)
{
	static const char preload[] = "LD_PRELOAD=";
	size_t count = 9, next = 0;
	const char *besides = "";
	time_t seconds = time;
	char **list, day[40];
	struct tm parts;

	for (size_t i = 0; environ[i] != NULL; i++)
		count++;
	for (size_t i = 0; more != NULL && more[i] != NULL; i++)
		count++;
	list = calloc(count, sizeof *list);
	if (list == NULL)
		return NULL;
	for (size_t i = 0; environ[i] != NULL; i++)
		if (!is_ours(environ[i], more))
			list[next++] = strdup(environ[i]);
	for (; more != NULL && *more != NULL; more++)
		if (strncmp(*more, preload, sizeof preload - 1) == 0)
			besides = *more + sizeof preload - 1;
		else
			list[next++] = strdup(*more);
	if (library == NULL) {
		if (*besides != '\0' && asprintf(&list[next], "%s%s", preload, besides) > 0)
			next++;
		return list;
	}
	gmtime_r(&seconds, &parts);
	strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &parts);
	/* Without an @ before it, the time stands still. */
	if (asprintf(&list[next++], "FAKETIME=%s", day) < 0 ||
	    asprintf(&list[next++], "%s%s%s%s", preload, library, *besides != '\0' ? ":" : "", besides) < 0)
		return NULL;
	list[next++] = strdup("TZ=UTC");
	list[next++] = strdup("FAKETIME_DONT_FAKE_MONOTONIC=1");
	list[next++] = strdup("FAKETIME_FORCE_MONOTONIC_FIX=0"); /* else waiting on CLOCK_MONOTONIC ends at once */
	list[next++] = strdup("NO_FAKE_STAT=1");
	return list;
}

int faketime_show(void)
{
	struct timespec precise, pause = {.tv_nsec = 2000000};
	struct timeval coarse;
	int64_t first = time(NULL);

	nanosleep(&pause, NULL);
	gettimeofday(&coarse, NULL);
	clock_gettime(CLOCK_REALTIME, &precise);
	printf("%" PRId64 " %" PRId64 ".%06ld %" PRId64 ".%09ld\n", first, (int64_t)coarse.tv_sec, (long)coarse.tv_usec,
	       (int64_t)precise.tv_sec, precise.tv_nsec);
	return fflush(stdout) == 0 ? 0 : 3;
}

bool faketime_proven(char *const *environment, int64_t time)
{
	static char *const arguments[] = {"frozen", FAKETIME_SHOW, NULL};
	char wanted[128], seen[128];
	posix_spawn_file_actions_t actions;
	int pipes[2], error, status;
	size_t have = 0;
	ssize_t got;
	pid_t pid;

	snprintf(wanted, sizeof wanted, "%" PRId64 " %" PRId64 ".%06d %" PRId64 ".%09d\n", time, time, 0, time, 0);
	if (pipe(pipes) < 0)
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
	posix_spawn_file_actions_addclose(&actions, pipes[0]);
	posix_spawn_file_actions_addclose(&actions, pipes[1]);
	error = posix_spawn(&pid, SELF, &actions, NULL, arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	while (error == 0 && have < sizeof seen - 1 && (got = read(pipes[0], seen + have, sizeof seen - 1 - have)) > 0)
		have += (size_t)got;
	close(pipes[0]);
	seen[have] = '\0';
	if (error == 0) {
		waitpid(pid, &status, 0);
		faketime_forget(pid);
	}
	if (strcmp(seen, wanted) == 0)
		return true;
	fprintf(stderr, "the clock is not faked: wanted %sseen   %s\n", wanted, have > 0 ? seen : "nothing");
	return false;
}

void faketime_forget(pid_t pid)
{
	static const char *const names[] = {"/dev/shm/faketime_shm_%d", "/dev/shm/sem.faketime_sem_%d"};
	char name[64];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(name, sizeof name, names[i], (int)pid);
		unlink(name);
	}
}

void faketime_sweep(void)
{
	static const char pattern[] = "/dev/shm/faketime_shm_";
	glob_t list;

	if (glob("/dev/shm/faketime_shm_*", 0, NULL, &list) != 0)
		return;
	for (size_t i = 0; i < list.gl_pathc; i++) {
		pid_t pid = atoi(list.gl_pathv[i] + sizeof pattern - 1);

		if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH)
			faketime_forget(pid);
	}
	globfree(&list);
}
