/* SPDX-License-Identifier: MIT */
/*
 * threads CASE [COUNT]: COUNT threads, each with 10 pairs of malloc(20000) and free, that start
 * and end in one of many ways.
 */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <threads.h>
#include <time.h>

#include "target.h"

/* of a size that libc itself does not ask for, so that the test can tell */
enum { BLOCK = 20000, PAIRS = 10, BATCH = 8 };

static void pairs(void) {
	for (int i = 0; i < PAIRS; i++) {
		void *p = malloc(BLOCK);
		KEEP(p);
		free(p);
	}
}

static void *by_return(void *argument) {
	pairs();
	return argument;
}

static void *by_exit(void *argument) {
	pairs();
	pthread_exit(argument);
}

/* Starts COUNT threads, at most BATCH at a time. */
static void storm(unsigned long count, void *(*start)(void *),
		const pthread_attr_t *attr) {
	static char tokens[BATCH];
	pthread_t threads[BATCH];
	while (count > 0) {
		unsigned long batch = count < BATCH ? count : BATCH;
		for (unsigned long i = 0; i < batch; i++)
			MUST(pthread_create(&threads[i], attr, start, &tokens[i]) == 0);
		for (unsigned long i = 0; i < batch; i++) {
			void *result;
			MUST(pthread_join(threads[i], &result) == 0 &&
					result == &tokens[i]);
		}
		count -= batch;
	}
}

static void plain(unsigned long count) {
	storm(count, by_return, NULL);
}

/* Again and again, until the test says a line: it has seen enough by then. */
static void endless(unsigned long count) {
	struct pollfd input = { .fd = 0, .events = POLLIN };
	unsigned long started = 0;
	do {
		storm(count, by_return, NULL);
		started += count;
	} while (poll(&input, 1, 0) == 0);
	say("%lu started", started);
}

static void exits(unsigned long count) {
	storm(count, by_exit, NULL);
}

static void small(unsigned long count) {
	pthread_attr_t attr;
	MUST(pthread_attr_init(&attr) == 0);
	MUST(pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN)) ==
			0);
	storm(count, by_return, &attr);
	MUST(pthread_attr_destroy(&attr) == 0);
}

/* A stack of the program's own, just as large as it has to be. */
static void own_stack(unsigned long count) {
	pthread_attr_t attr;
	size_t size = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	MUST(pthread_attr_init(&attr) == 0);
	void *stack = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(stack != MAP_FAILED);
	MUST(pthread_attr_setstack(&attr, stack, size) == 0);
	for (; count > 0; count--)
		storm(1, by_return, &attr);
	MUST(pthread_attr_destroy(&attr) == 0);
}

/* Detached threads: how many have ended is known from their TSD destructors' end alone. */
static void detached(unsigned long count) {
	pthread_attr_t attr;
	pthread_t thread;
	MUST(pthread_attr_init(&attr) == 0);
	MUST(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
	for (unsigned long i = 0; i < count; i++)
		MUST(pthread_create(&thread, &attr, by_return, NULL) == 0);
	MUST(pthread_attr_destroy(&attr) == 0);
	say("started");
	wait_for_test();
}

/* Allocates in its destructor, four rounds long, and frees what the round before allocated. */
static pthread_key_t round_key;
static _Atomic unsigned long rounds;

static void round_over(void *block) {
	rounds++;
	free(block);
	void *next = malloc(BLOCK);
	KEEP(next);
	MUST(pthread_setspecific(round_key, next) == 0);
	if (rounds % PTHREAD_DESTRUCTOR_ITERATIONS == 0) {
		free(next);
	}
}

static void *with_rounds(void *argument) {
	void *block = malloc(BLOCK);
	KEEP(block);
	MUST(pthread_setspecific(round_key, block) == 0);
	return argument;
}

/* One thread at a time; 5 allocations and 5 frees each. 40 keys before ours: it is of the second level. */
static void rounds_of_tsd(unsigned long count) {
	for (int i = 0; i < 40; i++)
		MUST(pthread_key_create(&round_key, NULL) == 0);
	MUST(pthread_key_create(&round_key, round_over) == 0);
	for (unsigned long i = 0; i < count; i++) {
		storm(1, with_rounds, NULL);
		MUST(rounds == (i + 1) * PTHREAD_DESTRUCTOR_ITERATIONS);
	}
}

static void *forever(void *argument) {
	pairs();
	for (;;)
		pause();
	return argument;
}

static void *forever_allocating(void *argument) {
	for (;;) {
		void *p = malloc(BLOCK);
		KEEP(p);
		free(p);
		pthread_testcancel();
	}
	return argument;
}

static void cancel_all(unsigned long count, void *(*start)(void *)) {
	for (; count > 0; count--) {
		pthread_t thread;
		void *result;
		MUST(pthread_create(&thread, NULL, start, NULL) == 0);
		MUST(pthread_cancel(thread) == 0);
		MUST(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
	}
}

static void cancelled(unsigned long count) {
	cancel_all(count, forever);
}

static void cancelled_busy(unsigned long count) {
	cancel_all(count, forever_allocating);
}

static int thrd_work(void *argument) {
	pairs();
	if (argument != NULL)
		thrd_exit(7);
	return 7;
}

static void c11(unsigned long count) {
	for (; count > 0; count--) {
		thrd_t thread;
		int result;
		MUST(thrd_create(&thread, thrd_work, count % 2 ? &thread : NULL) ==
				thrd_success);
		MUST(thrd_join(thread, &result) == thrd_success && result == 7);
	}
}

/* Timers whose expiry libc tells in a thread of its own making. */
static _Atomic unsigned long expired;

static void on_expiry(union sigval value) {
	pairs();
	expired++;
}

static void timers(unsigned long count) {
	struct sigevent event = { .sigev_notify = SIGEV_THREAD };
	event.sigev_notify_function = on_expiry;
	for (unsigned long i = 0; i < count; i++) {
		struct itimerspec at = { .it_value = { .tv_nsec = 1000000 } };
		timer_t timer;
		MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
		MUST(timer_settime(timer, 0, &at, NULL) == 0);
		while (expired <= i)
			sched_yield();
		MUST(timer_delete(timer) == 0);
	}
}

/*
 * Threads that cannot be: their stack is larger than all address space. A smaller one might be made where
 * the kernel overcommits. Then one that can.
 */
static void refused(unsigned long count) {
	pthread_attr_t attr;
	pthread_t thread;
	MUST(pthread_attr_init(&attr) == 0);
	MUST(pthread_attr_setstacksize(&attr, (size_t)1 << 48) == 0);
	for (; count > 0; count--)
		MUST(pthread_create(&thread, &attr, by_return, NULL) == EAGAIN);
	MUST(pthread_attr_destroy(&attr) == 0);
	storm(1, by_return, NULL);
}

/* As refused by the limit of processes, which does not hold for root. */
static void refused_by_limit(unsigned long count) {
	struct rlimit none = { 1, 1 };
	pthread_t thread;
	thrd_t other;
	MUST(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
	MUST(setrlimit(RLIMIT_NPROC, &none) == 0);
	for (; count > 0; count--) {
		MUST(pthread_create(&thread, NULL, by_return, NULL) == EAGAIN);
		MUST(thrd_create(&other, thrd_work, NULL) != thrd_success);
	}
}

/* COUNT threads with stacks of 1 MiB that live while the test looks. */
static pthread_barrier_t met;

static void *meet(void *argument) {
	pthread_barrier_wait(&met);
	wait_for_test();
	return argument;
}

static void held(unsigned long count) {
	pthread_attr_t attr;
	pthread_t threads[64];
	MUST(count <= 64 && pthread_barrier_init(&met, NULL, (unsigned)count + 1) == 0);
	MUST(pthread_attr_init(&attr) == 0 &&
			pthread_attr_setstacksize(&attr, 1 << 20) == 0);
	for (unsigned long i = 0; i < count; i++)
		MUST(pthread_create(&threads[i], &attr, meet, NULL) == 0);
	pthread_barrier_wait(&met);
	say("all there");
	for (unsigned long i = 0; i < count; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	say("all gone");
	wait_for_test();
}

#define CASE(name) \
	{ #name, name }
static const struct {
	const char *name;
	void (*run)(unsigned long count);
} cases[] = {
	CASE(plain),
	CASE(endless),
	CASE(exits),
	CASE(small),
	CASE(own_stack),
	CASE(detached),
	CASE(rounds_of_tsd),
	CASE(cancelled),
	CASE(cancelled_busy),
	CASE(c11),
	CASE(timers),
	CASE(refused),
	CASE(refused_by_limit),
	CASE(held),
};

int main(int argc, char **argv) {
	end_some_day();
	for (size_t i = 0; argc == 3 && i < sizeof cases / sizeof *cases; i++) {
		if (is(argv[1], cases[i].name)) {
			cases[i].run(number(argv[2]));
			say("done");
			return 0;
		}
	}
	return 2;
}
