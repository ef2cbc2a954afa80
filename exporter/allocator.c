/* SPDX-License-Identifier: MIT */
#include "exporter/allocator.h"

#include "exporter/clock.h"
#include "exporter/procfs.h"
#include "exporter/snapshot.h"

/*
 * Counters are summed while events run, and large blocks that came and went meanwhile would be held by
 * nobody: what was mapped is true when nothing was unmapped during the sum. Else the least of some.
 */
static bool read_quietly(const struct shim_segment *segment, uint64_t segment_bytes,
		struct prom_row *row) {
	enum { TRIES = 4 };
	struct prom_row again;
	if (prom_snapshot_read(segment, segment_bytes, row) < 0) {
		return false;
	}
	for (int i = 0; i < TRIES; i++) {
		if (prom_snapshot_read(segment, segment_bytes, &again) < 0) {
			return false;
		}
		if (again.totals.unmapped_bytes == row->totals.unmapped_bytes) {
			return true;
		}
		if (again.mapped_bytes < row->mapped_bytes) {
			*row = again;
		}
	}
	return true;
}

/*
 * Where much more is in use than is seen, something is not seen: a heap that grows elsewhere, as it
 * could not by brk. A little may be the time between the two readings.
 */
static bool is_impossible(const struct prom_row *row, uint64_t heap_bytes) {
	enum { LITTLE = 16 };
	return row->in_use_bytes > heap_bytes &&
			row->in_use_bytes - heap_bytes > heap_bytes / LITTLE;
}

bool prom_allocator_publish(struct prom_allocator *allocator,
		struct shim_segment *segment, uint64_t segment_bytes,
		const struct prom_procfs *procfs, bool is_wanted) {
	enum { SHARE = 100 }; /* at most 1 % of a processor */
	struct shim_allocator_stats *stats = &segment->allocator_stats;
	struct prom_row row;
	uint64_t bytes = 0;
	uint64_t begun_ns = prom_clock_ns(CLOCK_MONOTONIC);
	uint64_t spent_ns = prom_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (allocator->next_ns != 0 && (!is_wanted || begun_ns < allocator->next_ns)) {
		return false;
	}
	allocator->next_ns = begun_ns + allocator->interval_ns;
	if (allocator->is_lost || !read_quietly(segment, segment_bytes, &row) ||
			!row.bytes_known) {
		return false;
	}
	int r = prom_procfs_heap(procfs, row.allocator, &bytes);
	if (r < 0) {
		return false;
	}
	bytes += row.mapped_bytes;
	if (r == 0 || is_impossible(&row, bytes)) {
		/* what glibc took elsewhere it keeps, even when nothing bars its way any more */
		allocator->is_lost = true;
		/* release: pairs with the acquire of readers, who show nothing from here on */
		atomic_store_explicit(&stats->taken_ns, 0, memory_order_release);
		return true;
	}
	/* relaxed: lone numbers, published by taken_ns */
	atomic_store_explicit(&stats->heap_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&stats->free_bytes,
			bytes > row.in_use_bytes ? bytes - row.in_use_bytes : 0,
			memory_order_relaxed);
	/* release: pairs with the acquire of readers */
	atomic_store_explicit(&stats->taken_ns, begun_ns, memory_order_release);
	uint64_t rest_ns = (prom_clock_ns(CLOCK_THREAD_CPUTIME_ID) - spent_ns) * SHARE;
	if (rest_ns > allocator->interval_ns) {
		allocator->next_ns = begun_ns + rest_ns;
	}
	return true;
}
