/* SPDX-License-Identifier: MIT */
/*
 * main_exit THREADS [wait|cancel]: main leaves by pthread_exit; the process has to end with status 0,
 * its atexit handlers run and stdio flushed, when the last thread is gone. With `wait` the
 * threads live until the test says a line each, so that they can be looked at.
 */

#include <pthread.h>

#include "target.h"

static int waits;

static void at_exit(void) {
	say("atexit ran");
}

static void *work(void *argument) {
	if (waits)
		wait_for_test();
	else
		usleep(1000);
	void *p = malloc(100);
	KEEP(p);
	free(p);
	say("thread ends");
	return argument;
}

static void *cancel_main(void *argument) {
	pthread_t *main_thread = argument;
	MUST(pthread_cancel(*main_thread) == 0);
	return work(NULL);
}

int main(int argc, char **argv) {
	MUST(argc >= 2);
	end_some_day();
	waits = argc > 2 && is(argv[2], "wait");
	MUST(atexit(at_exit) == 0);
	fputs("buffered, ",
			stdout); /* by stdio: a flush into the wrong table would lose it */
	static pthread_t main_thread, thread;
	main_thread = pthread_self();
	for (unsigned long i = number(argv[1]); i > 0; i--)
		MUST(pthread_create(&thread, NULL, work, NULL) == 0);
	if (argc > 2 && is(argv[2], "cancel")) {
		MUST(pthread_create(&thread, NULL, cancel_main, &main_thread) == 0);
		for (;;)
			pause();
	}
	say("main ends");
	pthread_exit(NULL);
}
