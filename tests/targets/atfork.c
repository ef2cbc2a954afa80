/* SPDX-License-Identifier: MIT */
/*
 * atfork CASE COUNT: forks COUNT times, while threads allocate.
 *   handlers   with handlers, before and after, that allocate and free
 *   signal     in a signal handler; the thread that it interrupts computes, and does not allocate
 * Each child allocates, starts a thread and ends; all of them must.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "target.h"

enum { THREADS = 3 };

static _Atomic int over;
static void *taken[2]; /* by each of the two prepare handlers */
static int held;

static void pairs(int count) {
	while (count-- > 0) {
		void *p = malloc(300);
		KEEP(p);
		free(p);
	}
}

static void *allocate(void *argument) {
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		pairs(100);
	return argument;
}

static void prepare(void) {
	pairs(10);
	taken[held] = malloc(5000);
	KEEP(taken[held]);
	held++;
}

static void after(void) {
	free(taken[--held]);
	pairs(10);
}

/* Before any object that starts later registers its own. */
__attribute__((constructor)) static void constructor(void) {
	MUST(pthread_atfork(prepare, after, after) == 0);
}

static void *nothing(void *argument) {
	pairs(10);
	return argument;
}

static void fork_once(int starts_thread) {
	pid_t child = fork();
	MUST(child >= 0);
	if (child == 0) {
		pthread_t thread;
		alarm(3600);
		pairs(100);
		if (starts_thread) {
			MUST(pthread_create(&thread, NULL, nothing, NULL) == 0);
			MUST(pthread_join(thread, NULL) == 0);
		}
		_exit(7);
	}
	int status;
	while (waitpid(child, &status, 0) != child)
		MUST(errno == EINTR);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static volatile sig_atomic_t forked;

static void on_signal(int signal) {
	int before = errno;
	fork_once(0);
	forked = forked + 1;
	errno = before;
}

static volatile unsigned long computed;

int main(int argc, char **argv) {
	pthread_t threads[THREADS];
	sigset_t usr1;
	MUST(argc == 3);
	end_some_day();
	int count = (int)number(argv[2]);
	MUST(sigemptyset(&usr1) == 0 && sigaddset(&usr1, SIGUSR1) == 0);
	MUST(pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, allocate, NULL) == 0);
	MUST(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL) == 0);
	if (is(argv[1], "handlers")) {
		MUST(pthread_atfork(prepare, after, after) == 0);
		for (int i = 0; i < count; i++)
			fork_once(1);
	} else {
		struct sigaction action = { .sa_handler = on_signal };
		MUST(sigaction(SIGUSR1, &action, NULL) == 0);
		while (forked < count) {
			int before = forked;
			MUST(kill(getpid(), SIGUSR1) == 0);
			while (forked == before)
				computed++;
		}
	}
	atomic_store_explicit(&over, 1, memory_order_relaxed);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	say("all ended");
	return 0;
}
