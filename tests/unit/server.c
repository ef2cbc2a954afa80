/* SPDX-License-Identifier: MIT */
#include "exporter/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/tap.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

enum { BIG_BYTES = 200000, WAIT_S = 20 };

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

static int handle(void *user, const struct prom_request *request, struct prom_buf *body,
		const char **type) {
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

static void *serve(void *arg) {
	prom_server_run(arg);
	return NULL;
}

static int subject_listen(struct subject *subject, const char *address, int port,
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

static void subject_start(struct subject *subject, const char *address, int port,
		const char *path, uint64_t timeout_ns) {
	int r = subject_listen(subject, address, port, path, timeout_ns);
	if (r < 0 ||
			pthread_create(&subject->thread, NULL, serve, subject->server) !=
					0) {
		printf("Bail out! no server: %d\n", r);
		exit(1);
	}
}

static void subject_close(struct subject *subject) {
	prom_server_close(subject->server);
	prom_arena_finish(&subject->arena);
}

static void subject_halt(struct subject *subject) {
	prom_server_stop(subject->server);
	pthread_join(subject->thread, NULL);
}

static void subject_stop(struct subject *subject) {
	subject_halt(subject);
	subject_close(subject);
}

static uint64_t answers(const struct subject *subject, int status) {
	const struct prom_http_counts *counts = prom_server_counts(subject->server);
	for (unsigned i = 0; i < 16; i++) {
		if (counts->status[i] == status) {
			return counts->answers[i];
		}
	}
	return UINT64_MAX;
}

/* A socket that gives up after WAIT_S, so that a failure is one and not a hang. */
static int client_socket(int family) {
	const struct timeval wait = { .tv_sec = WAIT_S };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return fd;
}

static int client_connect(int fd, const struct subject *subject) {
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)prom_server_port(subject->server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

static int client(const struct subject *subject) {
	int fd = client_socket(AF_INET);
	return client_connect(fd, subject) < 0 ? -1 : fd;
}

static int unix_client(const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = client_socket(AF_UNIX);
	memcpy(address.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void say(int fd, const char *text) {
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
static int hear(int fd, bool has_body) {
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

static bool body_is(const char *text) {
	return reply.body_size == strlen(text) &&
			memcmp(reply.body, text, reply.body_size) == 0;
}

/* 1 the stream has ended, 0 something came, -1 it was reset or nothing happened. */
static int is_ended(int fd) {
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);
	return n == 0 ? 1 : n > 0 ? 0 : -1;
}

/* One request, and whether the server then closes; on a connection of its own. */
static void check_last(const struct subject *subject, const char *request, int status,
		const char *name) {
	int fd = client(subject);
	say(fd, request);
	int heard = hear(fd, true);
	is(heard, status, name);
	is(is_ended(fd), 1, "... and the connection ends");
	close(fd);
}

static void test_keep_alive(const struct subject *subject) {
	int fd = client(subject);
	unsigned good = 0;
	for (unsigned i = 0; i < 100; i++) {
		say(fd, GET("/"));
		good += hear(fd, true) == 200 && body_is("hello\n");
	}
	is(good, 100, "100 requests on one connection");
	ok(strstr(reply.head, "Content-Type: text/test\r\n") != NULL,
			"type of the handler");
	char get[sizeof(reply.head)];
	memcpy(get, reply.head, sizeof(get));
	say(fd, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is(hear(fd, false), 200, "HEAD");
	is_text(reply.head, get, "HEAD has the same headers");
	say(fd, GET("/nothing"));
	is(hear(fd, true), 404, "404");
	ok(body_is("404 as the handler words it\n"), "... in the handler's words");
	say(fd, "PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is(hear(fd, true), 405, "405");
	ok(strstr(reply.head, "Allow: GET, HEAD\r\n") != NULL, "... with Allow");
	say(fd, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
	is(hear(fd, true), 421, "421 for a foreign Host on loopback");
	say(fd, GET("/empty"));
	is(hear(fd, true), 500, "a 200 without a body is a 500");
	say(fd, GET("/big"));
	is(hear(fd, true), 200, "a big page");
	is(reply.body_size, BIG_BYTES, "... whole");
	close(fd);
}

static void test_pipeline(const struct subject *subject) {
	enum { COUNT = 500 };
	static char requests[COUNT * sizeof(GET("/"))];
	int fd = client(subject);
	unsigned good = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		strcat(requests, GET("/"));
	}
	say(fd, requests);
	shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < COUNT; i++) {
		good += hear(fd, true) == 200 && body_is("hello\n");
	}
	is(good, COUNT, "500 pipelined requests, then our end: all are answered");
	is(is_ended(fd), 1, "... and the connection ends");
	close(fd);
	fd = client(subject);
	for (unsigned i = 0; i < 20; i++) {
		say(fd, GET("/big"));
	}
	good = 0;
	for (unsigned i = 0; i < 20; i++) {
		good += hear(fd, true) == 200 && reply.body_size == BIG_BYTES;
	}
	is(good, 20, "20 big pages pipelined, more than the socket takes");
	close(fd);
}

static void test_pieces(const struct subject *subject) {
	const char *request = GET("/") GET("/");
	const int on = 1;
	int fd = client(subject);
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
	for (size_t i = 0; request[i] != '\0'; i++) {
		send(fd, request + i, 1, MSG_NOSIGNAL);
	}
	is(hear(fd, true), 200, "a request byte by byte");
	is(hear(fd, true), 200, "... and the next one");
	/* the next read of the server holds the end of this one and the start of another */
	say(fd, "GET / HTTP/1.1\r\nHost: loc");
	say(fd, "alhost\r\n\r\nGET /noth");
	is(hear(fd, true), 200, "a request in two pieces");
	say(fd, "ing HTTP/1.1\r\nHost: a.b\r\nHost");
	say(fd, ": localhost\r\n\r\n");
	is(hear(fd, true), 400, "two Hosts, in pieces");
	close(fd);
}

static void test_errors(const struct subject *subject) {
	static char huge[70000];
	memset(huge, 'a', sizeof(huge) - 1);
	check_last(subject, "nonsense\r\n\r\n", 400, "400");
	check_last(subject, "\x16\x03\x01", 400, "400 for TLS, at once");
	check_last(subject,
			"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789",
			413, "413");
	check_last(subject,
			"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab",
			405, "405 for a POST with a body");
	check_last(subject, "GET / HTTP/3.0\r\n\r\n", 505, "505");
	check_last(subject, "GET / HTTP/1.0\r\n\r\n", 200, "HTTP/1.0");
	check_last(subject,
			"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
			200, "Connection: close");
	memcpy(huge, "GET /", 5);
	check_last(subject, huge, 414,
			"414 for a target of 70,000 bytes, all of it sent");
	memcpy(huge, "GET / HTTP/1.1\r\nX: ", 19);
	check_last(subject, huge, 431,
			"431 for a header of 70,000 bytes, all of it sent");
	int fd = client(subject);
	say(fd, "GET / HT");
	shutdown(fd, SHUT_WR);
	is(is_ended(fd), 1, "half a request and then the end: closed without a word");
	close(fd);
}

static void test_many(const struct subject *subject) {
	enum { MANY = 300 };
	static int fds[MANY];
	unsigned good = 0;
	for (unsigned i = 0; i < MANY; i++) {
		fds[i] = client(subject);
		say(fds[i], GET("/"));
		good += hear(fds[i], true) == 200;
	}
	is(good, MANY, "300 connections that stay: each is served");
	is(is_ended(fds[0]), 1, "the longest idle one had to go");
	say(fds[MANY - 1], GET("/"));
	is(hear(fds[MANY - 1], true), 200, "the newest is still there");
	for (unsigned i = 0; i < MANY; i++) {
		close(fds[i]);
	}
	for (unsigned i = 0; i < PROM_CONNECTIONS_MAX; i++) {
		fds[i] = client(subject);
		say(fds[i], GET("/"));
		(void)hear(fds[i], true);
		say(fds[i], "GET / HTTP/1.1\r\nHost: loc");
	}
	/* its second reply shows that the server has read what the others sent before */
	say(fds[0], "alhost\r\n\r\nGET");
	is(hear(fds[0], true), 200, "a half request is finished among 128");
	int fd = client(subject);
	is(hear(fd, true), 503, "a newcomer among 128 half requests: 503");
	is(is_ended(fd), 1, "... and the connection ends");
	close(fd);
	for (unsigned i = 0; i < PROM_CONNECTIONS_MAX; i++) {
		close(fds[i]);
	}
	fd = client(subject);
	say(fd, GET("/"));
	is(hear(fd, true), 200, "served again when they are gone");
	close(fd);
}

static void test_slow(void) {
	struct subject hasty;
	subject_start(&hasty, "127.0.0.1", 0, "", hasty_ns);
	int fd = client(&hasty);
	say(fd, "GET / HTTP/1.1\r\nHost: loc");
	is(hear(fd, true), 408, "half a request: 408 after the deadline");
	is(is_ended(fd), 1, "... and the connection ends");
	close(fd);
	fd = client(&hasty);
	is(is_ended(fd), 1, "a silent client is closed without a word");
	close(fd);
	fd = client(&hasty);
	say(fd, GET("/"));
	is(hear(fd, true), 200, "a quick one is served");
	is(is_ended(fd), 1, "... and closed after a while of idleness");
	close(fd);
	/* more requests than the server buffers: unread ones make its close a reset */
	fd = client(&hasty);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; i < 2000; i++) {
		say(fd, GET("/big"));
	}
	struct pollfd ended = { .fd = fd };
	is(poll(&ended, 1, WAIT_S * 1000), 1, "a client that reads nothing is cut off");
	close(fd);
	subject_halt(&hasty);
	is(answers(&hasty, 408), 1, "the 408 is counted");
	is(prom_server_in_flight(hasty.server), 0, "no page is lost");
	subject_close(&hasty);
}

static void test_slow_readers(const struct subject *subject) {
	int readers[2];
	char byte;
	for (unsigned i = 0; i < 2; i++) {
		readers[i] = client(subject);
		for (unsigned k = 0; k < 100; k++) {
			say(readers[i], GET("/big"));
		}
	}
	/* both pages are taken once the socket buffers are full; until then answers are 200 */
	int status = 200;
	for (unsigned i = 0; i < 10000 && status == 200; i++) {
		int fd = client(subject);
		say(fd, GET("/"));
		status = hear(fd, true);
		close(fd);
	}
	is(status, 503, "503 while max_requests replies wait for slow readers");
	for (unsigned i = 0; i < 2; i++) {
		ok(recv(readers[i], &byte, 1, 0) == 1, "the slow reader is still there");
		close(readers[i]);
	}
}

static uint64_t cpu_ns(const struct subject *subject) {
	clockid_t clock;
	struct timespec used;
	pthread_getcpuclockid(subject->thread, &clock);
	clock_gettime(clock, &used);
	return (uint64_t)used.tv_sec * 1000000000U + (uint64_t)used.tv_nsec;
}

/* With `limit` descriptors allowed a client waits, at no cost, until more are. */
static void check_starved(const struct subject *subject, rlim_t limit, const char *name) {
	struct rlimit before, few;
	int fd = client_socket(AF_INET);
	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = limit < 2 ? limit : (rlim_t)fd + 1;
	setrlimit(RLIMIT_NOFILE, &few);
	uint64_t before_ns = cpu_ns(subject);
	client_connect(fd, subject);
	say(fd, GET("/"));
	struct timeval brief = { .tv_usec = 400000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
	is(hear(fd, true), 0, name);
	ok(cpu_ns(subject) - before_ns < 100000000, "... and nothing spins");
	setrlimit(RLIMIT_NOFILE, &before);
	brief = (struct timeval){ .tv_sec = WAIT_S };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
	is(hear(fd, true), 200, "... and the client is served afterwards");
	close(fd);
}

static void test_descriptors(const struct subject *subject) {
	struct rlimit before, few;
	check_starved(subject, 2, "EMFILE: nobody is accepted");
	check_starved(subject, 1, "poll refused: nobody is served");
	/* one descriptor to spare: whoever is idle on it makes room */
	getrlimit(RLIMIT_NOFILE, &before);
	int fd = client_socket(AF_INET);
	int other = client_socket(AF_INET);
	few = before;
	few.rlim_cur = (rlim_t)other + 2;
	setrlimit(RLIMIT_NOFILE, &few);
	client_connect(fd, subject);
	say(fd, GET("/"));
	is(hear(fd, true), 200, "the last descriptor serves");
	ok(strstr(reply.head, "Connection: close") != NULL, "... one request only");
	client_connect(other, subject);
	say(other, GET("/"));
	is(hear(other, true), 200, "and then the next client");
	setrlimit(RLIMIT_NOFILE, &before);
	close(fd);
	close(other);
}

static void test_addresses(const struct subject *subject) {
	struct subject other;
	int port = (int)prom_server_port(subject->server);
	is(subject_listen(&other, "127.0.0.1", port, "", patient_ns), -EADDRINUSE,
			"port taken");
	subject_close(&other);
	is(subject_listen(&other, "localhost.", 0, "", patient_ns), -EINVAL,
			"names are not looked up");
	subject_close(&other);
	is(subject_listen(&other, "192.0.2.1", 0, "", patient_ns), -EADDRNOTAVAIL,
			"somebody else's address");
	subject_close(&other);
	is(subject_listen(&other, "127.0.0.1", -1, "", patient_ns), -EINVAL,
			"nothing to open");
	subject_close(&other);
	subject_start(&other, "*", 0, "", patient_ns);
	ok(!prom_server_is_loopback(other.server), "* is not loopback");
	int fd = client(&other);
	say(fd, "GET / HTTP/1.1\r\nHost: box.example\r\n\r\n");
	is(hear(fd, true), 200, "* serves IPv4, any Host");
	close(fd);
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)prom_server_port(other.server)),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	fd = client_socket(AF_INET6);
	int r = fd < 0 ? -1
		       : connect(fd, (const struct sockaddr *)&address, sizeof(address));
	say(fd, GET("/"));
	ok(r < 0 ? errno == EADDRNOTAVAIL || fd < 0 : hear(fd, true) == 200,
			"* serves IPv6 where there is any");
	close(fd);
	subject_stop(&other);
}

static void test_unix(const char *folder) {
	char path[100];
	struct subject first, second;
	struct stat status;
	snprintf(path, sizeof(path), "%s/s", folder);
	int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path, path, strlen(path));
	is(bind(stale, (const struct sockaddr *)&address, sizeof(address)), 0,
			"a stale socket");
	close(stale);
	mode_t mask = umask(0);
	subject_start(&first, "127.0.0.1", -1, path, patient_ns);
	is(umask(mask), 0, "umask is left alone");
	is(stat(path, &status), 0, "the socket is there");
	is(status.st_mode & 07777, 0600, "... for its owner only");
	int fd = unix_client(path);
	say(fd, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
	is(hear(fd, true), 200, "any Host on a UNIX socket");
	close(fd);
	is(subject_listen(&second, "127.0.0.1", -1, path, patient_ns), -EADDRINUSE,
			"a socket that answers is not replaced");
	subject_close(&second);
	is(subject_listen(&second, "127.0.0.1", 0, path, patient_ns), 0,
			"beside a port that is no error");
	is(prom_server_socket_error(second.server), -EADDRINUSE, "... but told");
	subject_close(&second);
	is(stat(path, &status), 0, "... and the other's socket stays");
	subject_stop(&first);
	is(stat(path, &status), -1, "the socket goes with its server");
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	is(subject_listen(&second, "127.0.0.1", -1, path, patient_ns), -ENOTSOCK,
			"a file is not replaced");
	subject_close(&second);
	is(stat(path, &status), 0, "... nor removed");
	unlink(path);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	char long_path[300];
	snprintf(long_path, sizeof(long_path), "/%s%s", path, path);
	is(subject_listen(&second, "127.0.0.1", -1, long_path, patient_ns), -ENAMETOOLONG,
			"a path that is too long");
	subject_close(&second);
}

static void test_stop(void) {
	struct subject subject;
	subject_start(&subject, "127.0.0.1", 0, "", patient_ns);
	int fd = client(&subject);
	say(fd, "GET");
	prom_server_stop(subject.server);
	pthread_join(subject.thread, NULL);
	ok(true, "stop ends run, whatever clients do");
	prom_server_stop(subject.server);
	prom_server_run(subject.server);
	ok(true, "a stop before run is not lost");
	pthread_create(&subject.thread, NULL, serve, subject.server);
	say(fd, " / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is(hear(fd, true), 200, "run again goes on where it was");
	uint64_t before_ns = cpu_ns(&subject);
	struct pollfd idle = { .fd = fd, .events = POLLIN };
	is(poll(&idle, 1, 200), 0, "idle");
	ok(cpu_ns(&subject) - before_ns < 50000000, "... costs nothing");
	close(fd);
	subject_halt(&subject);
	is(answers(&subject, 200), 1, "every answer is counted");
	is(answers(&subject, 431), 0, "statuses that never came are there");
	subject_close(&subject);
}

int main(void) {
	char folder[] = "/tmp/promshim-server-XXXXXX";
	struct subject subject;
	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	subject_start(&subject, "127.0.0.1", 0, "", patient_ns);
	ok(prom_server_port(subject.server) != 0, "a port was found");
	ok(prom_server_is_loopback(subject.server), "on loopback");
	test_keep_alive(&subject);
	test_pipeline(&subject);
	test_pieces(&subject);
	test_errors(&subject);
	test_many(&subject);
	test_slow_readers(&subject);
	test_descriptors(&subject);
	test_addresses(&subject);
	subject_halt(&subject);
	is(prom_server_in_flight(subject.server), 0, "no page is lost");
	subject_close(&subject);
	test_slow();
	test_unix(folder);
	test_stop();
	rmdir(folder);
	return tap_done();
}
