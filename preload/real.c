/* SPDX-License-Identifier: MIT */
#include "preload/real.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/base/kernel.h"
#include "preload/control.h"
#include "preload/loader.h"
#include "preload/quiet.h"

struct shim_libc shim_libc;

/* Set once the table is whole. Release: pairs with the acquire in shim_real_resolve. */
static _Atomic int resolved;

/* A void function returns the call of a void function here, which C17 leaves to taste. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

/* What stands in for a function that nobody behind us has. */
#define ABSENT(group, result, name, parameters, arguments) \
	static result absent_##name parameters {           \
		errno = ENOSYS;                            \
		return (result)0;                          \
	}
#define FALLBACK_MALLOC    ABSENT
#define FALLBACK_THREAD    ABSENT
#define FALLBACK_IDENTITY  ABSENT
#define FALLBACK_RIGHTS    ABSENT
#define FALLBACK_FILTER    ABSENT
#define FALLBACK_COPY      ABSENT
#define FALLBACK_NAMESPACE ABSENT
/*
 * Without a C++ runtime behind us nobody can throw: a failing new yields NULL. It is our own
 * hooks that are called, so blocks are counted.
 */
#define FALLBACK_NEW(group, result, name, parameters, arguments) \
	static result absent_##name parameters {                 \
		return malloc(size);                             \
	}
#define FALLBACK_NEW_ALIGNED(group, result, name, parameters, arguments) \
	static result absent_##name parameters {                         \
		return aligned_alloc(alignment, size);                   \
	}
#define FALLBACK_DELETE(group, result, name, parameters, arguments) \
	static result absent_##name parameters {                    \
		free(p);                                            \
	}
#define SHIM_HOOK(group, result, name, parameters, arguments) \
	FALLBACK_##group(group, result, name, parameters, arguments)
#include "preload/hooks.def"

static void resolve_operators(void);

#define RESOLVE_MALLOC      shim_real_resolve
#define RESOLVE_THREAD      shim_real_resolve
#define RESOLVE_IDENTITY    shim_real_resolve
#define RESOLVE_RIGHTS      shim_real_resolve
#define RESOLVE_FILTER      shim_real_resolve
#define RESOLVE_COPY        shim_real_resolve
#define RESOLVE_NAMESPACE   shim_real_resolve
#define RESOLVE_NEW         resolve_operators
#define RESOLVE_NEW_ALIGNED resolve_operators
#define RESOLVE_DELETE      resolve_operators
#define SHIM_HOOK(group, result, name, parameters, arguments) \
	static result resolve_##name parameters {             \
		RESOLVE_##group();                            \
		return shim_real.name arguments;              \
	}
#include "preload/hooks.def"
#pragma GCC diagnostic pop

/*
 * Allocators make system calls by number while they start, before us or behind us: the loader
 * must not be asked then.
 */
#if defined(__x86_64__)
/* clang-format off */
__attribute__((naked)) static long call_early(long number, long a, long b, long c, long d,
		long e, long f) {
	__asm__("mov %rdi, %rax\n\t"
		"mov %rsi, %rdi\n\t"
		"mov %rdx, %rsi\n\t"
		"mov %rcx, %rdx\n\t"
		"mov %r8, %r10\n\t"
		"mov %r9, %r8\n\t"
		"mov 8(%rsp), %r9\n\t"
		"syscall\n\t"
		"cmp $-4095, %rax\n\t"
		"jb 1f\n\t"
		"mov %rax, %rdi\n\t"
		"jmp shim_real_set_errno\n\t"
		"1: ret");
}
/* clang-format on */

__attribute__((used, visibility("hidden"))) long shim_real_set_errno(long answer);
long shim_real_set_errno(long answer) {
	errno = (int)-answer;
	return -1;
}
#else
#	define call_early resolve_syscall
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init" /* one of the list is better off */
struct shim_real shim_real = {
#define SHIM_HOOK(group, result, name, parameters, arguments) .name = resolve_##name,
#include "preload/hooks.def"
	.syscall = call_early,
};
#pragma GCC diagnostic pop

static void resolve_libc(void) {
	static const struct {
		const char *name;
		size_t offset;
	} functions[] = {
		{ "pthread_key_create", offsetof(struct shim_libc, pthread_key_create) },
		{ "pthread_setspecific",
				offsetof(struct shim_libc, pthread_setspecific) },
		{ "pthread_join", offsetof(struct shim_libc, pthread_join) },
		{ "pthread_tryjoin_np", offsetof(struct shim_libc, pthread_tryjoin_np) },
		{ "pthread_timedjoin_np",
				offsetof(struct shim_libc, pthread_timedjoin_np) },
		{ "__pthread_get_minstack", offsetof(struct shim_libc, minstack) },
		{ "pthread_attr_init", offsetof(struct shim_libc, pthread_attr_init) },
		{ "pthread_attr_destroy",
				offsetof(struct shim_libc, pthread_attr_destroy) },
		{ "pthread_attr_setstack",
				offsetof(struct shim_libc, pthread_attr_setstack) },
		{ "pthread_attr_getstacksize",
				offsetof(struct shim_libc, pthread_attr_getstacksize) },
		{ "__register_atfork", offsetof(struct shim_libc, register_atfork) },
		{ "mallinfo2", offsetof(struct shim_libc, mallinfo2) },
		{ "gnu_get_libc_version",
				offsetof(struct shim_libc, gnu_get_libc_version) },
	};
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *found = shim_loader_next(functions[i].name);
		memcpy((char *)&shim_libc + functions[i].offset, &found, sizeof(found));
	}
}

/*
 * Weak and never looked up: a lookup that fails allocates, which in an allocator that stands
 * before us is recursion. The last one is std::terminate, of any C++ runtime.
 */
extern char __tsan_init[]
		__attribute__((weak)); // NOLINT(bugprone-reserved-identifier): its name
extern char __msan_init[]
		__attribute__((weak)); // NOLINT(bugprone-reserved-identifier): its name
extern char _ZSt9terminatev[]
		__attribute__((weak)); // NOLINT(bugprone-reserved-identifier): its name

static bool has_runtime(void) {
#if defined(__SANITIZE_THREAD__)
	return false; /* our own tests, built with it: there it sees all that we do */
#endif
	return __tsan_init != NULL || __msan_init != NULL;
}

void shim_real_resolve(void) {
	/* acquire: pairs with the release below; the table is whole */
	if (atomic_load_explicit(&resolved, memory_order_acquire)) {
		return;
	}
	int saved = errno;
	shim_mute();
	shim_loader_init();
	/* free and realloc first: what is found is called at once by other threads */
#define RESOLVE_NOW(name)                                               \
	do {                                                            \
		void *found = shim_loader_next(#name);                  \
		if (found != NULL) {                                    \
			memcpy(&shim_real.name, &found, sizeof(found)); \
		} else {                                                \
			shim_real.name = absent_##name;                 \
		}                                                       \
	} while (0);
#define RESOLVE_GROUP_MALLOC(name)    RESOLVE_NOW(name)
#define RESOLVE_GROUP_THREAD(name)    RESOLVE_NOW(name)
#define RESOLVE_GROUP_IDENTITY(name)  RESOLVE_NOW(name)
#define RESOLVE_GROUP_RIGHTS(name)    RESOLVE_NOW(name)
#define RESOLVE_GROUP_FILTER(name)    RESOLVE_NOW(name)
#define RESOLVE_GROUP_COPY(name)      RESOLVE_NOW(name)
#define RESOLVE_GROUP_NAMESPACE(name) RESOLVE_NOW(name)
#define RESOLVE_GROUP_NEW(name)
#define RESOLVE_GROUP_NEW_ALIGNED(name)
#define RESOLVE_GROUP_DELETE(name)
#define SHIM_HOOK(group, result, name, parameters, arguments) RESOLVE_GROUP_##group(name)
#include "preload/hooks.def"
	resolve_libc();
	shim_real.is_stranger = shim_libc.gnu_get_libc_version == NULL || has_runtime();
	shim_loader_forget_errors();
	shim_unmute();
	errno = saved;
	/* release: pairs with the acquire above */
	atomic_store_explicit(&resolved, 1, memory_order_release);
}

/* A function's address as data, without telling the compiler two types alias. */
static void *address(const void *slot) {
	void *p;
	memcpy(&p, slot, sizeof(p));
	return p;
}

/*
 * A C++ runtime that came with RTLD_LOCAL is in nobody's global scope: the plug-in's calls
 * still bind to our hooks, which are, and RTLD_NEXT does not see what lies behind them.
 */
static void *find_in_runtimes(const char *name) {
	static const char *const runtimes[] = { "libstdc++.so.6", "libc++.so.1" };
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		void *found = shim_loader_find_in(runtimes[i], name);
		if (found != NULL) {
			return found; /* the handle stays: its code is in use */
		}
	}
	return NULL;
}

static void *find_operator(const char *name) {
	void *found = shim_loader_next(name);
	/* to look for an object by its name may open files */
	return found != NULL || shim_quiet() ? found : find_in_runtimes(name);
}

static void resolve_operators(void) {
	shim_real_resolve();
	int saved = errno;
	shim_mute();
	void *allocator = shim_loader_object_of(address(&shim_real.malloc));
	/*
	 * In two passes: what counts is known before any operator can be reached, and the
	 * word is stored once, for another thread may be resolving too.
	 */
	uint32_t counted = 0;
#define LATE_MALLOC(name)
#define LATE_THREAD(name)
#define LATE_IDENTITY(name)
#define LATE_RIGHTS(name)
#define LATE_FILTER(name)
#define LATE_COPY(name)
#define LATE_NAMESPACE(name)
#define LATE_NEW(name)                                        LATE_OPERATOR(name)
#define LATE_NEW_ALIGNED(name)                                LATE_OPERATOR(name)
#define LATE_DELETE(name)                                     LATE_OPERATOR(name)
#define SHIM_HOOK(group, result, name, parameters, arguments) LATE_##group(name)
#define LATE_OPERATOR(name)                                                         \
	if (allocator != NULL &&                                                    \
			shim_loader_object_of(find_operator(#name)) == allocator) { \
		counted |= 1U << SHIM_OPERATOR_##name;                              \
	}
#include "preload/hooks.def"
#undef LATE_OPERATOR
	shim_real.operators_counted = counted;
	void *found;
#define SHIM_HOOK(group, result, name, parameters, arguments) LATE_##group(name)
#define LATE_OPERATOR(name)                                     \
	found = find_operator(#name);                           \
	if (found != NULL) {                                    \
		memcpy(&shim_real.name, &found, sizeof(found)); \
	} else {                                                \
		shim_real.name = absent_##name;                 \
	}
#include "preload/hooks.def"
	shim_loader_forget_errors();
	shim_unmute();
	errno = saved;
}

void shim_real_resolve_operators(void) {
	if (_ZSt9terminatev != NULL && shim_real._Znwm == resolve__Znwm) {
		resolve_operators();
	}
}

void shim_real_find_clock(void) {
	int saved = errno;
	shim_mute();
	void *found = shim_loader_find_in("libc.so.6", "clock_gettime");
	if (found != NULL) {
		memcpy(&shim_libc.clock_gettime, &found, sizeof(found));
	}
	shim_loader_forget_errors();
	shim_unmute();
	errno = saved;
}

enum shim_usable shim_real_usable(void) {
	return (enum shim_usable)atomic_load_explicit(&shim_real.usable,
			memory_order_relaxed);
}

void shim_real_compare(size_t from_header, size_t from_function) {
	enum { ENOUGH = 64 };
	/* Writers: any thread. Relaxed: a count that publishes nothing. */
	static _Atomic unsigned alike;
	if (from_header != from_function) {
		atomic_store_explicit(&shim_real.is_comparing, false,
				memory_order_relaxed);
	} else if (atomic_fetch_add_explicit(&alike, 1, memory_order_relaxed) + 1 ==
			ENOUGH) {
		atomic_store_explicit(&shim_real.is_comparing, false,
				memory_order_relaxed);
		atomic_store_explicit(&shim_real.usable, SHIM_USABLE_HEADER,
				memory_order_relaxed);
	}
}

/* Names the allocator by the file it lies in. */
static const char *allocator_name(const void *p) {
	static const char *const names[] = { "jemalloc", "tcmalloc", "mimalloc" };
	const char *file = shim_loader_file_of(p);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strstr(file, names[i]) != NULL) {
			return names[i];
		}
	}
	return "other";
}

void shim_real_prove(const char **allocator) {
	int saved = errno;
	shim_real_resolve();
	shim_mute();
	void *object = shim_loader_object_of(address(&shim_real.free));
	void *usable = shim_loader_next("malloc_usable_size");
	bool one_object = object != NULL && shim_loader_object_of(usable) == object &&
			shim_loader_object_of(address(&shim_real.malloc)) == object;
	shim_real.is_glibc = one_object && shim_libc.gnu_get_libc_version != NULL &&
			shim_loader_object_of(address(&shim_libc.gnu_get_libc_version)) ==
					object;
	if (one_object) {
		memcpy(&shim_real.malloc_usable_size, &usable, sizeof(usable));
	}
	if (one_object && !shim_real.is_glibc) {
		/*
		 * tcmalloc's makes an object with operator new the first time: before we ask for
		 * sizes ourselves, or that operator's hook would ask again.
		 */
		void *p = shim_real.malloc(1);
		(void)shim_real.malloc_usable_size(p);
		shim_real.free(p);
	}
	/* relaxed: one thread starts counting */
	atomic_store_explicit(&shim_real.usable,
			one_object ? SHIM_USABLE_FUNCTION : SHIM_USABLE_NONE,
			memory_order_relaxed);
	atomic_store_explicit(&shim_real.is_comparing, shim_real.is_glibc,
			memory_order_relaxed);
	*allocator = shim_real.is_glibc ? "glibc"
					: allocator_name(address(&shim_real.free));
	shim_loader_forget_errors();
	shim_unmute();
	errno = saved;
}

uint32_t shim_real_active(uint32_t *known) {
	static const char *const names[SHIM_HOOK_COUNT] = {
		[SHIM_HOOK_MALLOC] = "malloc",
		[SHIM_HOOK_OPERATOR_NEW] = "_Znwm",
		[SHIM_HOOK_PTHREAD_CREATE] = "pthread_create",
	};
	uint32_t active = 0;
	*known = 0;
	if (!shim_loader_can_tell()) {
		return 0;
	}
	shim_mute();
	void *ours = shim_loader_object_of(&shim_real);
	for (unsigned i = 0; i < SHIM_HOOK_COUNT; i++) {
		*known |= 1U << i;
		active |= (shim_loader_object_of(shim_loader_first(names[i])) == ours
							  ? 1U
							  : 0U)
				<< i;
	}
	shim_loader_forget_errors();
	shim_unmute();
	return active;
}
