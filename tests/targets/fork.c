/* SPDX-License-Identifier: MIT */
/*
 * fork CASE [COUNT]
 *   apart    holds 100 blocks, forks; the child frees them and makes 1000 pairs, the parent 10
 *   daemon   daemon(3), as services do; then 1234 pairs, its number into the file that the
 *            environment variable PIDFILE names, and 50 pairs each 10 ms until the one that STOP
 *            names is there
 *   storm    4 threads malloc while 4 threads fork COUNT children in all, which malloc and end;
 *            with a third argument COUNT at least, until the test says a line
 *   spawn    COUNT children each by vfork+exec, posix_spawn, system, popen and _Fork
 *   serve    forks; the child makes pairs until the test says a line, and tells how many; parent
 *            and child live until the input ends
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "target.h"

extern char **environ;

static void pairs(unsigned long count) {
	while (count-- > 0) {
		void *p = malloc(100);
		KEEP(p);
		free(p);
	}
}

static void reap(pid_t child) {
	int status;
	while (waitpid(child, &status, 0) != child)
		MUST(errno == EINTR);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void apart(void) {
	void *held[100];
	for (int i = 0; i < 100; i++) {
		held[i] = malloc(1000);
		KEEP(held[i]);
	}
	pid_t child = fork();
	MUST(child >= 0);
	if (child == 0) {
		for (int i = 0; i < 100; i++)
			free(held[i]);
		pairs(1000);
		say("child %d", (int)getpid());
		exit(0);
	}
	reap(child);
	pairs(10);
	say("parent %d", (int)getpid());
}

static void as_daemon(void) {
	MUST(daemon(0, 0) == 0);
	pairs(1234);
	end_some_day();
	int file = open(getenv("PIDFILE"), O_WRONLY | O_CREAT | O_EXCL, 0600);
	MUST(file >= 0);
	say_to(file, "%d", (int)getpid());
	MUST(close(file) == 0);
	while (access(getenv("STOP"), F_OK) != 0) {
		pairs(50);
		usleep(10000);
	}
}

static _Atomic int over, may_end;
static unsigned long share;

static void *allocate(void *argument) {
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		pairs(100);
	return argument;
}

static void *fork_many(void *argument) {
	for (unsigned long i = 0; i < share ||
			!atomic_load_explicit(&may_end, memory_order_relaxed);
			i++) {
		pid_t child = fork();
		MUST(child >= 0);
		if (child == 0) {
			pairs(5);
			_exit(0);
		}
		reap(child);
	}
	return argument;
}

static void storm(unsigned long count, int until_told) {
	enum { EACH = 4 };
	pthread_t allocators[EACH], forkers[EACH];
	share = count / EACH;
	atomic_store_explicit(&may_end, !until_told, memory_order_relaxed);
	for (int i = 0; i < EACH; i++)
		MUST(pthread_create(&allocators[i], NULL, allocate, NULL) == 0);
	for (int i = 0; i < EACH; i++)
		MUST(pthread_create(&forkers[i], NULL, fork_many, NULL) == 0);
	if (until_told)
		wait_for_test();
	atomic_store_explicit(&may_end, 1, memory_order_relaxed);
	for (int i = 0; i < EACH; i++)
		MUST(pthread_join(forkers[i], NULL) == 0);
	atomic_store_explicit(&over, 1, memory_order_relaxed);
	for (int i = 0; i < EACH; i++)
		MUST(pthread_join(allocators[i], NULL) == 0);
	say("forked");
}

static char *const arguments[] = { (char *)"true", NULL };

/* By itself: the compiler fears for what lives across vfork. */
static pid_t start_by_vfork(void) {
	pid_t child = vfork();
	if (child == 0) {
		execv("/bin/true", arguments);
		_exit(97);
	}
	return child;
}

static void spawn(unsigned long count) {
	for (; count > 0; count--) {
		pid_t child = start_by_vfork();
		reap(child);
		MUST(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) ==
				0);
		reap(child);
		MUST(system("exit 3") == 3 << 8);
		FILE *pipe = popen("echo through a pipe", "r");
		char line[40];
		MUST(pipe != NULL && fgets(line, sizeof line, pipe) != NULL);
		MUST(is(line, "through a pipe\n") && pclose(pipe) == 0);
		child = _Fork();
		if (child == 0)
			_exit(0);
		reap(child);
	}
	say("spawned");
}

static void serve(void) {
	pid_t child = fork();
	MUST(child >= 0);
	pairs(child == 0 ? 500 : 5);
	say("%s %d", child == 0 ? "child" : "parent", (int)getpid());
	if (child > 0) {
		reap(child);
		return;
	}
	struct pollfd input = { .events = POLLIN };
	unsigned long made = 500;
	for (; poll(&input, 1, 10) == 0; made += 10)
		pairs(10); /* its keeper may start at an allocation only */
	wait_for_test();
	say("made %lu", made);
	wait_for_test();
}

int main(int argc, char **argv) {
	MUST(argc >= 2);
	end_some_day();
	unsigned long count = argc > 2 ? number(argv[2]) : 0;
	if (is(argv[1], "apart"))
		apart();
	else if (is(argv[1], "daemon"))
		as_daemon();
	else if (is(argv[1], "storm"))
		storm(count, argc > 3);
	else if (is(argv[1], "spawn"))
		spawn(count);
	else if (is(argv[1], "serve"))
		serve();
	else
		return 2;
	return 0;
}
