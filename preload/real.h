/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_REAL_H
#define PRELOAD_REAL_H

/*
 * The functions behind the hooks, the next ones in the order in which the program was loaded, and
 * what we need of libc itself, whoever else has functions of these names. Both are read from symbol
 * tables (loader.h): nobody is asked.
 *
 * Every pointer of the hooks is preset to a stub that resolves the table and calls on, so a
 * hook asks no "initialised yet?".
 */

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <threads.h>
#include <time.h>

#include "preload/layout.h"

/* How the usable size of a block is known. */
enum shim_usable {
	SHIM_USABLE_NONE, /* not at all: calls are counted, bytes are not */
	SHIM_USABLE_FUNCTION, /* malloc_usable_size of the object that has the next free */
	SHIM_USABLE_HEADER, /* glibc's chunk header, proved at start */
};

struct shim_real {
#define SHIM_HOOK(group, result, name, parameters, arguments) result(*name) parameters;
#include "preload/hooks.def"
	size_t (*malloc_usable_size)(
			void *p); /* NULL unless of the same object as free */
	/* Of C23; NULL where nobody behind us has them; foreign: for blocks of its own. */
	void (*free_sized)(void *p, size_t size);
	void (*free_aligned_sized)(void *p, size_t alignment, size_t size);
	bool sized_is_foreign, aligned_sized_is_foreign;
	/*
	 * Bit per enum shim_relative: it is of an object behind that of free. What such a
	 * function hands out is not the allocator's, which must not be asked about it.
	 */
	uint32_t foreign;
	/*
	 * enum shim_usable; may only become SHIM_USABLE_HEADER while events run. Relaxed: a
	 * lone state, and either way of asking is right at any time. Writer: who compares.
	 */
	_Atomic uint32_t usable;
	_Atomic bool is_comparing; /* glibc, and the header is not proved yet; as `usable` */
	bool is_glibc; /* the next malloc is glibc's */
	/*
	 * Another libc, or a runtime that must see every call before we do (ThreadSanitizer,
	 * MemorySanitizer, LeakSanitizer): nothing but forwarding is safe, not even a system call by libc.
	 */
	bool is_stranger;
	uint32_t operators_counted; /* bit per enum shim_operator: the hook itself counts */
};

/* Functions that an allocator may lack: then somebody else's come next, glibc's above all. */
#define SHIM_RELATIVES(X) \
	X(posix_memalign) X(aligned_alloc) X(memalign) X(valloc) X(pvalloc)
enum shim_relative {
#define SHIM_RELATIVE(name) SHIM_RELATIVE_##name,
	SHIM_RELATIVES(SHIM_RELATIVE)
#undef SHIM_RELATIVE
};

/* Bits of operators_counted: those whose next function is the allocator's own. */
enum shim_operator {
#define SHIM_HOOK(group, result, name, parameters, arguments) SHIM_OPERATOR_##group(name)
#define SHIM_OPERATOR_MALLOC(name)
#define SHIM_OPERATOR_THREAD(name)
#define SHIM_OPERATOR_IDENTITY(name)
#define SHIM_OPERATOR_RIGHTS(name)
#define SHIM_OPERATOR_FILTER(name)
#define SHIM_OPERATOR_COPY(name)
#define SHIM_OPERATOR_NAMESPACE(name)
#define SHIM_OPERATOR_NEW(name)         SHIM_OPERATOR_##name,
#define SHIM_OPERATOR_NEW_ALIGNED(name) SHIM_OPERATOR_##name,
#define SHIM_OPERATOR_DELETE(name)      SHIM_OPERATOR_##name,
#include "preload/hooks.def"
	SHIM_OPERATOR_COUNT
};

/* Written while resolving, else constant; read by every hook. */
extern struct shim_real shim_real __attribute__((visibility("hidden")));

/* The present way of knowing usable sizes. */
enum shim_usable shim_real_usable(void);

/* What we need of libc; each may be NULL. */
struct shim_libc {
	int *(*errno_location)(void); /* through preload/host_errno.h */
	unsigned long (*getauxval)(unsigned long type); /* through exporter/base/auxv.h */
	void *(*dlopen)(const char *file, int flags); /* of a late C++ runtime alone */
	int (*pthread_create)(pthread_t *thread, const pthread_attr_t *attr,
			void *(*start)(void *), void *arg);
	int (*pthread_setcancelstate)(int state, int *before);
	int (*pthread_key_create)(pthread_key_t *key, void (*destructor)(void *));
	int (*pthread_setspecific)(pthread_key_t key, const void *value);
	int (*pthread_join)(pthread_t thread, void **result);
	int (*pthread_tryjoin_np)(pthread_t thread, void **result);
	int (*pthread_timedjoin_np)(pthread_t thread, void **result,
			const struct timespec *at);
	size_t (*minstack)(const pthread_attr_t *attr); /* __pthread_get_minstack */
	int (*pthread_attr_init)(pthread_attr_t *attr);
	int (*pthread_attr_destroy)(pthread_attr_t *attr);
	int (*pthread_attr_setstack)(pthread_attr_t *attr, void *stack, size_t size);
	int (*pthread_attr_getstacksize)(const pthread_attr_t *attr, size_t *size);
	/* never another object's, and only under a filter: preload/clock.h */
	int (*clock_gettime)(clockid_t clock, struct timespec *out);
	const char *(*gnu_get_libc_version)(void);
	int (*register_atfork)(void (*prepare)(void), void (*parent)(void),
			void (*child)(void), const void *object);
};
extern struct shim_libc shim_libc __attribute__((visibility("hidden")));

/*
 * Resolves everything but the operators; later calls return at once.
 *
 * Calls    any thread, also before our constructor; the first event of the process ends up
 *          here. Two threads may resolve at once: they find the same.
 */
void shim_real_resolve(void);

/*
 * Resolves the operators now if a C++ runtime is among the objects of the start.
 *
 * Calls    constructor, and before a filter
 */
void shim_real_resolve_operators(void);

/*
 * Finds out which allocator serves the host, and how usable sizes are known.
 *
 * allocator  out: "glibc", "jemalloc", "tcmalloc", "mimalloc" or "other"; constant
 * Calls      the first event, once
 */
void shim_real_prove(const char **allocator);

/*
 * Takes one block's usable size, read both ways, while shim_real.is_comparing: 64 blocks of
 * the host on which both agree prove the header, one on which they do not ends the matter.
 * Blocks of our own would leave the host's heap in another state than it would have.
 *
 * Source  glibc malloc/malloc.c, "chunk": the size word; mmapped chunks are always asked
 *         about by the function, so their other overhead needs no proof
 */
void shim_real_compare(size_t from_header, size_t from_function);

/*
 * Tells which hooks the program's own calls reach: bits by enum shim_hook, found by asking
 * whose `malloc`, `_Znwm` and `pthread_create` come first in the global scope.
 */
uint32_t shim_real_active(void);

#endif
