/* SPDX-License-Identifier: MIT */
#include "preload/clock.h"

#include "exporter/base/kernel.h"
#include "preload/quiet.h"
#include "preload/real.h"

shim_clock_fn shim_clock = kernel_clock_gettime;

uint64_t shim_clock_quietly_ns(void) {
	struct timespec now = { 0, 0 };
	if (!shim_quiet() || shim_libc.clock_gettime == NULL) {
		return shim_clock_ns(CLOCK_MONOTONIC);
	}
	shim_libc.clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return shim_clock_as_ns(&now);
}
