/* SPDX-License-Identifier: MIT */
/*
 * An allocator for leap: a request of LEAP_BYTES raises SIGUSR1 before it is answered, so that a
 * handler interrupts whoever has called, at a place that is known.
 */

#include <signal.h>

#include "target.h"

static _Alignas(16) unsigned char pool[1 << 22];
static size_t used;

static void *take(size_t size) {
	enum { LEAP_BYTES = 7777 };
	if (size == LEAP_BYTES)
		raise(SIGUSR1);
	size_t rounded = (size + 15) / 16 * 16;
	size_t start = __atomic_fetch_add(&used, rounded + 16, __ATOMIC_RELAXED) + 16;
	if (size > sizeof pool || start + rounded > sizeof pool)
		return NULL;
	memcpy(pool + start - sizeof size, &rounded, sizeof rounded);
	return pool + start;
}

size_t malloc_usable_size(void *p);

size_t malloc_usable_size(void *p) {
	size_t size = 0;
	if (p != NULL)
		memcpy(&size, (unsigned char *)p - sizeof size, sizeof size);
	return size;
}

void *malloc(size_t size) {
	return take(size);
}

void *calloc(size_t count, size_t size) {
	return take(count * size);
}

void *realloc(void *p, size_t size) {
	size_t before = malloc_usable_size(p);
	void *fresh = take(size);
	if (p != NULL && fresh != NULL)
		memcpy(fresh, p, before < size ? before : size);
	return fresh;
}

void free(void *p) {
}
