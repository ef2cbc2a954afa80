/* SPDX-License-Identifier: MIT */
/*
 * Threads that were made with attributes find them: stack, guard, detached or not, scheduling,
 * processors, signal mask, name. Then a write that a thread of libc's does (aio). Prints all of it.
 */

#include <aio.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "target.h"

enum { STACK_BYTES = 192 * 1024, GUARD_BYTES = 12288 };

static pthread_barrier_t told;

static void *tell(void *what) {
	pthread_attr_t attr;
	size_t stack, guard;
	void *bottom;
	int detached, policy;
	struct sched_param parameter;
	cpu_set_t processors;
	sigset_t mask;
	char name[16];
	MUST(pthread_getattr_np(pthread_self(), &attr) == 0);
	MUST(pthread_attr_getstack(&attr, &bottom, &stack) == 0);
	MUST(pthread_attr_getguardsize(&attr, &guard) == 0);
	MUST(pthread_attr_getdetachstate(&attr, &detached) == 0);
	MUST((char *)bottom < (char *)&attr && (char *)&attr < (char *)bottom + stack);
	MUST(pthread_getschedparam(pthread_self(), &policy, &parameter) == 0);
	MUST(pthread_getaffinity_np(pthread_self(), sizeof processors, &processors) == 0);
	MUST(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
	MUST(pthread_getname_np(pthread_self(), name, sizeof name) == 0);
	MUST(pthread_attr_destroy(&attr) == 0);
	say("%s: stack %zu, guard %zu, detached %d, policy %d, priority %d, processors %d, "
	    "TERM blocked %d, name %s",
			(char *)what, stack, guard, detached, policy,
			parameter.sched_priority, CPU_COUNT(&processors),
			sigismember(&mask, SIGTERM), name);
	pthread_barrier_wait(&told);
	return what;
}

static void make(const char *what, const pthread_attr_t *attr) {
	pthread_t thread;
	int detached = 0;
	int r = pthread_create(&thread, attr, tell, (void *)what);
	if (r != 0) {
		say("%s: %s", what, strerrorname_np(r));
		return;
	}
	pthread_barrier_wait(&told);
	if (attr != NULL)
		MUST(pthread_attr_getdetachstate(attr, &detached) == 0);
	if (!detached)
		MUST(pthread_join(thread, NULL) == 0);
}

static void write_apart(void) {
	int pipes[2];
	char answer[9] = "";
	MUST(pipe(pipes) == 0);
	struct aiocb one = { .aio_fildes = pipes[1],
		.aio_buf = (void *)"written",
		.aio_nbytes = 7 };
	const struct aiocb *const list[] = { &one };
	MUST(aio_write(&one) == 0);
	while (aio_error(&one) == EINPROGRESS)
		(void)aio_suspend(list, 1, NULL);
	MUST(aio_return(&one) == 7 && read(pipes[0], answer, 8) == 7);
	say("%s", answer);
}

int main(void) {
	pthread_attr_t attr;
	cpu_set_t one;
	sigset_t term;
	struct sched_param priority = { .sched_priority = 3 };
	end_some_day();
	MUST(pthread_barrier_init(&told, NULL, 2) == 0);
	make("plain", NULL);
	MUST(sigemptyset(&term) == 0 && sigaddset(&term, SIGTERM) == 0);
	MUST(pthread_sigmask(SIG_BLOCK, &term, NULL) == 0);
	MUST(pthread_setname_np(pthread_self(), "parent") == 0);
	make("masked and named", NULL);
	MUST(pthread_attr_init(&attr) == 0);
	MUST(pthread_attr_setstacksize(&attr, STACK_BYTES) == 0);
	MUST(pthread_attr_setguardsize(&attr, GUARD_BYTES) == 0);
	make("stack", &attr);
	MUST(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
	make("detached", &attr);
	CPU_ZERO(&one);
	MUST(sched_getaffinity(0, sizeof one, &one) == 0);
	for (int i = 0, kept = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &one) && kept++ > 0)
			CPU_CLR(i, &one);
	MUST(pthread_attr_setaffinity_np(&attr, sizeof one, &one) == 0);
	make("one processor", &attr);
	MUST(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED) == 0);
	MUST(pthread_attr_setschedpolicy(&attr, SCHED_FIFO) == 0);
	MUST(pthread_attr_setschedparam(&attr, &priority) == 0);
	make("first in, first out", &attr); /* where the system allows it */
	write_apart();
	wait_for_test();
	return 0;
}
