/* SPDX-License-Identifier: MIT */
#include "preload/messages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "preload/clock.h"
#include "preload/layout.h"
#include "tests/unit/tap.h"

static char folder[] = "/tmp/promshim-messages-XXXXXX";
static char log_path[sizeof(folder) + 8];
static char fifo_path[sizeof(folder) + 8];
static time_t fake_second = 1000; /* what the module under test takes for the time */

int clock_gettime(clockid_t clock, struct timespec *out);
int clock_gettime(clockid_t clock, struct timespec *out) {
	out->tv_sec = fake_second;
	out->tv_nsec = 0;
	return 0;
}

static uint64_t written(struct shim_segment *segment) {
	return atomic_load_explicit(&segment->messages_written, memory_order_relaxed);
}

static const char *slot(struct shim_segment *segment, size_t index,
		uint64_t *ret_number) {
	static char text[SHIM_MESSAGE_BYTES + 1];
	struct shim_message *message = &segment->messages[index];

	*ret_number = atomic_load_explicit(&message->number, memory_order_acquire);
	for (size_t i = 0; i < SHIM_MESSAGE_BYTES / 8; i++) {
		uint64_t word = atomic_load_explicit(&message->text[i],
				memory_order_relaxed);
		memcpy(text + i * 8, &word, sizeof(word));
	}
	return text;
}

static void read_all(const char *path, char *out, size_t size_bytes) {
	int fd = open(path, O_RDONLY);
	ssize_t count = fd < 0 ? 0 : read(fd, out, size_bytes - 1);

	out[count < 0 ? 0 : count] = '\0';
	if (fd >= 0) {
		close(fd);
	}
}

static int count_lines(const char *text) {
	int count = 0;

	for (; *text != '\0'; text++) {
		count += *text == '\n';
	}
	return count;
}

static void test_early(void) {
	static struct shim_segment segment;
	static char got[8192];
	char expected[128];
	uint64_t number;

	shim_message(SHIM_WARNING, "first");
	shim_message(SHIM_ERROR, "second");
	shim_messages_init(&segment, log_path);
	is_text(slot(&segment, 0, &number), "first", "an early message goes to the ring");
	is(number, 1, "with number 1");
	is_text(slot(&segment, 1, &number), "second", "in order");
	is(number, 2, "with number 2");
	read_all(log_path, got, sizeof(got));
	snprintf(expected, sizeof(expected),
			"promshim[%d]: warning: first\npromshim[%d]: error: second\n",
			getpid(), getpid());
	is_text(got, expected, "and is printed once it is known where");

	struct stat status;
	stat(log_path, &status);
	is(status.st_mode & 0777, 0600, "the log is its owner's");
	shim_messages_init(&segment, "off");
	is(written(&segment), 2, "and is delivered once");
}

static void test_lines(void) {
	static struct shim_segment segment;
	char line[2 * SHIM_MESSAGE_BYTES];
	uint64_t number;

	shim_messages_init(&segment, "off");
	shim_message(SHIM_INFO,
			"a\nb\tc\x1b[31m\x7f \xc2\x9b \xff \xc0\x80 \xed\xa0\x80 \xe2\x82");
	is_text(slot(&segment, 0, &number), "a?b?c?[31m? ?? ? ?? ??? ??",
			"control characters and broken UTF-8 become ?");
	shim_message(SHIM_INFO, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf");
	is_text(slot(&segment, 1, &number),
			"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf",
			"UTF-8 stays");
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	shim_message(SHIM_INFO, line);
	is(strlen(slot(&segment, 2, &number)), SHIM_MESSAGE_BYTES - 1,
			"a long line is cut");
	memcpy(line + SHIM_MESSAGE_BYTES - 2, "\xe2\x82\xac", 3);
	shim_message(SHIM_INFO, line);
	is(strlen(slot(&segment, 3, &number)), SHIM_MESSAGE_BYTES - 2,
			"between characters");

	errno = ERANGE;
	for (int i = 0; i < 36; i++) {
		shim_message(SHIM_INFO, "lap");
	}
	is(errno, ERANGE, "errno is kept");
	is(written(&segment), 40, "all are counted");
	for (size_t i = 0; i < SHIM_MESSAGES; i++) {
		slot(&segment, i, &number);
		if (number != i + 1 + (i < 8 ? 32 : 16)) {
			break;
		}
		if (i == SHIM_MESSAGES - 1) {
			ok(true, "the ring holds the last 16");
		}
	}
}

static void test_budget(void) {
	static struct shim_segment segment;
	static char got[1 << 17];

	unlink(log_path);
	shim_messages_init(NULL, NULL); /* as a forked child: lines of its own to spend */
	shim_messages_init(&segment, log_path);
	fake_second++;
	for (int i = 0; i < 25; i++) {
		shim_message(SHIM_INFO, "much");
	}
	read_all(log_path, got, sizeof(got));
	is(count_lines(got), 10, "at most 10 lines a second are printed");
	for (int i = 0; i < 2000; i++) {
		fake_second++;
		shim_message(SHIM_INFO, "more");
	}
	read_all(log_path, got, sizeof(got));
	is(count_lines(got), 1000, "at most 1000 lines a process");
	is(written(&segment), 2025, "and all go to the ring");
}

static void *say_from_private_table(void *line) {
	if (unshare(CLONE_FILES) == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, STDERR_FILENO);
		close(null);
		shim_message(SHIM_INFO, line);
	}
	return NULL;
}

static void say_from_thread(const char *line) {
	pthread_t thread;
	pthread_create(&thread, NULL, say_from_private_table, (void *)(uintptr_t)line);
	pthread_join(thread, NULL);
}

static bool pipe_said(int fd, const char *line) {
	char got[512];
	ssize_t count = read(fd, got, sizeof(got) - 1);

	got[count < 0 ? 0 : count] = '\0';
	return strstr(got, line) != NULL;
}

static void test_stderr(void) {
	static struct shim_segment segment;
	static char got[512], fill[4096];
	int ends[2], saved = dup(STDERR_FILENO), before;
	sigset_t pending;

	fake_second++;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		return;
	}
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	shim_messages_init(NULL, NULL);
	shim_messages_init(&segment, "stderr");
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	shim_message(SHIM_INFO, "by a host thread");
	ok(pipe_said(ends[0], "info: by a host thread\n"), "stderr is written");
	say_from_thread("by a thread of ours");
	ok(pipe_said(ends[0], "info: by a thread of ours\n"),
			"from a private table, too");

	before = fcntl(STDERR_FILENO, F_GETFL);
	fcntl(STDERR_FILENO, F_SETFL, before | O_NONBLOCK);
	while (write(STDERR_FILENO, fill, sizeof(fill)) > 0) {
	}
	fcntl(STDERR_FILENO, F_SETFL, before);
	shim_message(SHIM_INFO, "full");
	say_from_thread("full");
	ok(true, "a full pipe does not stop the host");

	close(ends[0]);
	shim_message(SHIM_INFO, "nobody reads");
	say_from_thread("nobody reads");
	sigpending(&pending);
	is(sigismember(&pending, SIGPIPE), 0, "a broken pipe is no SIGPIPE");

	int file = open(log_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(file, STDERR_FILENO);
	close(file);
	shim_message(SHIM_INFO, "must not be seen");
	say_from_thread("must not be seen");
	shim_messages_init(NULL, NULL); /* as a forked child does */
	shim_message(SHIM_INFO, "must not be seen");
	shim_messages_init(NULL, "stderr");
	shim_message(SHIM_INFO, "must not be seen");
	dup2(saved, STDERR_FILENO);
	close(saved);
	read_all(log_path, got, sizeof(got));
	is_text(got, "", "a reused descriptor 2 is left alone");
}

static void test_hostile_path(void) {
	static struct shim_segment segment;
	static char got[512];

	fake_second++;
	mkfifo(fifo_path, 0600);
	shim_messages_init(&segment, fifo_path);
	shim_message(SHIM_INFO, "nobody reads");
	uint64_t delivered = written(&segment);
	shim_messages_init(&segment, "/dev/full");
	shim_message(SHIM_INFO, "full");
	shim_messages_init(&segment, "/nonexistent/folder/log");
	shim_message(SHIM_INFO, "nowhere");
	is(written(&segment) - delivered, 2, "bad paths cost nothing but the line");

	unlink(log_path);
	shim_messages_init(&segment, log_path);
	struct rlimit limit = { .rlim_cur = 0, .rlim_max = RLIM_INFINITY }, before;
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &limit);
	shim_message(SHIM_INFO, "too much");
	setrlimit(RLIMIT_FSIZE, &before);
	shim_message(SHIM_INFO, "enough");
	read_all(log_path, got, sizeof(got));
	ok(strstr(got, "too much") == NULL && strstr(got, "enough") != NULL,
			"a file size limit is no SIGXFSZ");
}

static void test_fork(void) {
	static struct shim_segment segments[2];
	int status;

	shim_messages_init(&segments[0], "off");
	shim_message(SHIM_INFO, "parent");
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		uint64_t number;
		shim_messages_init(NULL, NULL);
		shim_message(SHIM_INFO, "between");
		shim_messages_init(&segments[1], NULL);
		shim_message(SHIM_INFO, "child");
		bool passed = written(&segments[0]) == 1 && written(&segments[1]) == 2 &&
				strcmp(slot(&segments[1], 0, &number), "between") == 0 &&
				strcmp(slot(&segments[1], 1, &number), "child") == 0;
		_exit(passed ? 0 : 1);
	}
	waitpid(child, &status, 0);
	is(status, 0, "a forked child writes its own ring only");
}

static void *say_while_cancelled(void *has_returned) {
	pthread_cancel(pthread_self());
	shim_message(SHIM_INFO, "cancelled");
	*(bool *)has_returned = true;
	pthread_testcancel();
	return NULL;
}

static void test_cancel(void) {
	static struct shim_segment segment;
	static bool has_returned;
	pthread_t thread;
	void *result;

	fake_second++;
	shim_messages_init(&segment, log_path);
	pthread_create(&thread, NULL, say_while_cancelled, &has_returned);
	pthread_join(thread, &result);
	ok(has_returned, "a message is no cancellation point");
	ok(result == PTHREAD_CANCELED,
			"and the thread is cancelled where it would have been");
}

static struct shim_segment shared;

static void *say_much(void *line) {
	for (int i = 0; i < 2000; i++) {
		shim_message(SHIM_INFO, line);
	}
	return NULL;
}

static void test_threads(void) {
	static const char *const lines[] = { "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb",
		"cccccccccccccccc", "dddddddddddddddd" };
	pthread_t threads[4];
	uint64_t number;

	shim_messages_init(&shared, "off");
	for (int i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, say_much, (void *)(uintptr_t)lines[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
	is(written(&shared), 8000, "no message is lost in number");
	bool are_whole = true;
	for (size_t i = 0; i < SHIM_MESSAGES; i++) {
		are_whole = are_whole && strlen(slot(&shared, i, &number)) == 16;
		are_whole = are_whole && (number - 1) % SHIM_MESSAGES == i;
	}
	ok(are_whole, "every slot holds a line and a number of its own");
}

int main(void) {
	shim_clock = clock_gettime; /* the one above */
	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	snprintf(fifo_path, sizeof(fifo_path), "%s/fifo", folder);
	test_early();
	test_lines();
	test_budget();
	test_stderr();
	test_hostile_path();
	test_fork();
	test_cancel();
	test_threads();
	unlink(fifo_path);
	unlink(log_path);
	rmdir(folder);
	return tap_done();
}
