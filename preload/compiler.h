/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_COMPILER_H
#define PRELOAD_COMPILER_H

/* What the code asks of the compiler, by intention. */

#define SHIM_LIKELY(x)   __builtin_expect(!!(x), 1)
#define SHIM_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A hook: the only symbols that leave the object; promshim.map lists them again. */
#define SHIM_EXPORT __attribute__((visibility("default")))

/*
 * A hook on the per-event path: an own cache line to start on (placement alone moves the
 * cost of a pair by a tenth) and beside its like.
 */
#define SHIM_HOT SHIM_EXPORT __attribute__((hot, aligned(64)))

/* What hooks fall back to: out of line, so that the fast path saves no register for it. */
#define SHIM_COLD __attribute__((cold, noinline))

/*
 * The model is forced, not only asked for on the command line: general-dynamic would call
 * __tls_get_addr, which may call malloc.
 */
#define SHIM_TLS _Thread_local __attribute__((tls_model("initial-exec")))

#endif
