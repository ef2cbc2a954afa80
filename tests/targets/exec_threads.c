/* SPDX-License-Identifier: MIT */
/* exec_threads [again]: a thread, not main, makes another program of the process while more allocate. */

#include <pthread.h>

#include "target.h"

static void *allocate(void *argument) {
	for (;;) {
		void *p = malloc(500);
		KEEP(p);
		free(p);
	}
	return argument;
}

static void *replace(void *argument) {
	say("ready");
	wait_for_test();
	execl("/proc/self/exe", "exec_threads", "again", (char *)NULL);
	_exit(97);
}

int main(int argc, char **argv) {
	pthread_t thread;
	end_some_day();
	if (argc == 1) {
		for (int i = 0; i < 3; i++)
			MUST(pthread_create(&thread, NULL, allocate, NULL) == 0);
		MUST(pthread_create(&thread, NULL, replace, NULL) == 0);
		pause();
	}
	for (int i = 0; i < 777; i++) {
		void *p = malloc(500);
		KEEP(p);
		free(p);
	}
	say("again");
	wait_for_test();
	return 8;
}
