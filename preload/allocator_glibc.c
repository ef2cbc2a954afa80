/* SPDX-License-Identifier: MIT */
#include "preload/allocator_glibc.h"

#include <malloc.h>
#include <time.h>

#include "preload/layout.h"
#include "preload/real.h"

void shim_allocator_glibc_take(struct shim_allocator_stats *stats) {
	if (!shim_real.is_glibc || shim_libc.mallinfo2 == NULL) {
		return;
	}
	struct mallinfo2 info = shim_libc.mallinfo2();
	struct timespec now = { 0, 0 };
	clock_gettime(CLOCK_MONOTONIC, &now);
	/* relaxed: lone numbers, published by taken_ns; mmapped blocks are not in `arena` */
	atomic_store_explicit(&stats->heap_bytes, info.arena + info.hblkhd,
			memory_order_relaxed);
	atomic_store_explicit(&stats->in_use_bytes, info.uordblks + info.hblkhd,
			memory_order_relaxed);
	atomic_store_explicit(&stats->free_bytes, info.fordblks, memory_order_relaxed);
	atomic_store_explicit(&stats->releasable_bytes, info.keepcost,
			memory_order_relaxed);
	/* release: pairs with the acquire of readers */
	atomic_store_explicit(&stats->taken_ns,
			(uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec,
			memory_order_release);
}
