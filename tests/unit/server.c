/* SPDX-License-Identifier: MIT */
#include "exporter/server.h"

#include <poll.h>

#include "tests/unit/subject.h"

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
	const int little = 4096;
	fd = client_socket(AF_INET);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	client_connect(fd, subject);
	requests[0] = '\0';
	for (unsigned i = 0; i < 100; i++) {
		strcat(requests, GET("/big"));
	}
	say(fd, requests);
	good = 0;
	for (unsigned i = 0; i < 100; i++) {
		good += hear(fd, true) == 200 && reply.body_size == BIG_BYTES;
	}
	is(good, 100, "100 big pages pipelined, more than the socket takes");
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
	struct subject subject;
	int descriptors = own_descriptors();
	subject_start(&subject, "127.0.0.1", 0, "", patient_ns);
	ok(prom_server_port(subject.server) != 0, "a port was found");
	ok(prom_server_is_loopback(subject.server), "on loopback");
	test_keep_alive(&subject);
	test_pipeline(&subject);
	test_pieces(&subject);
	test_errors(&subject);
	subject_halt(&subject);
	prom_server_close(subject.server);
	is(prom_server_in_flight(subject.server), 0, "no page is lost");
	subject_close(&subject);
	test_stop();
	is(own_descriptors(), descriptors, "every descriptor is closed again");
	return tap_done();
}
