/* SPDX-License-Identifier: MIT */
/*
 * A heap in all its shapes, one at each line of input, and what glibc itself says of it: "SHAPE BYTES",
 * of what its arenas and mapped blocks hold from the system. With the argument `fork` a child, which
 * has inherited all of it, goes on instead.
 */

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "target.h"

enum { SMALL = 2000, THREADS = 4, LARGE = 1200, MAPPED = 6 };

static void *small[SMALL], *large[LARGE], *mapped[MAPPED];
static pthread_barrier_t filled;

static void report(const char *shape) {
	struct mallinfo2 info = mallinfo2();
	say("%s %zu", shape, info.arena + info.hblkhd);
	wait_for_test();
}

static void fill_small(void) {
	for (int i = 0; i < SMALL; i++) {
		small[i] = malloc((size_t)(1 + i * 7 % 5000));
		MUST(small[i] != NULL);
	}
}

static void *fill_arena(void *argument) {
	static _Thread_local void *kept[500];
	for (int i = 0; i < 500; i++) {
		kept[i] = malloc((size_t)(1 + i * 13 % 9000));
		KEEP(kept[i]);
	}
	(void)pthread_barrier_wait(&filled);
	(void)pthread_barrier_wait(
			&filled); /* an arena lives as long as somebody uses it */
	for (int i = 0; i < 500; i++)
		free(kept[i]);
	return argument;
}

/* More than one heap of an arena holds. */
static void *fill_heaps(void *argument) {
	for (int i = 0; i < LARGE; i++) {
		large[i] = malloc(120000);
		KEEP(large[i]);
	}
	(void)pthread_barrier_wait(&filled);
	(void)pthread_barrier_wait(&filled);
	for (int i = 0; i < LARGE; i++)
		free(large[i]);
	return argument;
}

static void map_blocks(void) {
	mapped[0] = malloc(1 << 20);
	mapped[1] = calloc(3, 1 << 20);
	mapped[2] = memalign(1 << 21, 5000000);
	mapped[3] = malloc(2000000);
	mapped[3] = realloc(mapped[3],
			9000000); /* grown in place, or moved, by the kernel */
	mapped[4] = realloc(NULL, 1234567);
	mapped[5] = malloc(777777);
	for (int i = 0; i < MAPPED; i++)
		MUST(mapped[i] != NULL);
	free(mapped[5]);
	mapped[4] = realloc(mapped[4], 100); /* back into an arena */
}

/* From here on the main arena finds its way barred and takes mappings. */
static void bar_break(void) {
	char *end = sbrk(0);
	end += -(size_t)end & 4095;
	(void)mmap(end, 4096, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	for (int i = 0; i < LARGE; i++) {
		large[i] = malloc(20000);
		MUST(large[i] != NULL);
	}
}

static int in_child(void) {
	pid_t child = fork();
	int status;
	MUST(child >= 0);
	if (child != 0) {
		MUST(waitpid(child, &status, 0) == child && WIFEXITED(status));
		_exit(WEXITSTATUS(status));
	}
	free(mapped[0]);
	free(small[0]);
	struct mallinfo2 info = mallinfo2();
	say("child %d %zu", (int)getpid(), info.arena + info.hblkhd);
	return 0;
}

int main(int argc, char **argv) {
	pthread_t threads[THREADS + 1];
	end_some_day();
	MUST(pthread_barrier_init(&filled, NULL, THREADS + 2) == 0);
	fill_small();
	if (argc > 1) {
		map_blocks();
		return in_child();
	}
	report("small");
	for (int i = 0; i <= THREADS; i++)
		MUST(pthread_create(&threads[i], NULL,
				     i < THREADS ? fill_arena : fill_heaps, NULL) == 0);
	(void)pthread_barrier_wait(&filled);
	report("arenas");
	map_blocks();
	report("mapped");
	(void)pthread_barrier_wait(&filled);
	for (int i = 0; i <= THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	for (int i = 0; i < SMALL; i += 2)
		free(small[i]);
	report("freed");
	(void)malloc_trim(0);
	report("trimmed");
	bar_break();
	report("barred");
	return 0;
}
