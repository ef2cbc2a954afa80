/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_SEGMENT_H
#define TESTS_UNIT_SEGMENT_H

/* A segment as a process would publish it, made by hand. */

#include <stdlib.h>
#include <string.h>

#include "preload/layout.h"

#define put(cell, value) atomic_store_explicit(&(cell), (value), memory_order_relaxed)

enum { TEST_BLOCKS_ROOM = 4 };

static inline uint64_t segment_bytes(void) {
	return sizeof(struct shim_segment) + TEST_BLOCKS_ROOM * sizeof(struct shim_block);
}

static inline struct shim_block *segment_block(struct shim_segment *segment,
		unsigned index) {
	char *first = (char *)segment + segment->blocks_offset;
	return (void *)(first + index * segment->block_bytes);
}

/* An identity, no events, room for TEST_BLOCKS_ROOM blocks, none of them handed out. */
static inline struct shim_segment *segment_make(void) {
	struct shim_segment *segment = aligned_alloc(SHIM_CACHE_LINE, segment_bytes());
	if (segment == NULL) {
		abort();
	}
	memset(segment, 0, segment_bytes());
	segment->magic = SHIM_MAGIC;
	segment->abi_major = SHIM_ABI_MAJOR;
	segment->segment_bytes = sizeof(struct shim_segment);
	segment->block_bytes = sizeof(struct shim_block);
	segment->blocks_offset = sizeof(struct shim_segment);
	segment->reserved_bytes = segment_bytes();
	strcpy(segment->program, "nginx");
	strcpy(segment->allocator, "glibc");
	strcpy(segment->libc, "glibc 2.36");
	put(segment->state, SHIM_STATE_COUNTING);
	put(segment->bytes_known, 1);
	put(segment->hooks_known, 7);
	put(segment->hooks_active, 5);
	return segment;
}

#endif
