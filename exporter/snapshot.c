/* SPDX-License-Identifier: MIT */
#include "exporter/snapshot.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "exporter/clock.h"
#include "exporter/utf8.h"

static uint64_t word(const _Atomic uint64_t *cell) {
	/* relaxed: a lone number; where order matters the caller has a fence */
	return atomic_load_explicit(cell, memory_order_relaxed);
}

/* Tells whether the segment is ours and what it says of itself fits the mapping. */
static bool segment_is_valid(const struct shim_segment *segment, uint64_t mapped_bytes) {
	if (mapped_bytes < sizeof(*segment)) {
		return false;
	}
	/* acquire: pairs with the release of the maker, after sizes and offsets */
	if (__atomic_load_n(&segment->magic, __ATOMIC_ACQUIRE) != SHIM_MAGIC ||
			segment->abi_major != SHIM_ABI_MAJOR) {
		return false;
	}
	return segment->segment_bytes >= sizeof(*segment) &&
			segment->block_bytes >= sizeof(struct shim_block) &&
			segment->block_bytes % SHIM_CACHE_LINE == 0 &&
			segment->blocks_offset % SHIM_CACHE_LINE == 0 &&
			segment->blocks_offset >= segment->segment_bytes &&
			segment->blocks_offset <= segment->reserved_bytes &&
			segment->blocks_offset <= mapped_bytes;
}

/* The blocks that may be read: frozen when a pass starts. */
struct blocks {
	const unsigned char *first;
	uint64_t stride;
	uint64_t count;
};

static int blocks_find(const struct shim_segment *segment, uint64_t mapped_bytes,
		struct blocks *out) {
	uint64_t end = segment->reserved_bytes < mapped_bytes ? segment->reserved_bytes
							      : mapped_bytes;
	out->first = (const unsigned char *)segment + segment->blocks_offset;
	out->stride = segment->block_bytes;
	/* acquire: pairs with the release in the attach that handed out the last block */
	out->count = atomic_load_explicit(&segment->block_count, memory_order_acquire);
	uint64_t room = (end - segment->blocks_offset) / out->stride;
	return out->count <= room ? 0 : -EINVAL;
}

static const struct shim_block *block_at(const struct blocks *blocks, uint64_t index) {
	return (const void *)(blocks->first + index * blocks->stride);
}

/* What takes away from a gauge: read before everything that adds to it. */
static void add_ends(struct prom_totals *totals, const struct shim_block *block) {
	totals->frees += word(&block->frees);
	totals->freed_bytes += word(&block->freed_bytes);
	totals->thread_ends += word(&block->thread_ends);
	totals->stack_released_bytes += word(&block->stack_released_bytes);
	totals->reallocations_moved += word(&block->reallocations_moved);
	totals->unmapped_bytes += word(&block->unmapped_bytes);
}

static void add_all(struct prom_totals *totals, const struct shim_block *block) {
#define SHIM_COUNTER(field, metric, help) totals->field += word(&block->field);
#include "preload/counters.def"
	for (size_t i = 0; i <= SHIM_LIFETIMES; i++) {
		totals->lifetime[i] += word(&block->lifetime[i]);
	}
	for (size_t i = 0; i < SHIM_SIZE_CLASSES; i++) {
		totals->size_class[i] += word(&block->size_class[i]);
	}
}

static int totals_read(const struct shim_segment *segment, uint64_t mapped_bytes,
		struct prom_totals *totals) {
	struct prom_totals ends;
	struct blocks blocks;
	int r = blocks_find(segment, mapped_bytes, &blocks);
	if (r < 0) {
		return r;
	}
	memset(&ends, 0, sizeof(ends));
	add_ends(&ends, &segment->overflow);
	for (uint64_t i = 0; i < blocks.count; i++) {
		add_ends(&ends, block_at(&blocks, i));
	}
	/*
	 * Live fence: a free that was seen above happened after its allocation, on
	 * whatever thread, so that allocation is seen below. Pairs with the release that
	 * orders the store of frees and freed_bytes (thread_ends, stack_released_bytes)
	 * after it.
	 */
	atomic_thread_fence(memory_order_acquire);
	/* counted anew: a block handed out meanwhile may hold the allocation of a free */
	r = blocks_find(segment, mapped_bytes, &blocks);
	if (r < 0) {
		return r;
	}
	add_all(totals, &segment->overflow);
	for (uint64_t i = 0; i < blocks.count; i++) {
		add_all(totals, block_at(&blocks, i));
	}
	totals->frees = ends.frees;
	totals->freed_bytes = ends.freed_bytes;
	totals->thread_ends = ends.thread_ends;
	totals->stack_released_bytes = ends.stack_released_bytes;
	totals->reallocations_moved = ends.reallocations_moved;
	totals->unmapped_bytes = ends.unmapped_bytes;
	for (size_t i = 0; i < SHIM_SIZE_CLASSES; i++) {
		totals->allocations += totals->size_class[i];
	}
	return 0;
}

/* The fence makes it so already; a segment from elsewhere may still say otherwise. */
static uint64_t above_zero(uint64_t added, uint64_t taken) {
	return added > taken ? added - taken : 0;
}

static void live_fill(const struct shim_segment *segment, struct prom_row *row) {
	const struct prom_totals *totals = &row->totals;
	row->bytes_known = atomic_load_explicit(&segment->bytes_known,
					   memory_order_relaxed) != 0;
	row->live_blocks = above_zero(segment->inherited_blocks + totals->allocations,
			totals->frees);
	row->live_bytes = row->bytes_known
			? above_zero(segment->inherited_bytes + totals->allocated_bytes,
					  totals->freed_bytes)
			: 0;
	row->mapped_bytes =
			above_zero(segment->inherited_mapped_bytes + totals->mapped_bytes,
					totals->unmapped_bytes);
	row->threads = above_zero(totals->thread_starts, totals->thread_ends);
	row->stack_bytes = above_zero(totals->stack_reserved_bytes,
			totals->stack_released_bytes);
}

static uint64_t age_ns(uint64_t taken_ns) {
	struct timespec now;
	if (prom_clock(CLOCK_MONOTONIC, &now) < 0) {
		return 0;
	}
	return above_zero((uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec,
			taken_ns);
}

static const uint64_t old_ns = 300000000000; /* what was read longer ago is not shown */

/*
 * Each of glibc's blocks has a word of its own before it. What threads keep in their caches glibc
 * calls used; here it is free.
 */
static uint64_t in_use(const struct prom_row *row) {
	bool is_glibc = strcmp(row->allocator, "glibc") == 0;
	return row->live_bytes + (is_glibc ? row->live_blocks * 8 : 0);
}

static void allocator_read(const struct shim_allocator_stats *stats,
		struct prom_row *row) {
	/* acquire: pairs with the release of who published, after the two */
	uint64_t taken_ns = atomic_load_explicit(&stats->taken_ns, memory_order_acquire);
	row->allocator_age_ns = taken_ns != 0 ? age_ns(taken_ns) : 0;
	row->allocator_known = taken_ns != 0 && row->allocator_age_ns < old_ns;
	row->heap_bytes = word(&stats->heap_bytes);
	row->free_bytes = word(&stats->free_bytes);
	row->in_use_bytes = in_use(row);
}

static void identity_read(const struct shim_segment *segment, struct prom_row *row) {
	prom_utf8_copy(row->program, sizeof(row->program), segment->program,
			sizeof(segment->program));
	prom_utf8_copy(row->allocator, sizeof(row->allocator), segment->allocator,
			sizeof(segment->allocator));
	prom_utf8_copy(row->libc, sizeof(row->libc), segment->libc,
			sizeof(segment->libc));
	/* acquire: pairs with the release that settles a hook, after its active bit */
	row->hooks_known =
			atomic_load_explicit(&segment->hooks_known, memory_order_acquire);
	row->hooks_active = atomic_load_explicit(&segment->hooks_active,
			memory_order_relaxed);
}

int prom_snapshot_read(const struct shim_segment *segment, uint64_t mapped_bytes,
		struct prom_row *row) {
	if (!segment_is_valid(segment, mapped_bytes)) {
		goto untrusted;
	}
	/* acquire: pairs with the release of the constructor, after the identity */
	if (atomic_load_explicit(&segment->state, memory_order_acquire) ==
			SHIM_STATE_STARTING) {
		goto untrusted;
	}
	memset(&row->totals, 0, sizeof(row->totals));
	if (totals_read(segment, mapped_bytes, &row->totals) < 0) {
		goto untrusted;
	}
	identity_read(segment, row);
	live_fill(segment, row);
	allocator_read(&segment->allocator_stats, row);
	return 0;

untrusted:
	memset(row, 0, sizeof(*row));
	return -EINVAL;
}

uint64_t prom_snapshot_figures(const struct shim_segment *segment,
		struct prom_figures *out) {
	const struct shim_figures *figures = &segment->figures;
	/* acquire: pairs with the release of who publishes, after every figure */
	out->known = atomic_load_explicit(&figures->known, memory_order_acquire);
#define SHIM_FIGURE(field, kind, metric, help) out->field = word(&figures->field);
#include "preload/figures.def"
	return age_ns(word(&figures->taken_ns));
}
