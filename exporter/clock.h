/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_CLOCK_H
#define EXPORTER_CLOCK_H

/*
 * The clock that everything here reads. In a host, another preloaded object may stand in for
 * libc's with a time of its own (libfaketime): intervals, CPU time and times of starts are the
 * kernel's, so it is asked. Who knows a faster function that tells the same puts it here.
 */

#include <stdint.h>
#include <time.h>

typedef int (*prom_clock_fn)(clockid_t clock, struct timespec *out);

/* The system call unless told otherwise. Set before there is a second thread of ours. */
extern prom_clock_fn prom_clock;

/* What `clock` says, in ns; 0 when there is no such clock. */
static inline uint64_t prom_clock_ns(clockid_t clock) {
	struct timespec time;
	return prom_clock(clock, &time) < 0
			? 0
			: (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

#endif
