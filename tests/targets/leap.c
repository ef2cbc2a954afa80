/* SPDX-License-Identifier: MIT */
/*
 * leap COUNT: COUNT times each, a signal handler jumps out of malloc, calloc and realloc, in main
 * and in a thread, and 10 pairs follow. With leap_lib the signal comes in the middle of the call;
 * without it there is none, and nothing is left out.
 */

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include "target.h"

enum { LEAP_BYTES = 7777 };

static _Thread_local sigjmp_buf start;
static _Thread_local volatile unsigned long leaps;

static void on_signal(int signal) {
	leaps++;
	siglongjmp(start, 1);
}

static void call(int way) {
	void *p = NULL;
	switch (way) {
	case 0:
		p = malloc(LEAP_BYTES);
		break;
	case 1:
		p = calloc(1, LEAP_BYTES);
		break;
	default:
		p = realloc(NULL, LEAP_BYTES);
	}
	KEEP(p);
	free(p);
}

static void *leap(void *argument) {
	unsigned long count = *(unsigned long *)argument;
	for (volatile unsigned long i = 0; i < 3 * count; i++) {
		if (sigsetjmp(start, 1) == 0)
			call((int)(i % 3));
		for (int pairs = 0; pairs < 10; pairs++) {
			void *p = malloc(64);
			KEEP(p);
			free(p);
		}
	}
	return (void *)leaps;
}

int main(int argc, char **argv) {
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread;
	void *leapt;
	MUST(argc == 2);
	end_some_day();
	unsigned long count = number(argv[1]);
	MUST(sigaction(SIGUSR1, &action, NULL) == 0);
	MUST(pthread_create(&thread, NULL, leap, &count) == 0);
	MUST(pthread_join(thread, &leapt) == 0);
	say("%lu leaps", (unsigned long)leapt + (unsigned long)leap(&count));
	return 0;
}
