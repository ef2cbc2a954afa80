/* SPDX-License-Identifier: MIT */
/*
 * A host of 50 threads, main included.
 *
 *   host50 BUSY [COUNTERS]
 *
 * BUSY of them allocate and free for ever and count it in the file COUNTERS; the others
 * have allocated once and wait. Ends when its input does.
 */
#include "tests/bench/host50.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LIVE = 64, PAIRS_PER_STEP = 64 };

static struct bench_host *host;
static int busy;

static void allocate_for_ever(struct bench_host_thread *thread) {
	void *volatile live[LIVE] = { NULL };
	uint32_t state = 12345;
	uint64_t done = 0;

	for (;;) {
		for (int i = 0; i < PAIRS_PER_STEP; i++) {
			state = state * 1664525 + 1013904223;
			uint32_t slot = state >> 26;

			free(live[slot]);
			live[slot] = malloc(16U + (state >> 8) % 1000);
		}
		done += PAIRS_PER_STEP;
		/* relaxed: a lone number */
		atomic_store_explicit(&thread->work, done, memory_order_relaxed);
	}
}

static void *work(void *argument) {
	long index = (long)(intptr_t)argument;
	sem_t never;

	free(malloc(100));
	if (index <= busy) {
		allocate_for_ever(&host->thread[index]);
	}
	sem_init(&never, 0, 0);
	while (sem_wait(&never) != 0) {
	}
	return NULL;
}

static void *counters(const char *path) {
	int flags = path != NULL ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS;
	int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (path != NULL && (fd < 0 || ftruncate(fd, sizeof *host) != 0)) {
		perror(path);
		exit(1);
	}
	void *memory = mmap(NULL, sizeof *host, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	if (fd >= 0) {
		close(fd);
	}
	return memory;
}

int main(int argc, char **argv) {
	char input[64];

	if (argc < 2) {
		fprintf(stderr, "usage: host50 BUSY [COUNTERS]\n");
		return 2;
	}
	busy = atoi(argv[1]);
	host = counters(argc > 2 ? argv[2] : NULL);
	for (long i = 1; i < BENCH_HOST_THREADS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, work, (void *)(intptr_t)i) != 0) {
			perror("pthread_create");
			return 1;
		}
	}
	while (read(STDIN_FILENO, input, sizeof input) > 0) {
	}
	return 0;
}
