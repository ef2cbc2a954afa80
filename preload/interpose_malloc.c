/* SPDX-License-Identifier: MIT */

/*
 * The malloc family. Each hook forwards and counts, nothing else; what the host gets, errno
 * included, is what the next allocator gave.
 *
 * malloc, calloc and free have a fast path of their own: see record.h. A thread without an
 * open fast path has no block here and takes the way out of line, where a muted thread is
 * served from bootstrap memory.
 */

#include <stdint.h>
#include <string.h>

#include "preload/bootstrap.h"
#include "preload/host_errno.h"
#include "preload/record.h"

SHIM_EXPORT void *malloc(size_t size);
SHIM_EXPORT void *calloc(size_t count, size_t size);
SHIM_EXPORT void *realloc(void *p, size_t size);
SHIM_EXPORT void *reallocarray(void *p, size_t count, size_t size);
SHIM_EXPORT void free(void *p);
SHIM_EXPORT void free_sized(void *p, size_t size);
SHIM_EXPORT void free_aligned_sized(void *p, size_t alignment, size_t size);
SHIM_EXPORT int posix_memalign(void **out, size_t alignment, size_t size);
SHIM_EXPORT void *aligned_alloc(size_t alignment, size_t size);
SHIM_EXPORT void *memalign(size_t alignment, size_t size);
SHIM_EXPORT void *valloc(size_t size);
SHIM_EXPORT void *pvalloc(size_t size);

/* The block that the fast path counts in; NULL: there is none open. */
static inline struct shim_block *fast_block(struct shim_control *control) {
	return SHIM_LIKELY(control != NULL) ? control->block : NULL;
}

/* Bootstrap memory for a muted thread; NULL for all others, and when it is used up. */
static void *muted(size_t size, size_t alignment) {
	return SHIM_UNLIKELY(shim_tls.muted != 0) ? shim_bootstrap_put(size, alignment)
						  : NULL;
}

static SHIM_COLD void *counted(void *p, size_t size) {
	shim_record_allocation(p, size);
	return p;
}

static SHIM_COLD void *malloc_slow(size_t size) {
	void *p = muted(size, 1);
	return p != NULL ? p : counted(shim_real.malloc(size), size);
}

SHIM_HOT void *malloc(size_t size) {
	struct shim_control *control = shim_tls.current;
	struct shim_block *block = fast_block(control);
	if (SHIM_UNLIKELY(block == NULL)) {
		return malloc_slow(size);
	}
	void *p = shim_real.malloc(size);
	if (SHIM_UNLIKELY(p == NULL)) {
		return counted(p, size);
	}
	size_t header = shim_chunk_header(p);
	if (SHIM_UNLIKELY((header & SHIM_CHUNK_MMAPPED) != 0)) {
		return counted(p, size);
	}
	if (SHIM_UNLIKELY(shim_count_allocation(control, block, shim_chunk_usable(header),
			    size))) {
		return shim_record_wake(p);
	}
	return p;
}

static SHIM_COLD void free_slow(void *p) {
	if (p == NULL || shim_bootstrap_has(p)) {
		return;
	}
	shim_record_free(p);
	shim_real.free(p);
}

SHIM_HOT void free(void *p) {
	struct shim_block *block = fast_block(shim_tls.current);
	if (SHIM_UNLIKELY(block == NULL)) {
		free_slow(p);
		return;
	}
	if (p == NULL) {
		return;
	}
	size_t header = shim_chunk_header(p);
	if (SHIM_UNLIKELY((header & SHIM_CHUNK_MMAPPED) != 0)) {
		free_slow(p); /* bootstrap memory too: it looks mmapped */
		return;
	}
	shim_count_free(block, shim_chunk_usable(header));
	shim_real.free(p);
}

static SHIM_COLD void *calloc_slow(size_t count, size_t size) {
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		bytes = SIZE_MAX; /* the real one refuses; a failure is counted without bytes */
	}
	void *p = muted(bytes, 1);
	return p != NULL ? p : counted(shim_real.calloc(count, size), bytes);
}

SHIM_HOT void *calloc(size_t count, size_t size) {
	struct shim_control *control = shim_tls.current;
	struct shim_block *block = fast_block(control);
	if (SHIM_UNLIKELY(block == NULL)) {
		return calloc_slow(count, size);
	}
	void *p = shim_real.calloc(count, size);
	if (SHIM_UNLIKELY(p == NULL)) {
		return counted(p, 0);
	}
	size_t header = shim_chunk_header(p);
	if (SHIM_UNLIKELY((header & SHIM_CHUNK_MMAPPED) != 0)) {
		return counted(p, count * size);
	}
	if (SHIM_UNLIKELY(shim_count_allocation(control, block, shim_chunk_usable(header),
			    count * size))) {
		return shim_record_wake(p);
	}
	return p;
}

/* A bootstrap block that the host wants to grow moves to the heap; its old place is lost. */
static SHIM_COLD void *realloc_bootstrap(void *p, size_t size) {
	if (size == 0) {
		return NULL;
	}
	void *moved = malloc(size);
	if (moved != NULL) {
		size_t old = shim_bootstrap_size(p);
		memcpy(moved, p, old < size ? old : size);
	}
	return moved;
}

void *realloc(void *p, size_t size) {
	if (p == NULL) {
		void *q = muted(size, 1);
		return q != NULL ? q : counted(shim_real.realloc(NULL, size), size);
	}
	if (SHIM_UNLIKELY(shim_bootstrap_has(p))) {
		return realloc_bootstrap(p, size);
	}
	struct shim_size before = shim_record_size(p);
	uintptr_t place = (uintptr_t)p;
	void *q = shim_real.realloc(p, size);
	shim_record_reallocation(q, (uintptr_t)q != place, before, size);
	return q;
}

/* glibc's would come back to our realloc, mimalloc's would not: our own for all. */
void *reallocarray(void *p, size_t count, size_t size) {
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		SHIM_RECORD(failures, 1);
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, bytes);
}

/* C23: free with a hint that no allocator needs (glibc has them since 2.43). */
void free_sized(void *p, size_t size) {
	(void)size;
	free(p);
}

void free_aligned_sized(void *p, size_t alignment, size_t size) {
	(void)alignment;
	(void)size;
	free(p);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
	int r = shim_real.posix_memalign(out, alignment, size);
	if (r == 0) {
		shim_record_allocation(*out, size);
	} else {
		shim_record_allocation(NULL, size);
	}
	return r;
}

void *aligned_alloc(size_t alignment, size_t size) {
	return counted(shim_real.aligned_alloc(alignment, size), size);
}

void *memalign(size_t alignment, size_t size) {
	return counted(shim_real.memalign(alignment, size), size);
}

void *valloc(size_t size) {
	return counted(shim_real.valloc(size), size);
}

void *pvalloc(size_t size) {
	return counted(shim_real.pvalloc(size), size);
}
