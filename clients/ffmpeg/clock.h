/* Runs a program under a clock that stands still, though it is linked statically: its system calls for the time of day
 * are answered by us.  libfaketime cannot do that, as nothing is preloaded into a static program. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct run {
	char **arguments;     /* the program first; ends with NULL */
	char **environment;
	int output;           /* a descriptor for its stdout and stderr */
	int64_t time;         /* what it believes, Unix seconds */
	int left_ms;          /* it is killed after as many milliseconds */
	int status;           /* how it ended, as from waitpid() */
	unsigned reads;       /* how often it was told the time */
	bool expired;         /* it was killed */
};

/* False where it could not be started or traced. */
bool run_at(struct run *run);

#endif
