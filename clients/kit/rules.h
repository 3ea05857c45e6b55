/* What the end of a program means: its exit status first, then its output.
 *
 *   --exit STATUS=OUTCOME[:WORD...]    what this exit status means; `output` as OUTCOME leaves it to the rules below
 *   --match REGEX=OUTCOME[:WORD...]    what it means when this POSIX extended expression matches a line of output
 *   --until REGEX                      the program is ended when its output matches, as if with status 0
 *   --drop REGEX                       what is left out of the output first: a time of day, say
 *
 * OUTCOME is accepted, rejected, unsupported or failed.  A WORD is a stage, a reason, or else a code; without one the
 * code is the exit status.  The first rule that matches, and that agrees with the exit status's outcome, says more;
 * the text is the line in which its match ends, else the last line of output.
 * A status without a rule, or one that is left to the output where no rule matches, is a failure of the harness. */
#ifndef RULES_H
#define RULES_H

#include "kit.h"

#include <regex.h>

#define RULES_MAX 64

struct verdict {
	enum kit_outcome outcome;
	enum kit_stage stage;
	enum kit_reason reason;
	const char *code;
	bool by_output;
};

struct rules {
	struct {
		int status;
		struct verdict verdict;
	} exits[RULES_MAX];
	struct {
		regex_t regex;
		struct verdict verdict;
	} matches[RULES_MAX];
	regex_t drops[RULES_MAX], until;
	bool has_until;
	size_t exit_count, match_count, drop_count;
};

bool rules_enough(const struct rules *rules, const char *output);
bool rules_take(struct rules *rules, const char *name, const char *value);
void rules_apply(const struct rules *rules, int status, char *output, struct kit_report *report);

#endif
