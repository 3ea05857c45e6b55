/* The harness that C clients share: the dialogue with the lab, sockets, deadlines, one HTTP request.
 *
 * A driver fills in a struct kit_driver and calls kit_main().  For each probe it loads the anchors,
 * calls kit_connect(), shakes hands, calls kit_http(), and says in the report what its stack decided:
 *
 *   kit_reject()   the stack's *verification* said no, or it refused to load the anchors
 *   kit_fail()     anything else went wrong
 *   kit_http()     accepts, once the request was answered
 *
 * Deadlines, closing the socket and writing the report are the kit's business, not the driver's. */
#ifndef KIT_H
#define KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define KIT_LINE_MAX (4u << 20) /* bytes in one line from the lab */
#define KIT_TIME_MAX INT64_C(253402300799) /* the end of year 9999: what X.509 can write down */

struct json_t;

enum kit_outcome { KIT_ACCEPTED, KIT_REJECTED, KIT_UNSUPPORTED, KIT_FAILED };

enum kit_stage { KIT_LOAD, KIT_CONNECT, KIT_HANDSHAKE, KIT_HTTP, KIT_HARNESS };

enum kit_reason {
	KIT_OTHER,
	KIT_EXPIRED,
	KIT_NOT_YET_VALID,
	KIT_UNKNOWN_CA,
	KIT_WRONG_HOST,
	KIT_NOT_A_CA,
	KIT_PATH_LENGTH,
	KIT_NAME_CONSTRAINTS,
	KIT_WRONG_USAGE,
	KIT_BAD_SIGNATURE,
	KIT_WEAK,
	KIT_MALFORMED,
	KIT_REVOKED,
};

/* What the lab asks for.  Strings belong to the kit and live as long as the probe. */
struct kit_probe {
	const char *id;
	const char *host; /* a numeric address */
	int port;
	const char *server_name;
	const char *anchors; /* PEM; empty for an empty store */
	size_t anchors_len;
	const char *client_chain; /* PEM, or NULL; only for a driver that can "client-cert" */
	const char *client_key;
	int64_t time; /* what the clock says, Unix seconds */
	int timeout_ms;
	const char *refusal; /* why the kit itself cannot serve this probe, or NULL */
	struct json_t *json;
};

/* What happened.  Zeroed by the kit; written by the functions below. */
struct kit_report {
	enum kit_outcome outcome;
	enum kit_stage stage;
	enum kit_reason reason;
	char code[48];
	char text[512];
	char tls[8];
	int64_t clock;
	bool has_clock;
	struct json_t *path;
};

/* One TCP connection, non-blocking, under one absolute deadline. */
struct kit_conn {
	int fd;
	int64_t deadline; /* CLOCK_MONOTONIC, milliseconds */
	bool expired;     /* the deadline passed while waiting */
	int error;        /* errno of the last failure, 0 after an end of file */
};

struct kit_driver {
	const char *name;
	const char *clock;            /* native, faketime or real */
	const char *const *can;       /* lists end with NULL */
	const char *const *options;
	const char *(*version)(void); /* what the library itself says */
	bool (*start)(void);          /* once per process; may be NULL */
	void (*probe)(const struct kit_probe *, struct kit_conn *, struct kit_report *);
};

/* loop.c: the whole program. */
int kit_main(int argc, char **argv, const struct kit_driver *driver);
bool kit_option(const struct kit_probe *probe, const char *name);

/* wire.c: results. */
void kit_reject(struct kit_report *report, enum kit_stage stage, enum kit_reason reason, const char *code,
                const char *text);
void kit_fail(struct kit_report *report, enum kit_stage stage, const char *code, const char *text);
void kit_accept(struct kit_report *report);
void kit_unsupported(struct kit_report *report, enum kit_stage stage, const char *text);
/* The negotiated version as it is on the wire: 0x0303 is TLS 1.2. */
void kit_tls(struct kit_report *report, unsigned version);
/* The time that the stack verified with, as read back from the stack. */
void kit_clock(struct kit_report *report, int64_t time);
/* Puts the SHA-256 of a certificate at this place of the path that the stack built; 0 is the end entity. */
void kit_path(struct kit_report *report, size_t place, const unsigned char digest[32]);

/* net.c: sockets.  kit_send() and kit_recv() wait until the deadline; -1 is a failure, 0 an end of file. */
bool kit_connect(struct kit_conn *conn, const struct kit_probe *probe, struct kit_report *report);
bool kit_wait(struct kit_conn *conn, short events);
ssize_t kit_send(struct kit_conn *conn, const void *data, size_t len);
ssize_t kit_recv(struct kit_conn *conn, void *data, size_t len);

/* http.c: GET / inside TLS.  False where the stream broke: then the driver says why, at KIT_HTTP. */
struct kit_stream {
	void *tls;
	int (*read)(void *tls, void *data, size_t len); /* > 0, 0 at the end, < 0 failed */
	int (*write)(void *tls, const void *data, size_t len);
};
bool kit_http(const struct kit_stream *stream, const struct kit_probe *probe, struct kit_report *report);

/* Between the kit's own files. */
extern const char *const kit_outcomes[], *const kit_stages[], *const kit_reasons[]; /* by enum; end with NULL */
int64_t kit_now_ms(void);
int kit_dial(const char *target, int patience_ms);
int kit_dial_in(const char *lab, unsigned long (*session)(int fd, void *arg), void *arg);
bool kit_parse(const char *line, size_t len, const struct kit_driver *driver, struct kit_probe *probe,
               char error[256]);
void kit_release(struct kit_probe *probe, struct kit_report *report);
bool kit_write_hello(FILE *out, const struct kit_driver *driver, const char *const *options, const char *column,
                     const char *token);
bool kit_write_report(FILE *out, const struct kit_probe *probe, const struct kit_report *report);

#endif
