/* SPDX-License-Identifier: MIT */
/*
 * The cheapest interposition there is: malloc and its kin through a pointer, nothing else.
 * What the shim costs beyond this is what counting costs.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

void *malloc(size_t size);
void free(void *block);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);

static void resolve(void);

static void *first_malloc(size_t size) {
	resolve();
	return malloc(size);
}

static void first_free(void *block) {
	resolve();
	free(block);
}

static void *first_calloc(size_t count, size_t size) {
	resolve();
	return calloc(count, size);
}

static void *first_realloc(void *block, size_t size) {
	resolve();
	return realloc(block, size);
}

static void *(*next_malloc)(size_t) = first_malloc;
static void (*next_free)(void *) = first_free;
static void *(*next_calloc)(size_t, size_t) = first_calloc;
static void *(*next_realloc)(void *, size_t) = first_realloc;

/* dlsym of a name that is there allocates nothing. */
static void resolve(void) {
	next_malloc = (void *(*)(size_t))(uintptr_t)dlsym(RTLD_NEXT, "malloc");
	next_free = (void (*)(void *))(uintptr_t)dlsym(RTLD_NEXT, "free");
	next_calloc = (void *(*)(size_t, size_t))(uintptr_t)dlsym(RTLD_NEXT, "calloc");
	next_realloc = (void *(*)(void *, size_t))(uintptr_t)dlsym(RTLD_NEXT, "realloc");
}

__attribute__((visibility("default"))) void *malloc(size_t size) {
	return next_malloc(size);
}

__attribute__((visibility("default"))) void free(void *block) {
	next_free(block);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size) {
	return next_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *block, size_t size) {
	return next_realloc(block, size);
}
