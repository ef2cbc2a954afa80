/* SPDX-License-Identifier: MIT */
/*
 * storm: threads that allocate, threads that start and join threads, and one that forks, at a
 * measured pace until SIGTERM.
 *
 * Of eight children one works for 600 ms and is served, one execs, the others end at once. A
 * child may be killed by SIGKILL; any other death of one ends the storm with status 99.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "target.h"

enum { ALLOCATORS = 3, STARTERS = 2, BATCH = 8, SLOTS = 256, CHILDREN_MAX = 12 };

static _Atomic int over;

static void on_signal(int number) {
	/* relaxed: a lone flag */
	atomic_store_explicit(&over, number, memory_order_relaxed);
}

static int goes_on(void) {
	return atomic_load_explicit(&over, memory_order_relaxed) == 0;
}

static uint32_t draw(uint32_t *state) {
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Each operation replaces one of the live blocks; sizes up to 4096, some by calloc and realloc. */
static void churn(void **slots, uint32_t *state, unsigned long operations) {
	for (; operations > 0; operations--) {
		void **slot = &slots[draw(state) % SLOTS];
		size_t size = 1 + draw(state) % 4096;

		switch (draw(state) % 8) {
		case 0:
			*slot = realloc(*slot, size);
			break;
		case 1:
			free(*slot);
			*slot = calloc(1, size);
			break;
		default:
			free(*slot);
			*slot = malloc(size);
		}
		MUST(*slot != NULL);
		KEEP(*slot);
	}
}

static void drop(void **slots) {
	for (int i = 0; i < SLOTS; i++) {
		free(slots[i]);
		slots[i] = NULL;
	}
}

static void *allocate(void *argument) {
	uint32_t state = (uint32_t)(uintptr_t)argument;
	void *slots[SLOTS] = { NULL };

	while (goes_on()) {
		churn(slots, &state, 20000);
		usleep(20000);
	}
	drop(slots);
	return NULL;
}

static void *brief(void *argument) {
	uint32_t state = (uint32_t)(uintptr_t)argument;
	void *slots[SLOTS] = { NULL };

	churn(slots, &state, 100);
	drop(slots);
	return argument;
}

static void *start_threads(void *argument) {
	pthread_t threads[BATCH];

	while (goes_on()) {
		for (int i = 0; i < BATCH; i++)
			MUST(pthread_create(&threads[i], NULL, brief, argument) == 0);
		for (int i = 0; i < BATCH; i++) {
			void *result;
			MUST(pthread_join(threads[i], &result) == 0 &&
					result == argument);
		}
		usleep(10000);
	}
	return NULL;
}

/* Reaps what has ended, or waits for one; returns how many. */
static unsigned reap(int options) {
	unsigned count = 0;
	int status;

	while (waitpid(-1, &status, count > 0 ? WNOHANG : options) > 0) {
		MUST((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
				(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
		count++;
	}
	return count;
}

static void child_run(unsigned long number) {
	uint32_t state = (uint32_t)number + 1;
	void *slots[SLOTS] = { NULL };

	/* dies with the thread that forked it, which lives as long as the storm */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (number % 8 == 1) {
		execl("/bin/true", "true", NULL);
		_exit(97);
	}
	if (number % 8 == 0) {
		for (int i = 0; i < 60; i++) {
			churn(slots, &state, 500);
			usleep(10000);
		}
		drop(slots);
		exit(0);
	}
	churn(slots, &state, 50);
	_exit(0);
}

static void *fork_children(void *argument) {
	unsigned running = 0;

	for (unsigned long number = 0; goes_on(); number++) {
		pid_t child = fork();
		MUST(child >= 0);
		if (child == 0)
			child_run(number);
		running++;
		running -= reap(running < CHILDREN_MAX ? WNOHANG : 0);
		usleep(20000);
	}
	while (running > 0)
		running -= reap(0);
	return argument;
}

int main(void) {
	pthread_t threads[ALLOCATORS + STARTERS + 1];
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	uintptr_t number = 1;
	int count = 0;

	MUST(sigaction(SIGTERM, &action, NULL) == 0);
	for (int i = 0; i < ALLOCATORS; i++)
		MUST(pthread_create(&threads[count++], NULL, allocate,
				     (void *)number++) == 0);
	for (int i = 0; i < STARTERS; i++)
		MUST(pthread_create(&threads[count++], NULL, start_threads,
				     (void *)number++) == 0);
	MUST(pthread_create(&threads[count++], NULL, fork_children, NULL) == 0);
	while (count > 0)
		MUST(pthread_join(threads[--count], NULL) == 0);
	return 0;
}
