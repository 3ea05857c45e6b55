/* Exit statuses and output of a program in the lab's words. */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

/* The number of a word in a list of names that ends with NULL, or -1. */
static int place(const char *const *names, const char *word)
{
	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], word) == 0)
			return i;
	return -1;
}

static bool read_verdict(const char *text, struct verdict *verdict)
{
	char *words = strdup(text), *rest, *word = strtok_r(words, ":", &rest);
	int found = word != NULL ? place(kit_outcomes, word) : -1;

	verdict->by_output = word != NULL && strcmp(word, "output") == 0;
	verdict->outcome = found >= 0 ? (enum kit_outcome)found : KIT_FAILED;
	verdict->stage = verdict->outcome == KIT_ACCEPTED ? KIT_HTTP : KIT_HANDSHAKE;
	if (found < 0 && !verdict->by_output)
		return false;
	while ((word = strtok_r(NULL, ":", &rest)) != NULL) {
		if ((found = place(kit_stages, word)) >= 0)
			verdict->stage = (enum kit_stage)found;
		else if ((found = place(kit_reasons, word)) >= 0)
			verdict->reason = (enum kit_reason)found;
		else
			verdict->code = strdup(word);
	}
	free(words);
	return true;
}

/* Whether the program has said all that is to be known. */
bool rules_enough(const struct rules *rules, const char *output)
{
	return rules->has_until && regexec(&rules->until, output, 0, NULL, 0) == 0;
}

bool rules_take(struct rules *rules, const char *name, const char *value)
{
	const char *equals = strrchr(value, '=');
	char *left;
	bool taken = false;

	if (strcmp(name, "--drop") == 0 && rules->drop_count < RULES_MAX)
		return regcomp(&rules->drops[rules->drop_count++], value, REG_EXTENDED | REG_NEWLINE) == 0;
	if (strcmp(name, "--until") == 0)
		return rules->has_until = regcomp(&rules->until, value, REG_EXTENDED | REG_NEWLINE | REG_NOSUB) == 0;
	if (equals == NULL || equals == value)
		return false;
	left = strndup(value, (size_t)(equals - value));
	if (strcmp(name, "--exit") == 0 && rules->exit_count < RULES_MAX) {
		rules->exits[rules->exit_count].status = atoi(left);
		taken = read_verdict(equals + 1, &rules->exits[rules->exit_count++].verdict);
	} else if (strcmp(name, "--match") == 0 && rules->match_count < RULES_MAX) {
		taken = regcomp(&rules->matches[rules->match_count].regex, left, REG_EXTENDED | REG_NEWLINE) == 0 &&
		        read_verdict(equals + 1, &rules->matches[rules->match_count++].verdict);
	}
	free(left);
	return taken;
}

/* Copies the line around a place of the output. */
static void take_line(const char *output, const char *at, char *line, size_t room)
{
	const char *end = at + strcspn(at, "\r\n");

	while (at > output && at[-1] != '\n' && at[-1] != '\r')
		at--;
	snprintf(line, room, "%.*s", (int)(end - at), at);
}

/* The last line of output that is not empty. */
static void take_last_line(const char *output, char *line, size_t room)
{
	size_t len = strlen(output);

	while (len > 0 && strchr("\r\n \t", output[len - 1]) != NULL)
		len--;
	line[0] = '\0';
	if (len > 0)
		take_line(output, output + len - 1, line, room);
}

static void say(const struct verdict *verdict, const char *status, const char *text, struct kit_report *report)
{
	const char *code = verdict->code != NULL ? verdict->code : status;

	switch (verdict->outcome) {
	case KIT_ACCEPTED:
		kit_accept(report);
		break;
	case KIT_REJECTED:
		kit_reject(report, verdict->stage, verdict->reason, code, text);
		break;
	case KIT_UNSUPPORTED:
		kit_unsupported(report, verdict->stage, text);
		break;
	case KIT_FAILED:
		kit_fail(report, verdict->stage, code, text);
	}
}

static void drop(const regex_t *regex, char *output)
{
	regmatch_t where;

	while (*output != '\0' && regexec(regex, output, 1, &where, 0) == 0 && where.rm_eo > where.rm_so) {
		output += where.rm_so;
		memmove(output, output + (where.rm_eo - where.rm_so), strlen(output + (where.rm_eo - where.rm_so)) + 1);
	}
}

void rules_apply(const struct rules *rules, int status, char *output, struct kit_report *report)
{
	const struct verdict *verdict = NULL;
	char code[16], line[sizeof report->text], text[sizeof report->text + 64];
	regmatch_t where;

	for (size_t i = 0; i < rules->drop_count; i++)
		drop(&rules->drops[i], output);
	snprintf(code, sizeof code, "%d", status);
	take_last_line(output, line, sizeof line);
	for (size_t i = 0; i < rules->exit_count && verdict == NULL; i++)
		if (rules->exits[i].status == status)
			verdict = &rules->exits[i].verdict;
	for (size_t i = 0; i < rules->match_count && verdict != NULL; i++) {
		const struct verdict *more = &rules->matches[i].verdict;

		if ((verdict->by_output || more->outcome == verdict->outcome) &&
		    regexec(&rules->matches[i].regex, output, 1, &where, 0) == 0) {
			take_line(output, output + where.rm_eo - (where.rm_eo > where.rm_so), line, sizeof line);
			say(more, code, line, report);
			return;
		}
	}
	if (verdict != NULL && !verdict->by_output) {
		say(verdict, code, line, report);
		return;
	}
	snprintf(text, sizeof text, "no rule for exit status %d: %s", status, line);
	kit_fail(report, KIT_HARNESS, code, text);
}
