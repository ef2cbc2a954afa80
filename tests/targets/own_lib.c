/* SPDX-License-Identifier: MIT */
/*
 * An allocator in a library, which exports malloc, calloc, realloc and free but no
 * malloc_usable_size: libc's would read its blocks as its own.
 */

#include <stdint.h>

#include "target.h"

static _Alignas(16) unsigned char pool[1 << 22];
static size_t used;

static void *take(size_t size) {
	size_t rounded = (size + 15) / 16 * 16;
	size_t start = __atomic_add_fetch(&used, rounded + 16, __ATOMIC_RELAXED) -
			rounded;
	if (size > sizeof pool || start + rounded > sizeof pool)
		return NULL;
	memset(pool + start - 16, 0xff, 16); /* a size that no reader must believe */
	return pool + start;
}

void *malloc(size_t size) {
	return take(size);
}

void *calloc(size_t count, size_t size) {
	return take(count * size);
}

void *realloc(void *p, size_t size) {
	unsigned char *fresh = take(size);
	if (p != NULL && fresh != NULL) {
		size_t limit = (size_t)(pool + sizeof pool - (unsigned char *)p);
		memcpy(fresh, p, size < limit ? size : limit);
	}
	return fresh;
}

void free(void *p) {
	MUST(p == NULL || (uintptr_t)p - (uintptr_t)pool < sizeof pool);
}
