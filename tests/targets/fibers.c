/* SPDX-License-Identifier: MIT */
/*
 * fibers ROUNDS: contexts on small stacks of their own, which allocate and hand over to one another,
 * and wander from thread to thread; and handlers on alternate signal stacks, in threads, which
 * allocate. Prints how many blocks of 20000 bytes there were.
 */

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "target.h"

enum { FIBERS = 8, STACK_BYTES = 16384, BLOCK = 20000 };

static unsigned long rounds, blocks;
static ucontext_t fibers[FIBERS], here; /* one thread at a time has its turns */
static void *carried
		[FIBERS]; /* taken in one turn, given in the next, maybe by another thread */
static int turns[FIBERS];

static void fiber(int me) {
	for (;;) {
		free(carried[me]);
		carried[me] = malloc(BLOCK);
		KEEP(carried[me]);
		blocks++;
		turns[me]++;
		MUST(swapcontext(&fibers[me], &here) == 0);
	}
}

static void *take_turns(void *argument) {
	for (int i = 0; i < FIBERS; i++)
		MUST(swapcontext(&here, &fibers[i]) == 0);
	return argument;
}

static void *stack(size_t bytes) {
	void *bottom = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(bottom != MAP_FAILED);
	return bottom;
}

static void make(int i) {
	MUST(getcontext(&fibers[i]) == 0);
	fibers[i].uc_stack.ss_sp = stack(STACK_BYTES);
	fibers[i].uc_stack.ss_size = STACK_BYTES;
	/* a type of C's early days */
	makecontext(&fibers[i], (void (*)(void))fiber, 1, i);
}

static void wander(void) {
	for (int i = 0; i < FIBERS; i++)
		make(i);
	for (unsigned long i = 0; i < rounds; i++) {
		pthread_t thread;
		MUST(pthread_create(&thread, NULL, take_turns, NULL) == 0);
		MUST(pthread_join(thread, NULL) == 0);
		(void)take_turns(NULL);
	}
	for (int i = 0; i < FIBERS; i++) {
		MUST(turns[i] == 2 * (int)rounds);
		free(carried[i]);
	}
}

static volatile sig_atomic_t is_on_stack;

static void on_signal(int signal) {
	stack_t now;
	void *p = malloc(BLOCK);
	KEEP(p);
	free(p);
	blocks++;
	MUST(sigaltstack(NULL, &now) == 0);
	is_on_stack = (now.ss_flags & SS_ONSTACK) != 0;
}

/* raise, not a timer: the thread is in no call of the allocator then */
static void *signalled(void *argument) {
	stack_t mine = { .ss_sp = stack(STACK_BYTES), .ss_size = STACK_BYTES };
	MUST(sigaltstack(&mine, NULL) == 0);
	for (int i = 0; i < 10; i++) {
		is_on_stack = 0;
		MUST(raise(SIGUSR2) == 0 && is_on_stack);
	}
	return argument;
}

int main(int argc, char **argv) {
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	MUST(argc == 2);
	end_some_day();
	rounds = number(argv[1]);
	MUST(sigaction(SIGUSR2, &action, NULL) == 0);
	wander();
	for (unsigned long i = 0; i < rounds; i++) {
		pthread_t thread;
		MUST(pthread_create(&thread, NULL, signalled, NULL) == 0);
		MUST(pthread_join(thread, NULL) == 0);
	}
	(void)signalled(NULL);
	say("%lu", blocks);
	return 0;
}
