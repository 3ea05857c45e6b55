/* The dialogue's lines: one JSON object each. */
#include "kit.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#define TIMEOUT_MAX_MS (24 * 3600 * 1000)

const char *const kit_outcomes[] = {
	[KIT_ACCEPTED] = "accepted",
	[KIT_REJECTED] = "rejected",
	[KIT_UNSUPPORTED] = "unsupported",
	[KIT_FAILED] = "failed",
	NULL,
};

const char *const kit_stages[] = {
	[KIT_LOAD] = "load", [KIT_CONNECT] = "connect", [KIT_HANDSHAKE] = "handshake",
	[KIT_HTTP] = "http", [KIT_HARNESS] = "harness",
	NULL,
};

const char *const kit_reasons[] = {
	[KIT_OTHER] = "other",
	[KIT_EXPIRED] = "expired",
	[KIT_NOT_YET_VALID] = "not-yet-valid",
	[KIT_UNKNOWN_CA] = "unknown-ca",
	[KIT_WRONG_HOST] = "wrong-host",
	[KIT_NOT_A_CA] = "not-a-ca",
	[KIT_PATH_LENGTH] = "path-length",
	[KIT_NAME_CONSTRAINTS] = "name-constraints",
	[KIT_WRONG_USAGE] = "wrong-usage",
	[KIT_BAD_SIGNATURE] = "bad-signature",
	[KIT_WEAK] = "weak",
	[KIT_MALFORMED] = "malformed",
	[KIT_REVOKED] = "revoked",
	NULL,
};

static void settle(struct kit_report *report, enum kit_outcome outcome, enum kit_stage stage, const char *code,
                   const char *text)
{
	report->outcome = outcome;
	report->stage = stage;
	snprintf(report->code, sizeof report->code, "%s", code);
	snprintf(report->text, sizeof report->text, "%s", text != NULL ? text : "");
}

void kit_reject(struct kit_report *report, enum kit_stage stage, enum kit_reason reason, const char *code,
                const char *text)
{
	settle(report, KIT_REJECTED, stage, code, text);
	report->reason = reason;
}

void kit_fail(struct kit_report *report, enum kit_stage stage, const char *code, const char *text)
{
	settle(report, KIT_FAILED, stage, code, text);
}

void kit_unsupported(struct kit_report *report, enum kit_stage stage, const char *text)
{
	settle(report, KIT_UNSUPPORTED, stage, "", text);
}

void kit_accept(struct kit_report *report)
{
	settle(report, KIT_ACCEPTED, KIT_HTTP, "", "");
}

void kit_tls(struct kit_report *report, unsigned version)
{
	if (version >= 0x0301 && version <= 0x0304)
		snprintf(report->tls, sizeof report->tls, "1.%u", version - 0x0301);
	else if (version == 0x0300)
		snprintf(report->tls, sizeof report->tls, "ssl3");
}

void kit_clock(struct kit_report *report, int64_t time)
{
	report->clock = time;
	report->has_clock = true;
}

void kit_path(struct kit_report *report, size_t place, const unsigned char digest[32])
{
	char hex[65];

	for (size_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	if (report->path == NULL)
		report->path = json_array();
	json_array_insert_new(report->path, place, json_string(hex));
}

/* A list of words, or NULL where the driver has none. */
static json_t *words(const char *const *list)
{
	json_t *array = json_array();

	for (; list != NULL && *list != NULL; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

static bool has_word(const char *const *list, const char *word)
{
	for (; list != NULL && *list != NULL; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

static bool write_line(FILE *out, json_t *object)
{
	bool written = json_dumpf(object, out, JSON_COMPACT) == 0 && putc('\n', out) != EOF && fflush(out) == 0;

	json_decref(object);
	return written;
}

bool kit_write_hello(FILE *out, const struct kit_driver *driver, const char *const *options, const char *column,
                     const char *token)
{
	json_t *hello = json_pack("{s:i, s:s, s:s, s:s, s:o, s:o}", "v", 1, "client", driver->name, "version",
	                          driver->version(), "clock", driver->clock, "can", words(driver->can), "options",
	                          words(options));

	if (column != NULL)
		json_object_set_new(hello, "column", json_string(column));
	if (token != NULL)
		json_object_set_new(hello, "token", json_string(token));
	return write_line(out, hello);
}

bool kit_write_report(FILE *out, const struct kit_probe *probe, const struct kit_report *report)
{
	json_t *line = json_pack("{s:i, s:s, s:s, s:s, s:s}", "v", 1, "id", probe->id, "outcome",
	                         kit_outcomes[report->outcome], "stage", kit_stages[report->stage], "code", report->code);
	json_t *text = json_string(report->text);

	json_object_set_new(line, "text", text != NULL ? text : json_string("(text is not UTF-8)"));
	if (report->outcome == KIT_REJECTED)
		json_object_set_new(line, "reason", json_string(kit_reasons[report->reason]));
	if (report->tls[0] != '\0')
		json_object_set_new(line, "tls", json_string(report->tls));
	if (report->path != NULL)
		json_object_set(line, "path", report->path);
	if (report->has_clock)
		json_object_set_new(line, "clock", json_integer(report->clock));
	return write_line(out, line);
}

static bool wrong(char error[256], const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(error, 256, format, values);
	va_end(values);
	return false;
}

/* A string field; *value stays NULL where an optional one is missing or null. */
static bool take_string(json_t *line, const char *name, bool required, const char **value, char error[256])
{
	json_t *field = json_object_get(line, name);

	*value = json_string_value(field);
	if (*value != NULL || (!required && (field == NULL || json_is_null(field))))
		return true;
	return wrong(error, "%s: a string is needed", name);
}

static bool take_integer(json_t *line, const char *name, int64_t least, int64_t most, int64_t *value,
                         char error[256])
{
	json_t *field = json_object_get(line, name);

	*value = json_integer_value(field);
	if (json_is_integer(field) && *value >= least && *value <= most)
		return true;
	if (least == most)
		return wrong(error, "%s: must be %" PRId64, name, least);
	return wrong(error, "%s: an integer from %" PRId64 " to %" PRId64 " is needed", name, least, most);
}

/* What is well said, but beyond this driver. */
static void refuse_unsupported(struct kit_probe *probe, const struct kit_driver *driver)
{
	json_t *options = json_object_get(probe->json, "options"), *option;
	size_t i;

	json_array_foreach (options, i, option)
		if (!has_word(driver->options, json_string_value(option)))
			probe->refusal = "the client does not know an option of this probe";
	if (json_array_size(json_object_get(probe->json, "pins")) > 0 && !has_word(driver->can, "pins"))
		probe->refusal = "the client cannot check pins";
	if (probe->client_chain != NULL && !has_word(driver->can, "client-cert"))
		probe->refusal = "the client cannot show a certificate of its own";
}

static bool string_list(json_t *line, const char *name, char error[256])
{
	json_t *list = json_object_get(line, name), *each;
	size_t i;

	if (list == NULL || json_is_null(list))
		return true;
	if (!json_is_array(list))
		return wrong(error, "%s: a list of strings is needed", name);
	json_array_foreach (list, i, each)
		if (!json_is_string(each))
			return wrong(error, "%s: a list of strings is needed", name);
	return true;
}

bool kit_parse(const char *line, size_t len, const struct kit_driver *driver, struct kit_probe *probe,
               char error[256])
{
	json_error_t syntax;
	int64_t version, port, timeout;
	json_t *json;

	memset(probe, 0, sizeof *probe);
	probe->id = "";
	probe->json = json = json_loadb(line, len, 0, &syntax);
	if (json == NULL)
		return wrong(error, "not JSON: %s", syntax.text);
	if (!json_is_object(json))
		return wrong(error, "not a JSON object");
	if (!take_string(json, "id", true, &probe->id, error)) {
		probe->id = "";
		return false;
	}
	if (!take_integer(json, "v", 1, 1, &version, error) ||
	    !take_string(json, "host", true, &probe->host, error) ||
	    !take_integer(json, "port", 1, 65535, &port, error) ||
	    !take_string(json, "server_name", true, &probe->server_name, error) ||
	    !take_string(json, "anchors", true, &probe->anchors, error) ||
	    !take_integer(json, "time", 0, KIT_TIME_MAX, &probe->time, error) ||
	    !take_integer(json, "timeout_ms", 1, TIMEOUT_MAX_MS, &timeout, error) ||
	    !take_string(json, "client_chain", false, &probe->client_chain, error) ||
	    !take_string(json, "client_key", false, &probe->client_key, error) ||
	    !string_list(json, "pins", error) || !string_list(json, "options", error))
		return false;
	if ((probe->client_chain == NULL) != (probe->client_key == NULL))
		return wrong(error, "client_chain and client_key: both or neither");
	if (strpbrk(probe->server_name, " \t\r\n") != NULL || *probe->server_name == '\0')
		return wrong(error, "server_name: a host name is needed");
	probe->port = (int)port;
	probe->timeout_ms = (int)timeout;
	probe->anchors_len = strlen(probe->anchors);
	refuse_unsupported(probe, driver);
	return true;
}

void kit_release(struct kit_probe *probe, struct kit_report *report)
{
	json_decref(report->path);
	json_decref(probe->json);
}
