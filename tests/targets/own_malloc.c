/* SPDX-License-Identifier: MIT */
/*
 * Brings its own allocator, which takes from a fixed pool and frees nothing. Exported
 * (own_malloc: before ours in every lookup) or hidden (own_malloc_hidden: libc's own calls
 * come to ours, the program's do not), whole or without the aligned functions
 * (own_malloc_partial).
 */

#include <errno.h>
#include <stdint.h>

#include "target.h"

static _Alignas(16) unsigned char pool[1 << 20];
static size_t used;

static void *take(size_t size) {
	size_t start = used + 16;
	if (size > sizeof pool - start) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(pool + start - sizeof size, &size, sizeof size);
	used = start + (size + 15) / 16 * 16;
	return pool + start;
}

void *malloc(size_t size) {
	return take(size);
}

void free(void *p) {
	MUST(p == NULL || (uintptr_t)p - (uintptr_t)pool < sizeof pool);
}

#ifndef PARTIAL
void *calloc(size_t count, size_t size) {
	return take(count * size); /* fresh memory of the pool is zero */
}

void *realloc(void *p, size_t size) {
	size_t old = 0;
	void *fresh = take(size);
	if (p != NULL)
		memcpy(&old, (unsigned char *)p - sizeof old, sizeof old);
	if (p != NULL && fresh != NULL)
		memcpy(fresh, p, old < size ? old : size);
	return fresh;
}
#endif

int main(int argc, char **argv) {
	end_some_day();
	for (int i = 0; i < 100; i++) {
		void *p = malloc(100);
		KEEP(p);
		MUST((uintptr_t)p - (uintptr_t)pool < sizeof pool);
		free(p);
	}
#ifdef PARTIAL
	/* what the program does not define comes from libc, and goes back to it by realloc */
	void *p = NULL;
	MUST(posix_memalign(&p, 4096, 100) == 0 &&
			(uintptr_t)p - (uintptr_t)pool >= sizeof pool);
	MUST(realloc(p, 0) == NULL);
#endif
	say("done");
	if (argc > 1)
		wait_for_test();
	return 0;
}
