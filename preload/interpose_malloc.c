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

/*
 * What is not the allocator's is in no sum of its, and would never be given back to it. Where sizes are
 * not known nobody is asked, and it may well be the allocator's: behind an object that passes on
 * some functions and lacks others. The first event of all finds out.
 */
static SHIM_COLD void *not_counted(void *p, size_t size) {
	SHIM_RECORD(uncounted_events, 0);
	if (p == NULL || shim_real.malloc_usable_size == NULL) {
		return counted(p, size);
	}
	SHIM_RECORD(uncounted_events, 1);
	return p;
}

static void *counted_of(enum shim_relative function, void *p, size_t size) {
	bool is_foreign = (shim_real.foreign & 1U << function) != 0;
	return SHIM_UNLIKELY(is_foreign) ? not_counted(p, size) : counted(p, size);
}

static uint64_t frees_of_thread(void) {
	const struct shim_control *control = shim_tls.current;
	/* relaxed: own cell */
	return control != NULL && control->home != NULL
			? atomic_load_explicit(&control->home->frees,
					  memory_order_relaxed)
			: 0;
}

/*
 * C23: free with a hint (glibc has them since 2.43; a library may have had functions of that name
 * before, for blocks of its own). Who has them behind us may come back to our free, which then has
 * counted.
 */
#define FREE_SIZED(name, is_foreign, arguments)                \
	shim_real_resolve();                                   \
	if (shim_real.name == NULL || shim_bootstrap_has(p)) { \
		free(p);                                       \
	} else if (p == NULL || shim_real.is_foreign) {        \
		shim_real.name arguments;                      \
	} else {                                               \
		struct shim_size before = shim_record_size(p); \
		uint64_t frees = frees_of_thread();            \
		shim_real.name arguments;                      \
		if (frees_of_thread() == frees) {              \
			shim_record_freed(before);             \
		}                                              \
	}

void free_sized(void *p, size_t size) {
	FREE_SIZED(free_sized, sized_is_foreign, (p, size))
}

void free_aligned_sized(void *p, size_t alignment, size_t size) {
	FREE_SIZED(free_aligned_sized, aligned_sized_is_foreign, (p, alignment, size))
}

int posix_memalign(void **out, size_t alignment, size_t size) {
	int r = shim_real.posix_memalign(out, alignment, size);
	(void)counted_of(SHIM_RELATIVE_posix_memalign, r == 0 ? *out : NULL, size);
	return r;
}

void *aligned_alloc(size_t alignment, size_t size) {
	return counted_of(SHIM_RELATIVE_aligned_alloc,
			shim_real.aligned_alloc(alignment, size), size);
}

void *memalign(size_t alignment, size_t size) {
	return counted_of(SHIM_RELATIVE_memalign, shim_real.memalign(alignment, size),
			size);
}

void *valloc(size_t size) {
	return counted_of(SHIM_RELATIVE_valloc, shim_real.valloc(size), size);
}

void *pvalloc(size_t size) {
	return counted_of(SHIM_RELATIVE_pvalloc, shim_real.pvalloc(size), size);
}
