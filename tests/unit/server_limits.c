/* SPDX-License-Identifier: MIT */
/* Clients that are too many, too slow or too silent, and a host short of descriptors. */

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "tests/unit/subject.h"

enum { BIG_REQUESTS = 2000 };

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
	prom_clock_fn before = prom_clock;
	prom_clock = standing_clock;
	subject_start(&hasty, "127.0.0.1", 0, "", hasty_ns);
	int fd = client(&hasty);
	say(fd, "GET / HTTP/1.1\r\nHost: loc");
	pass_ns(&hasty, hasty_ns - 1);
	is(is_quiet(fd), 1, "half a request: nothing before the deadline");
	pass_ns(&hasty, 1);
	is(hear(fd, true), 408, "... 408 after it");
	is(is_ended(fd), 1, "... and the connection ends");
	close(fd);
	fd = client(&hasty);
	pass_ns(&hasty, hasty_ns);
	is(is_ended(fd), 1, "a silent client is closed without a word");
	close(fd);
	fd = client(&hasty);
	say(fd, GET("/"));
	is(hear(fd, true), 200, "a quick one is served");
	pass_ns(&hasty, 18 * hasty_ns - 1);
	is(is_quiet(fd), 1, "... may be idle for 18 times as long");
	pass_ns(&hasty, 1);
	is(is_ended(fd), 1, "... and is closed then");
	close(fd);
	/* requests that sockets hold, all of them, and answers that they do not */
	fd = client(&hasty);
	for (unsigned i = 0; i < BIG_REQUESTS; i++) {
		say(fd, GET("/big"));
	}
	/* a turn of the server's answers one of them, until sockets hold no more */
	for (unsigned i = 0; i < BIG_REQUESTS / 2; i++) {
		settle(&hasty);
	}
	pass_ns(&hasty, hasty_ns);
	uint64_t heard = 0;
	ssize_t n;
	while ((n = recv(fd, reply.body, sizeof(reply.body), 0)) > 0) {
		heard += (uint64_t)n;
	}
	/* a reset if the server had not read all that was said */
	ok(n == 0 || errno == ECONNRESET, "a client that reads nothing is cut off");
	ok(heard < (uint64_t)BIG_REQUESTS * BIG_BYTES, "... before its last answer");
	close(fd);
	subject_halt(&hasty);
	is(answers(&hasty, 408), 1, "the 408 is counted");
	is(prom_server_in_flight(hasty.server), 0, "no page is lost");
	subject_close(&hasty);
	prom_clock = before;
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
	int fd = client(subject);
	say(fd, GET("/"));
	is(hear(fd, true), 200, "served again when they are gone");
	close(fd);
}

/* Allows `spare` descriptors more than are open; nobody else may open or close any meanwhile. */
static void limit_descriptors(rlim_t spare) {
	struct rlimit limit;
	int next = dup(STDOUT_FILENO);
	close(next);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = (rlim_t)next + spare;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* With few descriptors allowed a client waits, at no cost, until more are. */
static void check_starved(bool is_poll_refused, const char *name) {
	struct subject subject;
	struct rlimit before;
	getrlimit(RLIMIT_NOFILE, &before);
	subject_start(&subject, "127.0.0.1", 0, "", patient_ns);
	int fd = client_socket(AF_INET);
	int old = client(&subject);
	say(old, GET("/"));
	is(hear(old, true), 200, "with descriptors enough a client is served");
	say(old, "GET / HT"); /* not idle: it is not closed to make room */
	if (is_poll_refused) {
		struct rlimit one = { .rlim_cur = 1, .rlim_max = before.rlim_max };
		setrlimit(RLIMIT_NOFILE, &one);
	} else {
		limit_descriptors(0);
	}
	uint64_t before_ns = cpu_ns(&subject);
	client_connect(fd, &subject);
	say(fd, GET("/"));
	struct timeval brief = { .tv_usec = 400000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
	is(hear(fd, true), 0, name);
	ok(cpu_ns(&subject) - before_ns < 100000000, "... and nothing spins");
	say(old, "TP/1.1\r\nHost: localhost\r\n\r\n");
	is(hear(old, true), 200, "... and who was there before is served");
	close(old);
	setrlimit(RLIMIT_NOFILE, &before);
	brief = (struct timeval){ .tv_sec = tap_patience_s() };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
	is(hear(fd, true), 200, "... and the client is served afterwards");
	close(fd);
	subject_stop(&subject);
}

static void test_descriptors(void) {
	struct subject subject;
	struct rlimit before;
	check_starved(false, "EMFILE: nobody is accepted");
	check_starved(true, "poll refused: nobody is served");
	getrlimit(RLIMIT_NOFILE, &before);
	subject_start(&subject, "127.0.0.1", 0, "", patient_ns);
	int fd = client_socket(AF_INET);
	int other = client_socket(AF_INET);
	limit_descriptors(1);
	client_connect(fd, &subject);
	say(fd, GET("/"));
	is(hear(fd, true), 200, "the last descriptor serves");
	ok(strstr(reply.head, "Connection: close") != NULL, "... one request only");
	client_connect(other, &subject);
	say(other, GET("/"));
	is(hear(other, true), 200, "and then the next client");
	setrlimit(RLIMIT_NOFILE, &before);
	close(fd);
	close(other);
	subject_stop(&subject);
}

int main(void) {
	struct subject subject;
	int descriptors = own_descriptors();
	test_descriptors(); /* first: the numbers of descriptors must be at rest */
	subject_start(&subject, "127.0.0.1", 0, "", patient_ns);
	test_many(&subject);
	test_slow_readers(&subject);
	subject_halt(&subject);
	prom_server_close(subject.server);
	is(prom_server_in_flight(subject.server), 0, "no page is lost");
	subject_close(&subject);
	test_slow();
	is(own_descriptors(), descriptors, "every descriptor is closed again");
	return tap_done();
}
