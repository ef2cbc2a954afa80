/* SPDX-License-Identifier: MIT */

/*
 * C++ new and delete, counted once.
 *
 * libstdc++'s and libc++'s operators come to malloc and free, where they are counted: the
 * hooks here only forward. An allocator that brings operators of its own (jemalloc,
 * tcmalloc, mimalloc behind us) serves most of them inside, past our malloc, but some by
 * calling malloc or free by name: so the operator's hook counts what nobody counted on the
 * way. (A signal handler that allocates just then hides one such event.)
 * Exceptions pass through these frames (-fexceptions), so no state is held across a call.
 */

#include "preload/bootstrap.h"
#include "preload/record.h"

/* Asked after the call where that is possible: the first one resolves the operators. */
#define COUNTS(name) \
	SHIM_UNLIKELY((shim_real.operators_counted & (1U << SHIM_OPERATOR_##name)) != 0)

#define HOOK_MALLOC(result, name, parameters, arguments)
#define HOOK_THREAD(result, name, parameters, arguments)
#define HOOK_IDENTITY(result, name, parameters, arguments)
#define HOOK_RIGHTS(result, name, parameters, arguments)
#define HOOK_FILTER(result, name, parameters, arguments)
#define HOOK_COPY(result, name, parameters, arguments)
#define HOOK_NAMESPACE(result, name, parameters, arguments)
#define HOOK_NEW(result, name, parameters, arguments)            \
	SHIM_EXPORT result name parameters;                      \
	result name parameters {                                 \
		uint32_t before = shim_tls.events;               \
		void *block = shim_real.name arguments;          \
		if (COUNTS(name) && shim_tls.events == before) { \
			shim_record_allocation(block, size);     \
		}                                                \
		return block;                                    \
	}
#define HOOK_NEW_ALIGNED HOOK_NEW
#define HOOK_DELETE(result, name, parameters, arguments)   \
	SHIM_EXPORT result name parameters;                \
	result name parameters {                           \
		bool counts = COUNTS(name) && p != NULL;   \
		struct shim_size size_before = { 0, 0 };   \
		if (counts) {                              \
			size_before = shim_record_size(p); \
		}                                          \
		uint32_t before = shim_tls.events;         \
		shim_real.name arguments;                  \
		if (counts && shim_tls.events == before) { \
			shim_record_freed(size_before);    \
		}                                          \
	}
#define SHIM_HOOK(group, result, name, parameters, arguments) \
	HOOK_##group(result, name, parameters, arguments)
#include "preload/hooks.def"
