/* SPDX-License-Identifier: MIT */
#include "exporter/exporter.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/segment.h"
#include "tests/unit/tap.h"

static char folder[] = "/tmp/promshim-exporter-XXXXXX";
static char page[1 << 20]; /* the last reply, head and body */
static char told[8][512];
static unsigned told_count;

static void report(int level, const char *line) {
	if (told_count < 8) {
		snprintf(told[told_count], sizeof(told[0]), "%d %s", level, line);
	}
	told_count++;
}

static struct prom_exporter_config config_make(struct shim_segment *segment) {
	return (struct prom_exporter_config){ .segment = segment,
		.segment_bytes = segment_bytes(),
		.address = "127.0.0.1",
		.port = 0,
		.socket_path = "",
		.port_file = "",
		.collectors = "all",
		.mode = "serve",
		.max_requests = 4,
		.timeout_ns = 60000000000,
		.report = report };
}

static struct shim_segment *segment_of_ours(void) {
	struct shim_segment *segment = segment_make();
	segment->pid = getpid();
	segment->created_ns = 1700000000000000000;
	strcpy(segment->version, "9.8.7");
	strcpy(segment->executable, "/usr/sbin/ngi\nnx");
	strcpy(segment->settings, "PROMSHIM_MODE=serve\nPROMSHIM_PORT=0\n");
	put(segment_block(segment, 0)->frees, 2);
	put(segment_block(segment, 0)->size_class[4], 5);
	put(segment->block_count, 1);
	return segment;
}

static void message_put(struct shim_segment *segment, uint64_t number, const char *text) {
	struct shim_message *message = &segment->messages[number % SHIM_MESSAGES];
	uint64_t words[SHIM_MESSAGE_BYTES / 8] = { 0 };
	memcpy(words, text, strlen(text));
	for (unsigned i = 0; i < SHIM_MESSAGE_BYTES / 8; i++) {
		put(message->text[i], words[i]);
	}
	put(message->number, number);
}

static void *serve(void *arg) {
	prom_exporter_run(arg);
	return NULL;
}

/* Fetches `path` into `page`; Returns the status. */
static int fetch(unsigned port, const char *path) {
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval wait = { .tv_sec = 20 };
	char request[256];
	size_t size = 0;
	ssize_t n = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
	page[0] = '\0';
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
			send(fd, request, strlen(request), MSG_NOSIGNAL) > 0) {
		do {
			n = recv(fd, page + size, sizeof(page) - 1 - size, 0);
			size += n > 0 ? (size_t)n : 0;
		} while (n > 0);
		page[size] = '\0';
	}
	close(fd);
	return strlen(page) < 12 ? 0 : atoi(page + 9);
}

static bool shows(const char *text) {
	return strstr(page, text) != NULL;
}

static bool file_read(const char *path, char *out, size_t size_bytes) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size_bytes - 1);
	out[n < 0 ? 0 : n] = '\0';
	close(fd);
	return n >= 0;
}

static void test_routes(unsigned port) {
	is(fetch(port, "/metrics"), 200, "/metrics");
	ok(shows("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
			"... as text 0.0.4");
	ok(shows("\npromshim_malloc_live_blocks{program=\"nginx\"} 3\n"),
			"... live blocks");
	ok(shows("\npromshim_processes{program=\"nginx\",state=\"running\"} 1\n"),
			"... a group of one");
	ok(shows("\npromshim_roots{program=\"nginx\"} 1\n"), "... one root");
	ok(shows("\npromshim_process_starts_total{program=\"nginx\"} 1\n"),
			"... one start");
	ok(shows("\npromshim_process_ends_total{program=\"nginx\"} 0\n"), "... no end");
	ok(shows("\npromshim_start_time_seconds 1.7e+09\n"), "... since when");
	ok(shows("\npromshim_exporter_http_requests_total{code=\"431\"} 0\n"),
			"... a cell for each status");
	ok(shows("\nprocess_resident_memory_bytes{program=\"nginx\"} "),
			"... from /proc");
	ok(shows("\npromshim_exporter_requests_in_flight 1\n"),
			"... this one is in flight");
	is(fetch(port, "/metrics/?x=y"), 200, "/metrics/ with a query");
	ok(shows("\npromshim_exporter_http_requests_total{code=\"200\"} 1\n"),
			"... counts the one before");
	ok(!shows("\npromshim_exporter_scrape_duration_seconds 0\n"),
			"... and knows its time");
	ok(!shows("\npromshim_exporter_memory_bytes 0\n"), "... memory");
	is(fetch(port, "/-/healthy"), 200, "/-/healthy");
	is(fetch(port, "/-/ready"), 200, "/-/ready");
	is(fetch(port, "/metric"), 404, "anything else");
	ok(shows("\r\n\r\n404 Not Found: metrics are at /metrics, everything at /\n"),
			"... names the right path");
}

static void test_index(struct shim_segment *segment, unsigned port) {
	is(fetch(port, "/"), 200, "/");
	ok(shows("\nMessages\n  none\n"), "... no message yet");
	message_put(segment, 16, "sixteen. So what. Do this.");
	message_put(segment, 17, "seventeen");
	message_put(segment, 2, "two");
	is(fetch(port, "/"), 200, "/ again");
	ok(shows("promshim 9.8.7\n"), "... version");
	ok(shows("\nexecutable  /usr/sbin/ngi?nx\n"),
			"... no line breaks from elsewhere");
	ok(shows("\nhooks       malloc=yes operator_new=no pthread_create=yes\n"),
			"... hooks");
	ok(shows("\nSettings\n  PROMSHIM_MODE=serve\n  PROMSHIM_PORT=0\n"),
			"... settings");
	ok(shows("\nMessages\n  2 two\n  16 sixteen. So what. Do this.\n  17 seventeen\n"),
			"... messages, oldest first");
	ok(shows("\n  promshim_malloc_live_blocks (gauge) "), "... families");
	ok(shows("\n  /metrics "), "... endpoints");
}

static void test_serving(void) {
	char path[64];
	char text[128];
	char expected[64];
	pthread_t thread;
	struct stat status;
	struct shim_segment *segment = segment_of_ours();
	struct prom_exporter_config config = config_make(segment);
	snprintf(path, sizeof(path), "%s/port", folder);
	config.port_file = path;
	struct prom_exporter *exporter = prom_exporter_create(&config);
	is(atomic_load_explicit(&segment->port, memory_order_relaxed), 0,
			"no socket yet");
	is(prom_exporter_listen(exporter), 0, "listen");
	unsigned port = atomic_load_explicit(&segment->port, memory_order_relaxed);
	is(atomic_load_explicit(&segment->state, memory_order_relaxed),
			SHIM_STATE_SERVING, "the segment says so");
	snprintf(expected, sizeof(expected), "%u\n", port);
	ok(file_read(path, text, sizeof(text)), "port file");
	is_text(text, expected, "... holds the port");
	is(prom_exporter_listen(exporter), 0, "listen again is nothing new");
	pthread_create(&thread, NULL, serve, exporter);
	test_routes(port);
	test_index(segment, port);
	prom_exporter_stop(exporter);
	pthread_join(thread, NULL);
	prom_exporter_destroy(exporter);
	is(atomic_load_explicit(&segment->state, memory_order_relaxed),
			SHIM_STATE_COUNTING, "after the end it only counts");
	is(told_count, 0, "nothing was reported");
	snprintf(text, sizeof(text), "%s.%d.tmp", path, getpid());
	is(stat(text, &status), -1, "no temporary file is left");
	unlink(path);
	free(segment);
}

static void test_figures(void) {
	struct shim_segment *segment = segment_of_ours();
	struct prom_exporter_config config = config_make(segment);
	struct prom_exporter *exporter = prom_exporter_create(&config);
	struct shim_figures *figures = &segment->figures;
	const uint64_t limit = UINT64_C(1) << SHIM_FIGURE_memory_limit_bytes;
	put(figures->memory_limit_bytes, 4711);
	put(figures->known, limit);
	prom_exporter_publish(exporter);
	uint64_t known = atomic_load_explicit(&figures->known, memory_order_acquire);
	ok((known >> SHIM_FIGURE_resident_bytes & 1) != 0,
			"resident memory is published");
	ok(atomic_load_explicit(&figures->resident_bytes, memory_order_relaxed) > 100000,
			"... and plausible");
	ok((known & limit) != 0, "the memory limit stays");
	is(atomic_load_explicit(&figures->memory_limit_bytes, memory_order_relaxed), 4711,
			"... as it was");
	ok(atomic_load_explicit(&figures->taken_ns, memory_order_relaxed) != 0, "dated");
	prom_exporter_destroy(exporter);
	prom_exporter_destroy(NULL);
	free(segment);
}

static bool textfile(const char *collectors, char *path, size_t path_size) {
	struct shim_segment *segment = segment_of_ours();
	struct prom_exporter_config config = config_make(segment);
	config.collectors = collectors;
	snprintf(path, path_size, "%s/x.prom", folder);
	struct prom_exporter *exporter = prom_exporter_create(&config);
	int r = prom_exporter_write_textfile(exporter, path);
	prom_exporter_destroy(exporter);
	free(segment);
	page[0] = '\0';
	return r == 0 && file_read(path, page, sizeof(page));
}

static void test_collectors(void) {
	static const struct {
		const char *selection;
		bool malloc, threads, process;
	} rows[] = {
		{ "all", true, true, true },
		{ "all,-malloc", false, true, true },
		{ "-process", true, true, false },
		{ "malloc,threads", true, true, false },
		{ "threads", false, true, false },
		{ "-all,process", false, false, true },
		{ "malloc,-malloc", false, false, false },
		{ "mallo,mallocs,hreads", false, false, false },
	};
	char path[64];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ok(textfile(rows[i].selection, path, sizeof(path)) &&
						shows("\npromshim_build_info{") &&
						shows("\npromshim_malloc_frees_total") ==
								rows[i].malloc &&
						shows("\npromshim_threads{") ==
								rows[i].threads &&
						shows("\nprocess_cpu_seconds_total") ==
								rows[i].process,
				rows[i].selection);
	}
	unlink(path);
}

static void test_textfile_refused(void) {
	struct rlimit before, none;
	struct stat status;
	sigset_t mask;
	char path[64];
	char text[16];
	told_count = 0;
	snprintf(path, sizeof(path), "%s/x.prom", folder);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	ok(write(fd, "old", 3) == 3, "an old text file");
	close(fd);
	getrlimit(RLIMIT_FSIZE, &before);
	none = before;
	none.rlim_cur = 0;
	fflush(stdout);
	setrlimit(RLIMIT_FSIZE,
			&none); /* the default action of SIGXFSZ would end us here */
	bool written = textfile("all", path, sizeof(path));
	setrlimit(RLIMIT_FSIZE, &before);
	ok(!written, "not written under a file size limit of 0");
	sigprocmask(SIG_SETMASK, NULL, &mask);
	is(sigismember(&mask, SIGXFSZ), 0, "the signal mask is as it was");
	sigpending(&mask);
	is(sigismember(&mask, SIGXFSZ), 0, "no signal waits");
	file_read(path, text, sizeof(text));
	is_text(text, "old", "the old text file is whole");
	ok(told_count == 1 &&
					strstr(told[0],
							"(EFBIG). The file is left out. Raise the "
							"limit of file sizes (ulimit -f).") !=
							NULL,
			"one line says so");
	unlink(path);
	snprintf(path, sizeof(path), "%s/x.prom.%d.tmp", folder, getpid());
	is(stat(path, &status), -1, "no temporary file is left");
}

static void test_complaints(void) {
	struct shim_segment *segment = segment_of_ours();
	struct prom_exporter_config config = config_make(segment);
	char expected[512];
	struct prom_exporter *first = prom_exporter_create(&config);
	prom_exporter_listen(first);
	config.port = (int)atomic_load_explicit(&segment->port, memory_order_relaxed);
	struct prom_exporter *second = prom_exporter_create(&config);
	told_count = 0;
	is(prom_exporter_listen(second), -EADDRINUSE, "port taken");
	is(prom_exporter_listen(second), -EADDRINUSE, "... and taken");
	is(told_count, 1, "told once");
	snprintf(expected, sizeof(expected),
			"1 port %d on 127.0.0.1 is taken by another program. Counting goes on, "
			"nothing is served. Set PROMSHIM_PORT, or 0 with PROMSHIM_PORT_FILE. "
			"Trying again every 30 s.",
			config.port);
	is_text(told[0], expected, "in these words");
	prom_exporter_destroy(second);
	prom_exporter_destroy(first);
	config.port = -1;
	config.socket_path = "/proc/nowhere/socket";
	told_count = 0;
	second = prom_exporter_create(&config);
	is(prom_exporter_listen(second), -ENOENT, "a socket that cannot be made");
	is(told_count, 1, "told once");
	is_text(told[0],
			"1 socket /proc/nowhere/socket cannot be made (ENOENT). Counting goes "
			"on, nothing is served there. Set PROMSHIM_SOCKET to a free path.",
			"in these words");
	prom_exporter_destroy(second);
	config.port = 0;
	config.socket_path = "";
	config.port_file = "/proc/nowhere/port";
	told_count = 0;
	second = prom_exporter_create(&config);
	is(prom_exporter_listen(second), 0,
			"a port file that cannot be made is no failure");
	is(told_count, 1, "told once");
	is_text(told[0],
			"1 /proc/nowhere/port cannot be written (ENOENT). The file is left out. "
			"Set PROMSHIM_PORT_FILE to a path that this user can write.",
			"in these words");
	told_count = 0;
	is(prom_exporter_write_textfile(second, "/proc/nowhere/x"), -ENOENT,
			"a text file, too");
	is(prom_exporter_write_textfile(second, "/proc/nowhere/x"), -ENOENT, "... twice");
	is(told_count, 1, "told once");
	prom_exporter_destroy(second);
	free(segment);
}

int main(void) {
	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	test_serving();
	test_figures();
	test_collectors();
	test_textfile_refused();
	test_complaints();
	rmdir(folder);
	return tap_done();
}
