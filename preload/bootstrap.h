/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_BOOTSTRAP_H
#define PRELOAD_BOOTSTRAP_H

/*
 * Static memory for what libc allocates on our account: dlsym's error texts, the thread
 * descriptor's vector that pthread_create callocs for a thread of ours. Any host thread may
 * free such a block later, so it must never reach an allocator, nor any counter.
 *
 * Blocks carry a header as glibc's have it, with the bit of an mmapped chunk: so
 * malloc_usable_size is right about them, and the fast path of free, which leaves mmapped
 * chunks to the slow one, needs no range test. Memory is not given back; when it is used up
 * the caller takes the allocator's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHIM_BOOTSTRAP_BYTES = 32768 };

extern unsigned char shim_bootstrap[SHIM_BOOTSTRAP_BYTES]
		__attribute__((visibility("hidden")));

/* Returns zeroed memory of `size` bytes aligned to `alignment` (a power of two), or NULL. */
void *shim_bootstrap_put(size_t size, size_t alignment);

/* Tells whether `p` came from shim_bootstrap_put. */
static inline bool shim_bootstrap_has(const void *p) {
	return (uintptr_t)p - (uintptr_t)shim_bootstrap < SHIM_BOOTSTRAP_BYTES;
}

/* Usable bytes of a block of ours. */
size_t shim_bootstrap_size(const void *p);

#endif
