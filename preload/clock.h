/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_CLOCK_H
#define PRELOAD_CLOCK_H

/*
 * Time as one number. Async-signal-safe. By a system call: libc's function may be another
 * object's, and reads a counter of the processor that a host may have forbidden (PR_SET_TSC).
 */

#include <stdint.h>
#include <time.h>

typedef int (*shim_clock_fn)(clockid_t clock, struct timespec *out);

/* The system call; tests have a time of their own. */
extern shim_clock_fn shim_clock __attribute__((visibility("hidden")));

static inline uint64_t shim_clock_as_ns(const struct timespec *time) {
	return (uint64_t)time->tv_sec * 1000000000U + (uint64_t)time->tv_nsec;
}

/* Returns what `clock` shows, in ns; 0 if there is no such clock. */
static inline uint64_t shim_clock_ns(clockid_t clock) {
	struct timespec now = { 0, 0 };
	shim_clock(clock, &now);
	return shim_clock_as_ns(&now);
}

/*
 * Returns what CLOCK_MONOTONIC shows, for what host threads do also where they must make no
 * system call (preload/quiet.h): then up to 10 ms less, by the coarse clock, which libc reads
 * in memory that the kernel shares, and without that counter. Source: vdso(7).
 */
uint64_t shim_clock_quietly_ns(void);

#endif
