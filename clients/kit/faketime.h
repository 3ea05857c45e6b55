/* A clock that stands still at a time of ours, for programs that ask the system what time it is.
 *
 * The child is started with libfaketime preloaded and an absolute time, which does not move on.  CLOCK_MONOTONIC is
 * left alone, so that deadlines work.  What a child believes is proven, not assumed: before each start this program
 * runs itself under the same environment and compares what it then sees.
 *
 * What works with 0.9.10: poll, select, nanosleep, condition variables on either clock.  What does not: sem_timedwait
 * ends at once, and clock_nanosleep until an absolute time fails with EINVAL (Python 3.11's time.sleep uses it). */
#ifndef FAKETIME_H
#define FAKETIME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FAKETIME_SHOW "--show-time"

/* The library to preload: the one that is named, or Debian's; NULL where there is none. */
const char *faketime_library(const char *named);

/* An environment for a child at this time, allocated: ours, with the preload and `more` ("NAME=VALUE"..., NULL).
 * LD_PRELOAD in `more` is preloaded besides. */
char **faketime_environment(const char *library, int64_t time, const char *const *more);

/* True where a child with this environment sees this time, twice the same; else says on stderr what it saw. */
bool faketime_proven(char *const *environment, int64_t time);

/* What the proof runs: prints the time that it sees. */
int faketime_show(void);

/* libfaketime keeps a segment and a semaphore per process in /dev/shm, and leaves them there when it is killed.
 * The second clears away those of every process that is no more. */
void faketime_forget(pid_t pid);
void faketime_sweep(void);

#endif
