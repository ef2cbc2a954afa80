/* SPDX-License-Identifier: MIT */
/* crowd COUNT TIMES: COUNT threads with small stacks that all live at once, TIMES over. */

#include <limits.h>
#include <pthread.h>

#include "target.h"

enum { MOST = 4000, STACK_BYTES = 64 * 1024 };

static pthread_barrier_t met, left;

static void *meet(void *argument) {
	void *p = malloc(100);
	KEEP(p);
	free(p);
	pthread_barrier_wait(&met);
	pthread_barrier_wait(&left);
	return argument;
}

int main(int argc, char **argv) {
	static pthread_t threads[MOST];
	pthread_attr_t attr;
	MUST(argc == 3);
	end_some_day();
	unsigned long count = number(argv[1]);
	MUST(count <= MOST);
	MUST(pthread_attr_init(&attr) == 0);
	MUST(pthread_attr_setstacksize(&attr, STACK_BYTES) == 0);
	MUST(pthread_barrier_init(&met, NULL, (unsigned)count + 1) == 0);
	MUST(pthread_barrier_init(&left, NULL, (unsigned)count + 1) == 0);
	for (unsigned long times = number(argv[2]); times > 0; times--) {
		for (unsigned long i = 0; i < count; i++)
			MUST(pthread_create(&threads[i], &attr, meet, NULL) == 0);
		pthread_barrier_wait(&met);
		say("all there %lu", times);
		wait_for_test();
		pthread_barrier_wait(&left);
		for (unsigned long i = 0; i < count; i++)
			MUST(pthread_join(threads[i], NULL) == 0);
		say("all gone %lu", times);
	}
	return 0;
}
