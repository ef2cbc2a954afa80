/* SPDX-License-Identifier: MIT */
/*
 * exit HOW: 1000 pairs of malloc and free, then an end of this kind. Status 23 where the way
 * allows one.
 */

#include <pthread.h>
#include <signal.h>

#include "target.h"

static void pairs(unsigned long count) {
	while (count-- > 0) {
		void *p = malloc(100);
		KEEP(p);
		free(p);
	}
}

static void late(void) {
	pairs(1);
	say("atexit ran");
}

static void quick(void) {
	pairs(1);
	say("at_quick_exit ran");
}

static void *exit_here(void *argument) {
	pairs(1);
	exit(23);
	return argument;
}

static _Atomic int allocating;

static void *allocate(void *argument) {
	pairs(100);
	allocating++;
	for (;;)
		pairs(100);
	return argument;
}

int main(int argc, char **argv) {
	pthread_t thread;
	MUST(argc == 2);
	end_some_day();
	const char *how = argv[1];
	pairs(1000);
	MUST(atexit(late) == 0 && at_quick_exit(quick) == 0);
	if (is(how, "worker")) {
		MUST(pthread_create(&thread, NULL, exit_here, NULL) == 0);
		for (;;)
			pause();
	} else if (is(how, "race")) { /* others allocate while the process ends */
		enum { THREADS = 8 };
		for (int i = 0; i < THREADS; i++)
			MUST(pthread_create(&thread, NULL, allocate, NULL) == 0);
		while (allocating < THREADS)
			usleep(1000);
		exit(23);
	} else if (is(how, "_exit")) {
		_exit(23);
	} else if (is(how, "quick_exit")) {
		quick_exit(23);
	} else if (is(how, "abort")) {
		abort();
	} else if (is(how, "signal")) {
		raise(SIGTERM);
	} else if (is(how, "segv")) {
		raise(SIGSEGV);
	} else if (is(how, "exec")) {
		execl("/bin/sh", "sh", "-c", "exit 23", (char *)NULL);
	} else if (is(how, "return")) {
		return 23;
	}
	return 2;
}
