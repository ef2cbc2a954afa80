/* SPDX-License-Identifier: MIT */
#include "preload/real.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/base/kernel.h"
#include "preload/control.h"
#include "preload/host_errno.h"
#include "preload/loader.h"
#include "preload/quiet.h"

struct shim_libc shim_libc;

/* Set once the table is whole. Release: pairs with the acquire in shim_real_resolve. */
static _Atomic int resolved;

/* A void function returns the call of a void function here, which C17 leaves to taste. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

/* What stands in for a function that nobody behind us has: no memory, or a failure. */
#define ABSENT_OF(value, result, name, parameters) \
	static result absent_##name parameters {   \
		errno = ENOSYS;                    \
		return (result)(value);            \
	}
#define ABSENT(group, result, name, parameters, arguments) \
	ABSENT_OF(-1, result, name, parameters)
#define FALLBACK_MALLOC(group, result, name, parameters, arguments) \
	ABSENT_OF(0, result, name, parameters)
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

/* A child may return from the call, on a stack of its own: not through a frame of a stub. */
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
	shim_real_resolve(); /* so that there is an errno */
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

/* In libc itself, at the places where it has been; nobody else's of that name. */
static void resolve_libc(void) {
	static const char *const files[] = { "libc.so.6", "libpthread.so.0",
		"libdl.so.2" };
	enum { FILES = sizeof(files) / sizeof(files[0]) };
	const void *objects[FILES];
	static const struct {
		const char *name;
		size_t offset;
	} functions[] = {
		{ "__errno_location", offsetof(struct shim_libc, errno_location) },
		{ "getauxval", offsetof(struct shim_libc, getauxval) },
		{ "dlopen", offsetof(struct shim_libc, dlopen) },
		{ "pthread_create", offsetof(struct shim_libc, pthread_create) },
		{ "pthread_key_create", offsetof(struct shim_libc, pthread_key_create) },
		{ "pthread_setspecific",
				offsetof(struct shim_libc, pthread_setspecific) },
		{ "pthread_setcancelstate",
				offsetof(struct shim_libc, pthread_setcancelstate) },
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
		{ "clock_gettime", offsetof(struct shim_libc, clock_gettime) },
		{ "gnu_get_libc_version",
				offsetof(struct shim_libc, gnu_get_libc_version) },
	};
	for (size_t file = 0; file < FILES; file++) {
		objects[file] = shim_loader_object(files[file]);
	}
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *found = NULL;
		for (size_t file = 0; file < FILES && found == NULL; file++) {
			found = shim_loader_in(objects[file], functions[i].name).address;
		}
		memcpy((char *)&shim_libc + functions[i].offset, &found, sizeof(found));
	}
	if (shim_libc.errno_location == NULL) { /* a libc of another name has it, too */
		void *found = shim_loader_next("__errno_location").address;
		memcpy(&shim_libc.errno_location, &found, sizeof(found));
	}
}

static bool has_runtime(void) {
#if defined(__SANITIZE_THREAD__)
	return false; /* our own tests, built with it: there it sees all that we do */
#endif
	return shim_loader_first("__tsan_init").address != NULL ||
			shim_loader_first("__msan_init").address != NULL ||
			shim_loader_first("__lsan_init").address != NULL;
}

/*
 * What hands out and lies ahead of the allocator passes on to it, or the program would not live
 * without us. What takes back may lie ahead, for blocks of its own, or be libc's behind an object
 * that only passes malloc and free on.
 */
static void resolve_relatives(void) {
	const void *allocator = shim_loader_next("free").object;
	const void *libc = shim_loader_object("libc.so.6");
	struct shim_symbol sized = shim_loader_next("free_sized");
	struct shim_symbol aligned = shim_loader_next("free_aligned_sized");
	uint32_t foreign = 0;
#define SHIM_RELATIVE(name)                                                          \
	foreign |= (shim_loader_is_behind(shim_loader_next(#name).object, allocator) \
						   ? 1U                              \
						   : 0U)                             \
			<< SHIM_RELATIVE_##name;
	SHIM_RELATIVES(SHIM_RELATIVE)
#undef SHIM_RELATIVE
	shim_real.foreign = foreign;
	shim_real.sized_is_foreign = sized.object != allocator && sized.object != libc;
	shim_real.aligned_sized_is_foreign =
			aligned.object != allocator && aligned.object != libc;
	memcpy(&shim_real.free_sized, &sized.address, sizeof(sized.address));
	memcpy(&shim_real.free_aligned_sized, &aligned.address, sizeof(aligned.address));
}

void shim_real_resolve(void) {
	/* acquire: pairs with the release below; the table is whole */
	if (atomic_load_explicit(&resolved, memory_order_acquire)) {
		return;
	}
	shim_mute(); /* the resolver of an indirect function may allocate */
	shim_loader_init();
#define RESOLVE_NOW(name)                                               \
	do {                                                            \
		void *found = shim_loader_next(#name).address;          \
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
	resolve_relatives();
	resolve_libc();
	shim_real.is_stranger = shim_libc.gnu_get_libc_version == NULL || has_runtime();
	shim_unmute();
	/* release: pairs with the acquire above */
	atomic_store_explicit(&resolved, 1, memory_order_release);
}

/*
 * A C++ runtime that came with a plug-in is in nobody's global scope: the plug-in's calls still
 * bind to our hooks, which are. libc itself is asked for it, whoever else has a dlopen, for the
 * list of late objects may change while it is read; the handle stays, as its code is in use.
 * To look for an object by its name may open files.
 */
static const void *open_runtime(void) {
	static const char *const runtimes[] = { "libstdc++.so.6", "libc++.so.1" };
	const void *found = NULL;
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]) && found == NULL;
			i++) {
		if (shim_libc.dlopen != NULL && !shim_quiet()) {
			/* glibc's handle is the entry in the list: <link.h>, struct link_map */
			found = shim_libc.dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD);
		}
	}
	return found;
}

static struct shim_symbol find_operator(const char *name, const void *runtime) {
	struct shim_symbol found = shim_loader_next(name);
	return found.address != NULL || runtime == NULL ? found
							: shim_loader_in(runtime, name);
}

static void resolve_operators(void) {
	shim_real_resolve();
	shim_mute();
	const void *allocator = shim_loader_next("malloc").object;
	const void *runtime =
			shim_loader_next("_Znwm").address == NULL ? open_runtime() : NULL;
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
#define LATE_OPERATOR(name)                                                     \
	if (allocator != NULL && shim_loader_next(#name).object == allocator) { \
		counted |= 1U << SHIM_OPERATOR_##name;                          \
	}
#include "preload/hooks.def"
#undef LATE_OPERATOR
	shim_real.operators_counted = counted;
	void *found;
#define SHIM_HOOK(group, result, name, parameters, arguments) LATE_##group(name)
#define LATE_OPERATOR(name)                                     \
	found = find_operator(#name, runtime).address;          \
	if (found != NULL) {                                    \
		memcpy(&shim_real.name, &found, sizeof(found)); \
	} else {                                                \
		shim_real.name = absent_##name;                 \
	}
#include "preload/hooks.def"
	shim_unmute();
}

/* The last one is std::terminate, of any C++ runtime. */
void shim_real_resolve_operators(void) {
	if (shim_real._Znwm == resolve__Znwm &&
			shim_loader_first("_ZSt9terminatev").address != NULL) {
		resolve_operators();
	}
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
static const char *allocator_name(const char *path) {
	static const char *const names[] = { "jemalloc", "tcmalloc", "mimalloc" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strstr(path, names[i]) != NULL) {
			return names[i];
		}
	}
	return "other";
}

void shim_real_prove(const char **allocator) {
	shim_real_resolve();
	const void *object = shim_loader_next("free").object;
	struct shim_symbol usable = shim_loader_next("malloc_usable_size");
	/* glibc's checking allocator ends the program when it is asked about a damaged block */
	bool one_object = object != NULL && usable.object == object &&
			shim_loader_next("malloc").object == object &&
			strstr(shim_loader_path(object), "malloc_debug") == NULL;
	shim_real.is_glibc = one_object && shim_libc.gnu_get_libc_version != NULL &&
			shim_loader_object("libc.so.6") == object;
	if (one_object) {
		memcpy(&shim_real.malloc_usable_size, &usable.address,
				sizeof(usable.address));
	}
	if (one_object && !shim_real.is_glibc) {
		/*
		 * tcmalloc's makes an object with operator new the first time: before we ask for
		 * sizes ourselves, or that operator's hook would ask again.
		 */
		int saved = errno;
		shim_mute();
		void *p = shim_real.malloc(1);
		(void)shim_real.malloc_usable_size(p);
		shim_real.free(p);
		shim_unmute();
		errno = saved;
	}
	/* relaxed: one thread starts counting */
	atomic_store_explicit(&shim_real.usable,
			one_object ? SHIM_USABLE_FUNCTION : SHIM_USABLE_NONE,
			memory_order_relaxed);
	atomic_store_explicit(&shim_real.is_comparing, shim_real.is_glibc,
			memory_order_relaxed);
	*allocator = shim_real.is_glibc ? "glibc"
					: allocator_name(shim_loader_path(object));
}

uint32_t shim_real_active(void) {
	static const char *const names[SHIM_HOOK_COUNT] = {
		[SHIM_HOOK_MALLOC] = "malloc",
		[SHIM_HOOK_OPERATOR_NEW] = "_Znwm",
		[SHIM_HOOK_PTHREAD_CREATE] = "pthread_create",
	};
	uint32_t active = 0;
	const void *ours = shim_loader_self();
	for (unsigned i = 0; i < SHIM_HOOK_COUNT; i++) {
		active |= (shim_loader_first(names[i]).object == ours ? 1U : 0U) << i;
	}
	return active;
}
