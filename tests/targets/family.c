/* SPDX-License-Identifier: MIT */
/*
 * family CASE: does one thing with one function of the family, checks that the caller sees
 * what he would see without the shim, and allocates nothing else. Status 0 if all was so.
 */

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>

#include "target.h"

static volatile size_t huge = SIZE_MAX / 2 - 4096; /* more than any allocator has */
static volatile size_t zero = 0;

static void *kept(void *p) {
	KEEP(p);
	return p;
}

static void nothing(void) {
}

static void malloc_free(void) {
	free(kept(malloc(100)));
}

static void malloc_zero(void) {
	void *p = kept(malloc(zero));
	MUST(p != NULL);
	free(p);
}

static void free_null(void) {
	errno = 4711;
	free(kept(NULL));
	MUST(errno == 4711);
}

/* Both ways out of free: to a bin, and by munmap. */
static void free_keeps_errno(void) {
	void *small = kept(malloc(100)), *mapped = kept(malloc(1 << 20));
	errno = 4711;
	free(small);
	MUST(errno == 4711);
	free(mapped);
	MUST(errno == 4711);
}

static void malloc_keeps_errno(void) {
	errno = 4711;
	void *p = kept(malloc(100));
	MUST(errno == 4711);
	free(p);
}

static void malloc_fails(void) {
	errno = 0;
	MUST(kept(malloc(huge)) == NULL && errno == ENOMEM);
}

static void calloc_fails(void) {
	errno = 0;
	MUST(kept(calloc(1, huge)) == NULL && errno == ENOMEM);
}

static void calloc_overflows(void) {
	errno = 0;
	MUST(kept(calloc(huge, 4)) == NULL && errno == ENOMEM);
}

static void calloc_zeroes(void) {
	unsigned char *p = kept(malloc(5000));
	memset(p, 0xff, 5000);
	free(p);
	p = kept(calloc(50, 100));
	for (int i = 0; i < 5000; i++)
		MUST(p[i] == 0);
	free(p);
}

static void realloc_null(void) {
	free(kept(realloc(kept(NULL), 100)));
}

static void realloc_zero(void) {
	MUST(kept(realloc(kept(malloc(100)), zero)) == NULL);
}

static void realloc_null_zero(void) {
	void *p = kept(realloc(kept(NULL), zero));
	MUST(p != NULL);
	free(p);
}

static void realloc_in_place(void) {
	void *p = kept(malloc(100));
	uintptr_t before = (uintptr_t)p;
	p = kept(realloc(p, 101));
	MUST((uintptr_t)p == before);
	free(p);
}

static void realloc_moves(void) {
	char *p = kept(malloc(100)), *wall = kept(malloc(100));
	memcpy(p, "contents", 9);
	uintptr_t before = (uintptr_t)p;
	p = kept(realloc(p, 100000));
	MUST((uintptr_t)p != before && is(p, "contents"));
	free(p);
	free(wall);
}

static void realloc_fails(void) {
	char *p = kept(malloc(100));
	memcpy(p, "contents", 9);
	errno = 0;
	MUST(kept(realloc(p, huge)) == NULL && errno == ENOMEM && is(p, "contents"));
	free(p);
}

static void reallocarray_overflows(void) {
	void *p = kept(malloc(100)), *same = p;
	KEEP(same);
	errno = 0;
	MUST(kept(reallocarray(p, huge, 4)) == NULL && errno == ENOMEM);
	free(same);
}

static void reallocarray_grows(void) {
	free(kept(reallocarray(kept(malloc(100)), 30, 10)));
}

static void posix_memalign_takes(void) {
	void *p = NULL;
	errno = 4711;
	MUST(posix_memalign(&p, 128, 100) == 0 && (uintptr_t)p % 128 == 0 &&
			errno == 4711);
	free(kept(p));
}

static void posix_memalign_refuses(void) {
	void *p = &p;
	errno = 4711;
	MUST(posix_memalign(&p, 24, 100) == EINVAL && p == &p && errno == 4711);
	MUST(posix_memalign(&p, 2, 100) == EINVAL && p == &p && errno == 4711);
}

static void posix_memalign_fails(void) {
	void *p = &p;
	MUST(posix_memalign(&p, 64, huge) == ENOMEM && p == &p);
}

static void aligned_alloc_takes(void) {
	void *p = kept(aligned_alloc(1024, 2048));
	MUST((uintptr_t)p % 1024 == 0);
	free(p);
}

static void aligned_alloc_fails(void) {
	errno = 0;
	MUST(kept(aligned_alloc(64, huge)) == NULL && errno == ENOMEM);
}

static void memalign_takes(void) {
	void *p = kept(memalign(512, 10));
	MUST((uintptr_t)p % 512 == 0);
	free(p);
}

static void valloc_takes(void) {
	void *p = kept(valloc(10));
	MUST((uintptr_t)p % 4096 == 0);
	free(p);
}

static void pvalloc_takes(void) {
	void *p = kept(pvalloc(10));
	MUST((uintptr_t)p % 4096 == 0 && malloc_usable_size(p) >= 4096);
	free(p);
}

/* Of an allocator without it, libc's: nobody could take that back. */
static void pvalloc_keeps(void) {
	for (int i = 0; i < 100; i++) {
		char *p = kept(pvalloc(5000));
		memset(p, 1, 5000);
	}
}

static void strdup_once(void) {
	free(kept(strdup("nine byte")));
}

static void free_sized(void) {
	void (*sized)(void *, size_t);
	void (*aligned)(void *, size_t, size_t);
	*(void **)&sized = dlsym(RTLD_DEFAULT, "free_sized");
	*(void **)&aligned = dlsym(RTLD_DEFAULT, "free_aligned_sized");
	MUST(sized != NULL && aligned != NULL);
	sized(kept(malloc(100)), 100);
	aligned(kept(aligned_alloc(64, 128)), 64, 128);
	sized(NULL, 0);
	aligned(NULL, 64, 0);
}

static void keep(void) {
	kept(malloc(1000));
}

#define CASE(name) \
	{ #name, name }
static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	CASE(nothing),
	CASE(malloc_free),
	CASE(malloc_zero),
	CASE(free_null),
	CASE(free_keeps_errno),
	CASE(malloc_keeps_errno),
	CASE(malloc_fails),
	CASE(calloc_fails),
	CASE(calloc_overflows),
	CASE(calloc_zeroes),
	CASE(realloc_null),
	CASE(realloc_zero),
	CASE(realloc_null_zero),
	CASE(realloc_in_place),
	CASE(realloc_moves),
	CASE(realloc_fails),
	CASE(reallocarray_overflows),
	CASE(reallocarray_grows),
	CASE(posix_memalign_takes),
	CASE(posix_memalign_refuses),
	CASE(posix_memalign_fails),
	CASE(aligned_alloc_takes),
	CASE(aligned_alloc_fails),
	CASE(memalign_takes),
	CASE(valloc_takes),
	CASE(pvalloc_takes),
	CASE(pvalloc_keeps),
	CASE(strdup_once),
	CASE(free_sized),
	CASE(keep),
};

int main(int argc, char **argv) {
	end_some_day();
	for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof *cases; i++) {
		if (is(argv[1], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	}
	return 2;
}
