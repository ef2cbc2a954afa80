/* SPDX-License-Identifier: MIT */
#include "exporter/cli_client.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_MS = 5000, REPLY_MAX = 32 << 20 };

/* Copies `bytes` bytes of text; Returns false when they do not fit. */
static bool copy(char *out, size_t size_bytes, const char *text, size_t bytes) {
	if (bytes >= size_bytes) {
		return false;
	}
	memcpy(out, text, bytes);
	out[bytes] = '\0';
	return true;
}

static bool is_port(const char *text) {
	size_t digits = strspn(text, "0123456789");
	long port = strtol(text, NULL, 10);
	return digits > 0 && digits < 6 && text[digits] == '\0' && port > 0 &&
			port <= 65535;
}

/* Returns whether `text` can stand in a request line: no blanks, no controls. */
static bool is_target(const char *text) {
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text <= ' ' || *text == 0x7f) {
			return false;
		}
	}
	return true;
}

const char *prom_url_parse(const char *text, struct prom_url *out) {
	const char *host, *host_end, *rest;

	memset(out, 0, sizeof(*out));
	strcpy(out->port, "80");
	strcpy(out->path, "/metrics");
	if (strncmp(text, "unix:", 5) == 0) {
		text += strncmp(text, "unix://", 7) == 0 ? 7 : 5;
		return text[0] != '\0' &&
						copy(out->socket, sizeof(out->socket),
								text, strlen(text))
				? NULL
				: "The path of a UNIX socket has 1 to 107 bytes. Give unix:/PATH";
	}
	if (strncmp(text, "http://", 7) != 0) {
		return "Only http:// and unix: can be asked. Ask promshim itself, behind the proxy "
		       "that speaks anything else.";
	}
	host = text + 7;
	if (host[0] == '[') {
		host++;
		host_end = host + strcspn(host, "]/");
		rest = host_end + (*host_end == ']');
	} else {
		host_end = host + strcspn(host, ":/?#");
		rest = host_end;
	}
	if (host_end == host ||
			!copy(out->host, sizeof(out->host), host,
					(size_t)(host_end - host))) {
		return "There is no host in it. Give http://HOST:PORT/metrics";
	}
	if (*rest == ':') {
		size_t bytes = strcspn(++rest, "/?#");
		if (!copy(out->port, sizeof(out->port), rest, bytes) ||
				!is_port(out->port)) {
			return "That is not a port (1 to 65535). Give http://HOST:PORT/metrics";
		}
		rest += bytes;
	}
	if (rest[0] != '\0' && strcmp(rest, "/") != 0 &&
			(rest[0] != '/' ||
					!copy(out->path, sizeof(out->path), rest,
							strcspn(rest, "#")))) {
		return "That is not a path. Give http://HOST:PORT/metrics";
	}
	if (!is_target(out->host) || !is_target(out->path)) {
		return "There are blanks or control characters in it. Give http://HOST:PORT/metrics";
	}
	return NULL;
}

static int64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until `fd` is ready; Returns 0 or -ETIMEDOUT. */
static int wait_ready(int fd, short events, int64_t deadline_ms) {
	for (;;) {
		struct pollfd wanted = { .fd = fd, .events = events };
		int64_t left_ms = deadline_ms - now_ms();
		int n = left_ms > 0 ? poll(&wanted, 1, (int)left_ms) : 0;
		if (n > 0) {
			return 0;
		}
		if (n == 0 || errno != EINTR) {
			return n == 0 ? -ETIMEDOUT : -errno;
		}
	}
}

/* Returns a connected, nonblocking socket, or -errno. */
static int connect_to(const struct sockaddr *address, socklen_t bytes,
		int64_t deadline_ms) {
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);
	socklen_t size = sizeof(int);
	int r = 0;

	if (fd < 0) {
		return -errno;
	}
	if (connect(fd, address, bytes) < 0) {
		r = -errno;
		if (r == -EINPROGRESS) {
			int error = 0;
			r = wait_ready(fd, POLLOUT, deadline_ms);
			if (r == 0 &&
					getsockopt(fd, SOL_SOCKET, SO_ERROR, &error,
							&size) == 0) {
				r = -error;
			}
		}
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int connect_host(const struct prom_url *url, int64_t deadline_ms,
		const char **error) {
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int r = getaddrinfo(url->host, url->port, &hints, &list);

	if (r != 0) {
		*error = gai_strerror(r);
		return -EHOSTUNREACH;
	}
	r = -EHOSTUNREACH;
	for (struct addrinfo *at = list; at != NULL && r < 0; at = at->ai_next) {
		r = connect_to(at->ai_addr, at->ai_addrlen, deadline_ms);
	}
	freeaddrinfo(list);
	return r;
}

static int connect_url(const struct prom_url *url, int64_t deadline_ms,
		const char **error) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (url->socket[0] == '\0') {
		return connect_host(url, deadline_ms, error);
	}
	memcpy(address.sun_path, url->socket, sizeof(address.sun_path));
	return connect_to((struct sockaddr *)&address, sizeof(address), deadline_ms);
}

static int send_request(int fd, const struct prom_url *url, int64_t deadline_ms) {
	char request[2048];
	bool v6 = strchr(url->host, ':') != NULL;
	/* 1.0: who answers may not use chunks, and closes at the end */
	int bytes = snprintf(request, sizeof(request),
			"GET %s HTTP/1.0\r\nHost: %s%s%s%s%s\r\nAccept: text/plain\r\n\r\n",
			url->path, v6 ? "[" : "",
			url->host[0] != '\0' ? url->host : "localhost", v6 ? "]" : "",
			url->host[0] != '\0' ? ":" : "",
			url->host[0] != '\0' ? url->port : "");

	for (int sent = 0; sent < bytes;) {
		int r = wait_ready(fd, POLLOUT, deadline_ms);
		ssize_t n = r < 0 ? -1
				  : send(fd, request + sent, (size_t)(bytes - sent),
						    MSG_NOSIGNAL);
		if (r < 0) {
			return r;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return -errno;
		}
		sent += n > 0 ? (int)n : 0;
	}
	return 0;
}

/* Reads to the end; Returns the number of bytes in *bytes, a NUL behind them, or -errno. */
static ssize_t receive(int fd, char **bytes, int64_t deadline_ms) {
	size_t used = 0, room = 0;

	for (;;) {
		ssize_t n;
		int r = wait_ready(fd, POLLIN, deadline_ms);
		if (r < 0) {
			return r;
		}
		if (room - used < 4096) {
			char *larger = room < REPLY_MAX
					? realloc(*bytes, room * 2 + 65536)
					: NULL;
			if (larger == NULL) {
				return -EMSGSIZE;
			}
			*bytes = larger;
			room = room * 2 + 65536;
		}
		n = recv(fd, *bytes + used, room - used - 1, 0);
		if (n == 0) {
			break;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return -errno;
		}
		used += n > 0 ? (size_t)n : 0;
	}
	(*bytes)[used] = '\0';
	return (ssize_t)used;
}

static void split_reply(struct prom_reply *reply, size_t size_bytes) {
	char *end;
	long status;

	for (size_t i = 0; i < size_bytes; i++) {
		if (reply->bytes[i] == '\0') {
			reply->bytes[i] = '?';
		}
	}
	end = strstr(reply->bytes, "\r\n\r\n");
	if (strncmp(reply->bytes, "HTTP/1.", 7) == 0 && end != NULL) {
		*end = '\0';
		reply->body = end + 4;
		/* "HTTP/1.1 200 OK" */
		status = strlen(reply->bytes) > 8 ? strtol(reply->bytes + 8, NULL, 10)
						  : 0;
		reply->status = status >= 100 && status <= 999 ? (int)status : 0;
	}
}

int prom_url_fetch(const struct prom_url *url, struct prom_reply *out) {
	int64_t deadline_ms = now_ms() + TIMEOUT_MS;
	ssize_t n;
	int fd, r;

	memset(out, 0, sizeof(*out));
	fd = connect_url(url, deadline_ms, &out->error);
	if (fd < 0) {
		return fd;
	}
	r = send_request(fd, url, deadline_ms);
	n = r < 0 ? r : receive(fd, &out->bytes, deadline_ms);
	if (n >= 0) {
		split_reply(out, (size_t)n);
	}
	close(fd);
	return n < 0 ? (int)n : 0;
}

void prom_reply_finish(struct prom_reply *reply) {
	free(reply->bytes);
	reply->bytes = NULL;
}
