/* SPDX-License-Identifier: MIT */
/*
 * exact THREADS CALLS [wait]: each thread calls every function of the family CALLS times and
 * gives everything back. Prints what the totals have to grow by. With `wait` it holds before
 * the calls, and after them.
 */

#include <malloc.h>
#include <pthread.h>

#include "target.h"

struct tally {
	unsigned long allocations, frees, requested, allocated, freed, reallocations;
};

static unsigned long calls;
static pthread_barrier_t together;

static void *took(struct tally *tally, void *p, size_t requested) {
	MUST(p != NULL);
	KEEP(p);
	tally->allocations++;
	tally->requested += requested;
	tally->allocated += malloc_usable_size(p);
	return p;
}

static void give(struct tally *tally, void *p) {
	tally->frees++;
	tally->freed += malloc_usable_size(p);
	free(p);
}

static void *grow(struct tally *tally, void *p, size_t size) {
	tally->frees++;
	tally->freed += malloc_usable_size(p);
	tally->reallocations++;
	return took(tally, realloc(p, size), size);
}

static void once(struct tally *tally, unsigned long i) {
	void *p;
	give(tally, took(tally, malloc(i % 3000), i % 3000));
	give(tally, took(tally, calloc(3, i % 100), 3 * (i % 100)));
	p = took(tally, realloc(NULL, 40), 40);
	p = grow(tally, p, 1 + i % 70000);
	p = grow(tally, p, 10);
	give(tally, p);
	p = took(tally, reallocarray(NULL, 7, 9), 63);
	tally->frees++;
	tally->freed += malloc_usable_size(p);
	tally->reallocations++;
	give(tally, took(tally, reallocarray(p, 70, 9), 630));
	MUST(posix_memalign(&p, 64, 300) == 0);
	give(tally, took(tally, p, 300));
	give(tally, took(tally, aligned_alloc(256, 512), 512));
	give(tally, took(tally, memalign(32, 77), 77));
	give(tally, took(tally, valloc(5), 5));
	give(tally, took(tally, strdup("twelve chars"), 13));
	give(tally, took(tally, strndup("twelve chars", 5), 6));
	give(tally, took(tally, malloc(200000), 200000)); /* mmapped, at least at first */
}

static void *work(void *argument) {
	struct tally *tally = argument;
	pthread_barrier_wait(&together);
	for (unsigned long i = 0; i < calls; i++)
		once(tally, i);
	pthread_barrier_wait(&together);
	return NULL;
}

int main(int argc, char **argv) {
	enum { THREADS_MAX = 64 };
	static struct tally tallies[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	MUST(argc >= 3);
	unsigned long count = number(argv[1]);
	calls = number(argv[2]);
	MUST(count <= THREADS_MAX);
	end_some_day();
	MUST(pthread_barrier_init(&together, NULL, (unsigned)count + 1) == 0);
	for (unsigned long i = 0; i < count; i++)
		MUST(pthread_create(&threads[i], NULL, work, &tallies[i]) == 0);
	if (argc > 3) {
		say("threads wait");
		wait_for_test();
	}
	pthread_barrier_wait(&together);
	pthread_barrier_wait(&together);
	struct tally sum = { 0 };
	for (unsigned long i = 0; i < count; i++) {
		MUST(pthread_join(threads[i], NULL) == 0);
		sum.allocations += tallies[i].allocations;
		sum.frees += tallies[i].frees;
		sum.requested += tallies[i].requested;
		sum.allocated += tallies[i].allocated;
		sum.freed += tallies[i].freed;
		sum.reallocations += tallies[i].reallocations;
	}
	say("allocations=%lu frees=%lu requested=%lu allocated=%lu freed=%lu reallocations=%lu",
			sum.allocations, sum.frees, sum.requested, sum.allocated,
			sum.freed, sum.reallocations);
	if (argc > 3)
		wait_for_test();
	return 0;
}
