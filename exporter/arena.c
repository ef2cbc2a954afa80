/* SPDX-License-Identifier: MIT */
#include "exporter/arena.h"

#include "exporter/base/kernel.h"

enum { ALIGNMENT = 16 };

int prom_arena_init(struct prom_arena *arena, size_t size_bytes) {
	arena->base = NULL;
	arena->size_bytes = 0;
	arena->used_bytes = 0;
	long base = kernel_mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base < 0) {
		return (int)base;
	}
	/* a kernel without huge pages refuses, and then there is nothing to switch off */
	arena->base = (unsigned char *)base;
	(void)kernel_madvise(arena->base, size_bytes, MADV_NOHUGEPAGE);
	arena->size_bytes = size_bytes;
	return 0;
}

void prom_arena_finish(struct prom_arena *arena) {
	if (arena->base != NULL) {
		(void)kernel_munmap(arena->base, arena->size_bytes);
	}
	arena->base = NULL;
	arena->size_bytes = 0;
	arena->used_bytes = 0;
}

void *prom_arena_put(struct prom_arena *arena, size_t size_bytes) {
	size_t free_bytes = arena->size_bytes - arena->used_bytes;
	if (size_bytes > free_bytes) {
		return NULL;
	}
	unsigned char *bytes = arena->base + arena->used_bytes;
	size_t rounded = (size_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	/* the last piece may end where the mapping does, which need not be aligned */
	arena->used_bytes += rounded < free_bytes ? rounded : free_bytes;
	return bytes;
}

void prom_arena_reset(struct prom_arena *arena, size_t mark) {
	if (mark < arena->used_bytes) {
		arena->used_bytes = mark;
	}
}
