/* SPDX-License-Identifier: MIT */
/*
 * A small HTTP load generator: keep-alive connections, one request at a time on each.
 *
 *   scrape [-c CONNECTIONS] [-s SECONDS] [-r REQUESTS_PER_SECOND] [-p PATH] TARGET
 *   scrape -w COUNTERS ...
 *
 * TARGET is HOST:PORT (a numeric IPv4 address) or the path of a UNIX socket. Prints the
 * requests answered by 200 per second, other answers, the bytes of a page and how long an
 * answer takes. With -w it loads the target every other window only and prints how much of
 * its throughput the host keeps meanwhile, as COUNTERS (a file of host50) tells.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/host50.h"
#include "tests/bench/stats.h"

enum {
	CONNECTIONS_MAX = 64,
	PAGE_MAX = 1 << 20,
	SAMPLES_MAX = 1 << 20,
	WINDOWS_MAX = 400
};
enum { WINDOW_MS = 250 };

#define CHUNKED SIZE_MAX /* ends with the empty chunk */

struct connection {
	int fd;
	size_t received; /* of the present answer, head included */
	size_t expected; /* its length, or CHUNKED; 0 = head not complete */
	char tail[5]; /* its last bytes */
	uint64_t asked_ns; /* 0 = no request in flight */
	char head[4096];
};

struct totals {
	uint64_t good, other, bytes;
};

static struct connection connections[CONNECTIONS_MAX];
static struct pollfd polled[CONNECTIONS_MAX];
static double latency_us[SAMPLES_MAX];
static size_t latencies;
static struct totals totals;
static char request[1024];
static char scratch[PAGE_MAX];
static unsigned connection_count = 4;
static double rate; /* requests per second over all connections; 0 = no limit */

static void fail(const char *what) {
	fprintf(stderr, "scrape: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int connect_to(const char *target) {
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct sockaddr_in remote = { .sin_family = AF_INET };
	const char *colon = strrchr(target, ':');
	char host[64];
	int fd;

	if (target[0] == '/' || colon == NULL) {
		snprintf(local.sun_path, sizeof local.sun_path, "%s", target);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&local, sizeof local) != 0) {
			fail(target);
		}
		return fd;
	}
	snprintf(host, sizeof host, "%.*s", (int)(colon - target), target);
	remote.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, host, &remote.sin_addr) != 1) {
		fail("not a numeric IPv4 address");
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&remote, sizeof remote) != 0) {
		fail(target);
	}
	return fd;
}

static void ask(struct connection *connection) {
	size_t length = strlen(request);

	connection->received = connection->expected = 0;
	connection->asked_ns = bench_now_ns();
	if (send(connection->fd, request, length, MSG_NOSIGNAL) != (ssize_t)length) {
		fail("send");
	}
}

/* Sets `expected` once the head is complete. */
static void head_parse(struct connection *connection) {
	char *end = memmem(connection->head, connection->received, "\r\n\r\n", 4);

	if (end == NULL) {
		if (connection->received == sizeof connection->head) {
			errno = EPROTO;
			fail("head too long");
		}
		return;
	}
	*end = '\0';
	char *field = strcasestr(connection->head, "\ncontent-length:");
	if (field != NULL) {
		connection->expected = (size_t)(end + 4 - connection->head) +
				strtoul(strchr(field, ':') + 1, NULL, 10);
	} else if (strcasestr(connection->head, "\ntransfer-encoding: chunked") != NULL) {
		connection->expected = CHUNKED;
	} else {
		errno = EPROTO;
		fail("an answer of unknown length");
	}
	if (strncmp(connection->head, "HTTP/1.1 200", 12) == 0) {
		totals.good++;
	} else {
		totals.other++;
	}
}

static void tail_keep(struct connection *connection, const char *bytes, size_t count) {
	size_t size = sizeof connection->tail, keep = count < size ? count : size;

	memmove(connection->tail, connection->tail + keep, size - keep);
	memcpy(connection->tail + size - keep, bytes + count - keep, keep);
}

static int is_complete(const struct connection *connection) {
	if (connection->expected == CHUNKED) {
		return memcmp(connection->tail, "0\r\n\r\n", sizeof connection->tail) ==
				0;
	}
	return connection->expected != 0 && connection->received >= connection->expected;
}

static void receive(struct connection *connection) {
	char *into = scratch;
	size_t room = sizeof scratch;

	if (connection->expected == 0) {
		into = connection->head + connection->received;
		room = sizeof connection->head - connection->received;
	}
	ssize_t got = recv(connection->fd, into, room, 0);
	if (got <= 0) {
		fail("the target closed a connection");
	}
	tail_keep(connection, into, (size_t)got);
	connection->received += (size_t)got;
	totals.bytes += (uint64_t)got;
	if (connection->expected == 0) {
		head_parse(connection);
	}
	if (!is_complete(connection)) {
		return;
	}
	if (latencies < SAMPLES_MAX) {
		latency_us[latencies++] =
				(double)(bench_now_ns() - connection->asked_ns) / 1000;
	}
	connection->asked_ns = 0;
}

/* Asks on idle connections as far as the rate allows; returns how long to wait, in ms. */
static int ask_due(uint64_t start_ns, uint64_t *asked) {
	for (unsigned i = 0; i < connection_count; i++) {
		double due = (double)(bench_now_ns() - start_ns) / 1e9 * rate;

		if (rate > 0 && (double)*asked > due) {
			return (int)(((double)*asked - due) / rate * 1000) + 1;
		}
		if (connections[i].asked_ns == 0) {
			ask(&connections[i]);
			++*asked;
		}
	}
	return 1000;
}

static void load(double seconds) {
	uint64_t start_ns = bench_now_ns(), asked = 0;
	uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9);
	unsigned busy = 0;

	while (bench_now_ns() < end_ns || busy > 0) {
		int wait_ms = bench_now_ns() < end_ns ? ask_due(start_ns, &asked) : 1000;

		if (poll(polled, connection_count, wait_ms) < 0) {
			fail("poll");
		}
		busy = 0;
		for (unsigned i = 0; i < connection_count; i++) {
			if (polled[i].revents != 0) {
				receive(&connections[i]);
			}
			busy += connections[i].asked_ns != 0;
		}
	}
}

static uint64_t host_work(const struct bench_host *host) {
	uint64_t sum = 0;

	for (int i = 0; i < BENCH_HOST_THREADS; i++) {
		/* relaxed: a lone number */
		sum += atomic_load_explicit(&host->thread[i].work, memory_order_relaxed);
	}
	return sum;
}

/* Work of the host per second over one window, loaded or not. */
static double window(const struct bench_host *host, int loaded) {
	uint64_t before = host_work(host), start = bench_now_ns();

	if (loaded) {
		load(WINDOW_MS / 1000.0);
	} else {
		poll(NULL, 0, WINDOW_MS);
	}
	return (double)(host_work(host) - before) / (double)(bench_now_ns() - start) *
			1e9;
}

static void compare_windows(const char *path, double seconds) {
	static double ratios[WINDOWS_MAX];
	struct bench_summary summary;
	size_t pairs = (size_t)(seconds * 1000 / (2 * WINDOW_MS));
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fail(path);
	}
	const struct bench_host *host =
			mmap(NULL, sizeof *host, PROT_READ, MAP_SHARED, fd, 0);
	if (host == MAP_FAILED) {
		fail(path);
	}
	close(fd);
	pairs = pairs < WINDOWS_MAX ? pairs : WINDOWS_MAX;
	for (size_t i = 0; i < pairs; i++) {
		double first = window(host, i % 2 == 0),
		       second = window(host, i % 2 != 0);

		ratios[i] = i % 2 == 0 ? first / second : second / first;
	}
	bench_summarize(ratios, pairs, &summary);
	bench_print("host_throughput_kept", &summary, "x");
	printf("host_scrapes %.1f 1/s\n",
			(double)totals.good / ((double)pairs * WINDOW_MS / 1000));
}

static void report(double took_seconds) {
	struct bench_summary summary;

	if (totals.good == 0) {
		errno = EPROTO;
		fail("no answer was 200");
	}
	printf("scrapes %.1f 1/s\n", (double)totals.good / took_seconds);
	printf("scrapes_good %llu 1\n", (unsigned long long)totals.good);
	printf("scrapes_other %llu 1\n", (unsigned long long)totals.other);
	printf("scrape_bytes %.0f B\n",
			(double)totals.bytes / (double)(totals.good + totals.other));
	bench_summarize(latency_us, latencies, &summary);
	bench_print("scrape_latency", &summary, "us");
	printf("scrape_latency_p99 %.1f us\n", latency_us[latencies * 99 / 100]);
}

static int usage(void) {
	fprintf(stderr,
			"usage: scrape [-c CONNECTIONS] [-s SECONDS] [-r RATE] [-p PATH]"
			" [-w COUNTERS] HOST:PORT|SOCKET\n");
	return 2;
}

int main(int argc, char **argv) {
	const char *path = "/metrics", *counters = NULL;
	double seconds = 2;
	int option;

	while ((option = getopt(argc, argv, "c:s:r:p:w:")) != -1) {
		switch (option) {
		case 'c':
			connection_count = (unsigned)atoi(optarg);
			break;
		case 's':
			seconds = atof(optarg);
			break;
		case 'r':
			rate = atof(optarg);
			break;
		case 'p':
			path = optarg;
			break;
		case 'w':
			counters = optarg;
			break;
		default:
			return usage();
		}
	}
	if (optind + 1 != argc || connection_count < 1 ||
			connection_count > CONNECTIONS_MAX) {
		return usage();
	}
	snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
			path);
	for (unsigned i = 0; i < connection_count; i++) {
		connections[i].fd = connect_to(argv[optind]);
		polled[i] = (struct pollfd){ .fd = connections[i].fd, .events = POLLIN };
	}
	uint64_t start = bench_now_ns();
	if (counters != NULL) {
		compare_windows(counters, seconds);
		return 0;
	}
	load(seconds);
	report((double)(bench_now_ns() - start) / 1e9);
	return 0;
}
