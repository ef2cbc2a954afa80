/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_CLOCK_H
#define PRELOAD_CLOCK_H

/*
 * Time as one number. Async-signal-safe: by the vDSO, or a system call for CPU clocks.
 */

#include <stdint.h>
#include <time.h>

#include "preload/real.h"

/* Returns what `clock` shows, in ns; 0 if there is no such clock. */
static inline uint64_t shim_clock_ns(clockid_t clock) {
	struct timespec now = { 0, 0 };
	shim_libc.clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

#endif
