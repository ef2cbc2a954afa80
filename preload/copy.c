/* SPDX-License-Identifier: MIT */
#include "preload/copy.h"

#include <stdatomic.h>
#include <stdint.h>

#include "exporter/base/kernel.h"
#include "preload/clock.h"
#include "preload/quiet.h"

enum { SOON_NS = 100000000 };

/* Relaxed, both: who writes one and then reads the other has a fence in between. */
static _Atomic uint32_t held;
static _Atomic bool
		is_expected; /* written once; relaxed: there is no thread of ours yet */
static _Atomic uint64_t announced_ns; /* the last copy; 0 = none */

void shim_copy_expect(void) {
	atomic_store_explicit(&is_expected, true, memory_order_relaxed);
}

bool shim_copy_hold(void) {
	atomic_store_explicit(&held, 1, memory_order_relaxed);
	/* seq_cst: with the fence in shim_copy_soon, one of the two sees the other */
	atomic_thread_fence(memory_order_seq_cst);
	uint64_t copied_ns = atomic_load_explicit(&announced_ns, memory_order_relaxed);
	if (copied_ns == 0 || shim_clock_ns(CLOCK_MONOTONIC) - copied_ns >= SOON_NS) {
		return true;
	}
	shim_copy_release();
	return false;
}

void shim_copy_release(void) {
	/* release: what was held up is whole again */
	atomic_store_explicit(&held, 0, memory_order_release);
}

void shim_copy_soon(void) {
	if (!atomic_load_explicit(&is_expected, memory_order_relaxed) || shim_quiet()) {
		return;
	}
	const uint64_t now = shim_clock_ns(CLOCK_MONOTONIC);
	atomic_store_explicit(&announced_ns, now, memory_order_relaxed);
	/* seq_cst: as in shim_copy_hold */
	atomic_thread_fence(memory_order_seq_cst);
	/* acquire: pairs with the release in shim_copy_release */
	while (atomic_load_explicit(&held, memory_order_acquire) != 0 &&
			shim_clock_ns(CLOCK_MONOTONIC) - now < SOON_NS) {
		kernel_sched_yield();
	}
}
