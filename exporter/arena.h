/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_ARENA_H
#define EXPORTER_ARENA_H

/*
 * Memory of the exporter's own: address space from mmap, so that nothing here ever touches
 * the host's heap, be it locked or corrupt.
 *
 * A bump allocator with one size: what is put in stays until the arena is reset to an
 * earlier mark. One thread at a time uses an arena; it has no lock.
 */

#include <stddef.h>

struct prom_arena {
	unsigned char *base; /* mapped; NULL when init failed */
	size_t size_bytes; /* mapped, touched on demand */
	size_t used_bytes;
};

/*
 * Maps `size_bytes` of zeroed private memory (MAP_NORESERVE, no huge pages).
 *
 * Returns  0, or -errno of mmap(2); then every later call yields NULL
 */
int prom_arena_init(struct prom_arena *arena, size_t size_bytes);

/* Unmaps the memory; accepts an arena whose init failed. */
void prom_arena_finish(struct prom_arena *arena);

/* Returns `size_bytes` of memory aligned to 16, contents unspecified, or NULL when full. */
void *prom_arena_put(struct prom_arena *arena, size_t size_bytes);

/* Gives back everything put after `mark`, an earlier value of used_bytes. */
void prom_arena_reset(struct prom_arena *arena, size_t mark);

#endif
