/* SPDX-License-Identifier: MIT */
/*
 * raw_ids: three threads and main each give up root for themselves alone, by system calls that
 * no library sees, as programs with a user for each thread do. Then libc is asked for what
 * nobody may have any more: it must be refused, by all threads alike.
 */

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "target.h"

enum { NOBODY = 65534, THREADS = 3 };

static pthread_barrier_t all;

static long raw(long number, long a, long b, long c) {
#if defined(__x86_64__)
	__asm__ volatile("syscall"
			 : "+a"(number)
			 : "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return number;
#else
	return syscall(number, a, b, c);
#endif
}

static void drop(void) {
	MUST(raw(SYS_setgroups, 0, 0, 0) == 0);
	MUST(raw(SYS_setresgid, NOBODY, NOBODY, NOBODY) == 0);
	MUST(raw(SYS_setresuid, NOBODY, NOBODY, NOBODY) == 0);
	MUST(raw(SYS_setuid, 0, 0, 0) == -EPERM);
}

static void *work(void *argument) {
	drop();
	pthread_barrier_wait(&all);
	void *p = malloc(100);
	KEEP(p);
	free(p);
	pthread_barrier_wait(&all);
	return argument;
}

int main(void) {
	pthread_t threads[THREADS];
	end_some_day();
	say("ready");
	wait_for_test();
	MUST(pthread_barrier_init(&all, NULL, THREADS + 1) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, work, NULL) == 0);
	drop();
	pthread_barrier_wait(&all);
	say("dropped");
	wait_for_test();
	MUST(setuid(0) == -1 && errno == EPERM);
	MUST(setgid(0) == -1 && errno == EPERM);
	MUST(setuid(NOBODY) == 0);
	say("refused");
	wait_for_test();
	pthread_barrier_wait(&all);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	return 0;
}
