/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_SUBJECT_H
#define TESTS_UNIT_SUBJECT_H

/* A server under test on a thread of its own, and clients that speak to it. */

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "exporter/clock.h"
#include "exporter/server.h"
#include "tests/unit/own.h"
#include "tests/unit/tap.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

enum { BIG_BYTES = 200000 };

static const uint64_t patient_ns = 60000000000;
static const uint64_t hasty_ns = 50000000;

struct subject {
	struct prom_arena arena;
	struct prom_server *server;
	pthread_t thread;
};

struct reply {
	int status; /* 0 = the connection ended first */
	char head[1024];
	char body[BIG_BYTES];
	size_t body_size;
};

static struct reply reply; /* the last one read */

static inline int handle(void *user, const struct prom_request *request,
		struct prom_buf *body, const char **type) {
	const char *word = user;
	*type = "text/test";
	if (request->path.size == 4 && memcmp(request->path.bytes, "/big", 4) == 0) {
		for (size_t i = 0; i < BIG_BYTES / 10; i++) {
			prom_buf_put(body, "0123456789", 10);
		}
		return 200;
	}
	if (request->path.size == 6 && memcmp(request->path.bytes, "/empty", 6) == 0) {
		return 200;
	}
	if (request->path.size == 1) {
		prom_buf_text(body, word);
		return 200;
	}
	prom_buf_text(body, "404 as the handler words it\n");
	return 404;
}

static inline void *serve(void *arg) {
	prom_server_run(arg);
	return NULL;
}

static inline int subject_listen(struct subject *subject, const char *address, int port,
		const char *path, uint64_t timeout_ns) {
	static char word[] = "hello\n";
	const struct prom_server_config config = { .address = address,
		.port = port,
		.socket_path = path,
		.max_requests = 2,
		.timeout_ns = timeout_ns,
		.page_bytes = BIG_BYTES,
		.handler = handle,
		.user = word };
	prom_arena_init(&subject->arena, 8 << 20);
	subject->server = prom_server_create(&subject->arena, &config);
	return prom_server_listen(subject->server);
}

static inline void subject_start(struct subject *subject, const char *address, int port,
		const char *path, uint64_t timeout_ns) {
	int r = subject_listen(subject, address, port, path, timeout_ns);
	if (r < 0 ||
			pthread_create(&subject->thread, NULL, serve, subject->server) !=
					0) {
		printf("Bail out! no server: %d\n", r);
		exit(1);
	}
}

static inline void subject_close(struct subject *subject) {
	prom_server_close(subject->server);
	prom_arena_finish(&subject->arena);
}

static inline void subject_halt(struct subject *subject) {
	prom_server_stop(subject->server);
	pthread_join(subject->thread, NULL);
}

static inline void subject_stop(struct subject *subject) {
	subject_halt(subject);
	subject_close(subject);
}

static inline uint64_t answers(const struct subject *subject, int status) {
	const struct prom_http_counts *counts = prom_server_counts(subject->server);
	for (unsigned i = 0; i < 16; i++) {
		if (counts->status[i] == status) {
			return counts->answers[i];
		}
	}
	return UINT64_MAX;
}

/* A socket that gives up in the end, so that a failure is one and not a hang. */
static inline int client_socket(int family) {
	const struct timeval wait = { .tv_sec = tap_patience_s() };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return fd;
}

static inline int client_connect(int fd, const struct subject *subject) {
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)prom_server_port(subject->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

static inline int client(const struct subject *subject) {
	int fd = client_socket(AF_INET);
	return client_connect(fd, subject) < 0 ? -1 : fd;
}

static inline int unix_client(const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = client_socket(AF_UNIX);
	memcpy(address.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline void say(int fd, const char *text) {
	size_t size = strlen(text);
	while (size > 0) {
		ssize_t n = send(fd, text, size, MSG_NOSIGNAL);
		if (n < 0) {
			return;
		}
		text += n;
		size -= (size_t)n;
	}
}

/* Reads one reply; `has_body` false after HEAD. Returns its status. */
static inline int hear(int fd, bool has_body) {
	size_t size = 0;
	reply.status = 0;
	reply.body_size = 0;
	reply.head[0] = '\0';
	while (strstr(reply.head, "\r\n\r\n") == NULL) {
		if (size + 1 == sizeof(reply.head) ||
				recv(fd, reply.head + size, 1, 0) != 1) {
			return 0;
		}
		reply.head[++size] = '\0';
	}
	const char *length = strstr(reply.head, "Content-Length: ");
	size_t announced = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
	while (has_body && reply.body_size < announced) {
		ssize_t n = recv(fd, reply.body + reply.body_size,
				announced - reply.body_size, 0);
		if (n <= 0) {
			return 0;
		}
		reply.body_size += (size_t)n;
	}
	reply.status = atoi(reply.head + 9);
	return reply.status;
}

static inline bool body_is(const char *text) {
	return reply.body_size == strlen(text) &&
			memcmp(reply.body, text, reply.body_size) == 0;
}

/* 1 the stream has ended, 0 something came, -1 it was reset or nothing happened. */
static inline int is_ended(int fd) {
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);
	return n == 0 ? 1 : n > 0 ? 0 : -1;
}

/* Whether nothing has come, nor the end. */
static inline int is_quiet(int fd) {
	char byte;
	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static inline uint64_t cpu_ns(const struct subject *subject) {
	return own_cpu_ns(subject->thread);
}

/* Returns when the server has dealt with all that was sent to it before. */
static inline void settle(const struct subject *subject) {
	int fd = client(subject);
	say(fd, GET("/"));
	(void)hear(fd, true);
	close(fd);
}

/*
 * A clock that stands until it is moved, for tests of deadlines: what runs out is the test's choice
 * and not the scheduler's. Set before the server's thread starts.
 */
static _Atomic uint64_t standing_ns = 1000000000;

static inline int standing_clock(clockid_t clock, struct timespec *out) {
	uint64_t at_ns = atomic_load_explicit(&standing_ns, memory_order_acquire);
	out->tv_sec = (time_t)(at_ns / 1000000000U);
	out->tv_nsec = (long)(at_ns % 1000000000U);
	return 0;
}

/* Lets time pass between two moments at which the server has nothing left to do. */
static inline void pass_ns(const struct subject *subject, uint64_t time_ns) {
	settle(subject);
	atomic_fetch_add_explicit(&standing_ns, time_ns, memory_order_release);
	settle(subject);
}

#endif
