/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_RECORD_H
#define PRELOAD_RECORD_H

/*
 * Events into counters: the inline joint between hooks and block, and the way out of line
 * for everything that is not the common case.
 *
 * The common case is glibc's allocator, a thread that has a block, and a chunk that lies in
 * an arena. Its size word, which malloc just wrote or free is about to read, tells the
 * usable size; calling malloc_usable_size instead costs a third of a pair.
 */

#include <stddef.h>
#include <stdint.h>

#include "preload/control.h"
#include "preload/real.h"

/*
 * glibc: the word before a block is its chunk's size with three flags: 1 previous in use,
 * 2 mmapped, 4 not of the main arena. A chunk's last 8 bytes overlap the next size word, so
 * usable = size - 8; mmapped chunks have no next: 16. What such a chunk was moved by to be
 * aligned stands in the word before. Source: malloc/malloc.c, "chunk", munmap_chunk.
 */
enum { SHIM_CHUNK_MMAPPED = 2, SHIM_CHUNK_FLAGS = 7, SHIM_CHUNK_OVERHEAD = 8 };

static inline size_t shim_chunk_header(const void *p) {
	return ((const size_t *)p)[-1];
}

static inline size_t shim_chunk_mapped(const void *p) {
	size_t before = ((const size_t *)p)[-2];
	return (shim_chunk_header(p) & ~(size_t)SHIM_CHUNK_FLAGS) +
			(before & ~(size_t)SHIM_CHUNK_FLAGS);
}

static inline size_t shim_chunk_usable(size_t header) {
	return (header & ~(size_t)SHIM_CHUNK_FLAGS) - SHIM_CHUNK_OVERHEAD;
}

/* Class of layout.h: the highest set bit of 2n-1, which for n = 0 is bit 63. */
static inline unsigned shim_size_class(size_t requested) {
	return 63U - (unsigned)__builtin_clzll(2 * (unsigned long long)requested - 1);
}

/* Counts a block that was handed out; Returns true when the slow path is due. */
static inline int shim_count_allocation(struct shim_control *control,
		struct shim_block *block, size_t usable, size_t requested) {
	shim_cell_add(&block->allocated_bytes, usable);
	shim_cell_add(&block->requested_bytes, requested);
	shim_cell_add(&block->size_class[shim_size_class(requested)], 1);
	/* relaxed: own cell; a lone number */
	return atomic_load_explicit(&block->allocated_bytes, memory_order_relaxed) >=
			atomic_load_explicit(&control->next, memory_order_relaxed);
}

/* Counts a block that is about to be given back. */
static inline void shim_count_free(struct shim_block *block, size_t usable) {
	shim_cell_add(&block->frees, 1);
	shim_cell_add(&block->freed_bytes, usable);
}

/*
 * The same for every case: no block yet, another allocator, mmapped chunks, failure
 * (p == NULL); may start the keeper of a forked child.
 *
 * Calls  a hook, after the real call; errno kept
 */
void shim_record_allocation(void *p, size_t requested);

/* After a count that said the slow path is due; Returns `p`, so that the hook ends in a jump. */
void *shim_record_wake(void *p);

/* Sizes of a living block. */
struct shim_size {
	size_t usable; /* by whatever way is proved; 0 if none is */
	size_t mapped; /* of the mapping that glibc made for this block alone; 0: it lies in an arena */
};
struct shim_size shim_record_size(void *p);

/* The same when only the sizes are known, and the block may be gone. */
void shim_record_freed(struct shim_size size);

/* Before the real free; `p` is neither NULL nor bootstrap memory; errno kept. */
void shim_record_free(void *p);

/*
 * After a real realloc of a block that had the sizes `before`.
 *
 * p  its result; NULL with requested != 0 is a failure, with 0 a free
 */
void shim_record_reallocation(void *p, int moved, struct shim_size before,
		size_t requested);

/* Adds to one cell of the calling thread's block, or atomically to the overflow block's. */
void shim_record_add(size_t cell_offset, uint64_t amount);
#define SHIM_RECORD(field, amount) \
	shim_record_add(offsetof(struct shim_block, field), (amount))

#endif
