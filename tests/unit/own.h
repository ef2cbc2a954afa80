/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_OWN_H
#define TESTS_UNIT_OWN_H

/* What a test program has and uses itself. */

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* How many descriptors below 1,024 are open. */
static inline int own_descriptors(void) {
	int count = 0;
	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

/* CPU time of a thread of this process that has not been joined. */
static inline uint64_t own_cpu_ns(pthread_t thread) {
	clockid_t clock;
	struct timespec used;
	pthread_getcpuclockid(thread, &clock);
	clock_gettime(clock, &used);
	return (uint64_t)used.tv_sec * 1000000000U + (uint64_t)used.tv_nsec;
}

#endif
