/* SPDX-License-Identifier: MIT */
#include "preload/bootstrap.h"

#include <stdatomic.h>

/* glibc's size word: 16 bytes of header, bit 1 says "mmapped", which has no neighbours. */
enum { HEADER_BYTES = 16, MMAPPED = 2 };

_Alignas(16) unsigned char shim_bootstrap[SHIM_BOOTSTRAP_BYTES];

/* Writers: any muted thread. Relaxed: hands out places, publishes nothing. */
static _Atomic size_t used;

void *shim_bootstrap_put(size_t size, size_t alignment) {
	if (alignment < HEADER_BYTES) {
		alignment = HEADER_BYTES;
	}
	if (size > SHIM_BOOTSTRAP_BYTES || alignment > SHIM_BOOTSTRAP_BYTES) {
		return NULL;
	}
	size = (size + HEADER_BYTES - 1) & ~(size_t)(HEADER_BYTES - 1);
	size_t whole = HEADER_BYTES + size + (alignment - HEADER_BYTES);
	size_t at = atomic_load_explicit(&used, memory_order_relaxed);
	do {
		if (whole > SHIM_BOOTSTRAP_BYTES - at) {
			return NULL;
		}
	} while (!atomic_compare_exchange_weak_explicit(&used, &at, at + whole,
			memory_order_relaxed, memory_order_relaxed));
	uintptr_t block = (uintptr_t)shim_bootstrap + at + HEADER_BYTES;
	block = (block + alignment - 1) & ~(uintptr_t)(alignment - 1);
	((size_t *)block)[-1] = (size + HEADER_BYTES) | MMAPPED;
	return (void *)block;
}

size_t shim_bootstrap_size(const void *p) {
	return (((const size_t *)p)[-1] & ~(size_t)7) - HEADER_BYTES;
}
