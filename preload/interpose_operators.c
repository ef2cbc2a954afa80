/* SPDX-License-Identifier: MIT */

/*
 * C++ new and delete, counted once.
 *
 * libstdc++'s and libc++'s operators come to malloc and free, where they are counted: the
 * hooks here only forward. An allocator that brings operators of its own (jemalloc,
 * tcmalloc, mimalloc behind us) never calls our malloc: then the operator's hook counts.
 * Exceptions pass through these frames (-fexceptions), so no state is held across a call.
 */

#include "preload/bootstrap.h"
#include "preload/record.h"

/* Asked after the call: the first one resolves the operators. */
#define COUNTS(name) \
	SHIM_UNLIKELY((shim_real.operators_counted & (1U << SHIM_OPERATOR_##name)) != 0)

#define HOOK_MALLOC(result, name, parameters, arguments)
#define HOOK_THREAD(result, name, parameters, arguments)
#define HOOK_NEW(result, name, parameters, arguments)        \
	SHIM_EXPORT result name parameters;                  \
	result name parameters {                             \
		void *block = shim_real.name arguments;      \
		if (COUNTS(name)) {                          \
			shim_record_allocation(block, size); \
		}                                            \
		return block;                                \
	}
#define HOOK_NEW_ALIGNED HOOK_NEW
#define HOOK_DELETE(result, name, parameters, arguments) \
	SHIM_EXPORT result name parameters;              \
	result name parameters {                         \
		if (COUNTS(name) && p != NULL) {         \
			shim_record_free(p);             \
		}                                        \
		shim_real.name arguments;                \
	}
#define SHIM_HOOK(group, result, name, parameters, arguments) \
	HOOK_##group(result, name, parameters, arguments)
#include "preload/hooks.def"
