/* SPDX-License-Identifier: MIT */
/* A library with a pool of its own, which it takes blocks back to by a name that C has since 2023. */

#include "target.h"

void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t alignment, size_t size);
void pool_work(void);

static char pool[4096];
static size_t back;

void free_sized(void *p, size_t size) {
	MUST(p == pool);
	back += size;
}

void free_aligned_sized(void *p, size_t alignment, size_t size) {
	MUST(p == pool && alignment == 32);
	back += size;
}

void pool_work(void) {
	free_sized(pool, 64);
	free_aligned_sized(pool, 32, 1000);
	say("back %zu", back);
}
