/* Non-blocking sockets under one absolute deadline. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t kit_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for an event; false once the deadline is over, also where the socket is ready all the time. */
bool kit_wait(struct kit_conn *conn, short events)
{
	struct pollfd poll_fd = {.fd = conn->fd, .events = events};

	for (;;) {
		int64_t left = conn->deadline - kit_now_ms();
		int ready;

		if (left <= 0) {
			conn->expired = true;
			conn->error = ETIMEDOUT;
			return false;
		}
		ready = poll(&poll_fd, 1, (int)left);
		if (ready > 0)
			return true;
		if (ready < 0 && errno != EINTR) {
			conn->error = errno;
			return false;
		}
	}
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

ssize_t kit_send(struct kit_conn *conn, const void *data, size_t len)
{
	for (;;) {
		ssize_t sent = send(conn->fd, data, len, MSG_NOSIGNAL);

		if (sent >= 0)
			return sent;
		if (errno == EINTR)
			continue;
		if (!would_block()) {
			conn->error = errno;
			return -1;
		}
		if (!kit_wait(conn, POLLOUT))
			return -1;
	}
}

ssize_t kit_recv(struct kit_conn *conn, void *data, size_t len)
{
	for (;;) {
		ssize_t got = recv(conn->fd, data, len, 0);

		if (got == 0)
			conn->error = 0;
		if (got >= 0)
			return got;
		if (errno == EINTR)
			continue;
		if (!would_block()) {
			conn->error = errno;
			return -1;
		}
		if (!kit_wait(conn, POLLIN))
			return -1;
	}
}

/* Starts a connection to one address and waits for it; returns an errno. */
static int connect_one(struct kit_conn *conn, const struct addrinfo *address)
{
	int yes = 1, error = 0;
	socklen_t len = sizeof error;

	conn->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		return errno;
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	if (connect(conn->fd, address->ai_addr, address->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (!kit_wait(conn, POLLOUT))
		return conn->error;
	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error;
}

bool kit_connect(struct kit_conn *conn, const struct kit_probe *probe, struct kit_report *report)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *address;
	char port[8], code[16];
	int error;

	snprintf(port, sizeof port, "%d", probe->port);
	if (getaddrinfo(probe->host, port, &hints, &address) != 0) {
		kit_fail(report, KIT_HARNESS, "", "host is not a numeric address");
		return false;
	}
	error = connect_one(conn, address);
	freeaddrinfo(address);
	if (error == 0)
		return true;
	conn->error = error;
	snprintf(code, sizeof code, "%d", error);
	kit_fail(report, KIT_CONNECT, code, strerror(error));
	return false;
}

/* Connects to HOST:PORT or [ADDRESS]:PORT, trying again until patience is over; blocking, or -1. */
int kit_dial(const char *target, int patience_ms)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *each;
	struct kit_conn conn = {.fd = -1};
	int64_t end = kit_now_ms() + patience_ms;
	const char *colon = strrchr(target, ':');
	char host[256];
	size_t len;

	if (colon == NULL || colon == target)
		return -1;
	if (target[0] == '[' && colon[-1] == ']')
		snprintf(host, sizeof host, "%.*s", (int)(colon - target - 2), target + 1);
	else
		snprintf(host, sizeof host, "%.*s", (int)(colon - target), target);
	len = strlen(host);
	while (len > 0 && kit_now_ms() < end) {
		if (getaddrinfo(host, colon + 1, &hints, &list) == 0) {
			for (each = list; each != NULL; each = each->ai_next) {
				conn.deadline = end;
				if (connect_one(&conn, each) == 0)
					break;
				if (conn.fd >= 0)
					close(conn.fd);
			}
			freeaddrinfo(list);
			if (each != NULL) {
				fcntl(conn.fd, F_SETFL, fcntl(conn.fd, F_GETFL) & ~O_NONBLOCK);
				return conn.fd;
			}
		}
		nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
	}
	return -1;
}
