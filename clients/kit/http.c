/* One request over an established TLS connection. */
#include "kit.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX 16384
#define BODY_MAX (1L << 20)

static bool write_all(const struct kit_stream *stream, const char *data, size_t len)
{
	while (len > 0) {
		int sent = stream->write(stream->tls, data, len);

		if (sent <= 0)
			return false;
		data += sent;
		len -= (size_t)sent;
	}
	return true;
}

/* The value of Content-Length, or -1 where the body lasts to the end of the connection. */
static long body_length(const char *head)
{
	static const char name[] = "Content-Length:";
	const char *line = head;

	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (strncasecmp(line, name, sizeof name - 1) == 0)
			return strtol(line + sizeof name - 1, NULL, 10);
	}
	return -1;
}

bool kit_http(const struct kit_stream *stream, const struct kit_probe *probe, struct kit_report *report)
{
	char request[512], head[HEAD_MAX + 1], *end = NULL;
	size_t have = 0;
	long expected, body;
	int got;

	report->stage = KIT_HTTP;
	got = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
	               probe->server_name);
	if (got >= (int)sizeof request) {
		kit_fail(report, KIT_HARNESS, "", "server_name is too long");
		return true;
	}
	if (!write_all(stream, request, (size_t)got))
		return false;

	while (end == NULL && have < HEAD_MAX) {
		got = stream->read(stream->tls, head + have, HEAD_MAX - have);
		if (got < 0)
			return false;
		if (got == 0)
			break;
		have += (size_t)got;
		head[have] = '\0';
		end = strstr(head, "\r\n\r\n");
	}
	if (end == NULL) {
		kit_fail(report, KIT_HTTP, "",
		         have < HEAD_MAX ? "connection ended before the answer" : "answer's head is too long");
		return true;
	}
	if (strncmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ' || strncmp(head + 9, "200", 3) != 0) {
		kit_fail(report, KIT_HTTP, "", "answer is not HTTP 200");
		return true;
	}
	end[2] = '\0';
	expected = body_length(head);
	body = (long)(have - (size_t)(end + 4 - head));
	while ((expected < 0 || body < expected) && body <= BODY_MAX) {
		got = stream->read(stream->tls, head, HEAD_MAX);
		if (got < 0)
			return false;
		if (got == 0)
			break;
		body += got;
	}
	if (body > BODY_MAX)
		kit_fail(report, KIT_HTTP, "", "answer is too long");
	else if (body < expected)
		kit_fail(report, KIT_HTTP, "", "connection ended inside the answer");
	else
		kit_accept(report);
	return true;
}
