/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_CONTROL_H
#define PRELOAD_CONTROL_H

/*
 * What the hooks of one thread need, in private memory that a fork wipes.
 *
 * The block that a thread counts in will lie in shared memory, which a fork leaves shared:
 * a child that went on adding there would break its parent's counters (design.md section 4
 * tells how much was lost when it was tried). So every hook reads its control first, and in
 * the child of a fork or a raw clone finds zeros there (MADV_WIPEONFORK): the slow path,
 * which gives the child a segment of its own. A vfork child shares the memory and is not
 * wiped: it counts for its parent, whose heap it uses.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/compiler.h"
#include "preload/layout.h"

struct shim_control {
	/*
	 * The slow path of malloc is due when block->allocated_bytes reaches this. Relaxed: a
	 * lone number. Writers: its thread; whoever stops our threads stores 0.
	 */
	_Atomic uint64_t next;
	struct shim_block *
			home; /* the thread's own, whether or not the fast path is open */
	struct shim_block *fast; /* what `block` is while the thread is not muted */
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	/*
	 * Where the fast path counts; NULL sends every event to the slow path: before the
	 * first event, after a fork, while muted, and as long as the allocator behind the hooks
	 * is not proved to be one whose chunk header can be read in line. Writer: its thread.
	 */
	struct shim_block *block;
	/*
	 * Who counts here: 0 nobody yet, a tid, or a tid with SHIM_OWNER_ENDING once its last
	 * TSD destructor ran. Claimed by CAS (acquire: pairs with the release that marks the
	 * end, so the heir sees the block as its predecessor left it).
	 */
	_Atomic uint32_t owner;
	uint32_t rounds; /* TSD rounds seen */
	bool hooked; /* started through a hook, or the first thread */
	bool started; /* its start was counted, so its end will be */
	uint64_t stack_bytes;
};

#define SHIM_OWNER_ENDING 0x80000000U

/*
 * All of our TLS. `current` is NULL until the thread's first event. `muted` counts the
 * calls of ours on this thread's stack during which allocations are served from bootstrap
 * memory and not counted; `creating` the pthread_create calls during which no thread of
 * ours may be started. `events` tells the hook of a C++ operator whether one of malloc's came
 * by on the way.
 */
struct shim_tls {
	struct shim_control *current;
	uint32_t muted;
	uint32_t creating;
	uint32_t events; /* counted out of line; wraps */
};

extern SHIM_TLS struct shim_tls shim_tls __attribute__((visibility("hidden")));

/*
 * From here to shim_unmute what this thread makes libc allocate is ours: served from
 * bootstrap memory and not counted. Calls nest.
 */
static inline void shim_mute(void) {
	if (shim_tls.muted++ == 0 && shim_tls.current != NULL) {
		shim_tls.current->block = NULL; /* the fast path does not ask */
	}
}

static inline void shim_unmute(void) {
	if (--shim_tls.muted == 0 && shim_tls.current != NULL) {
		shim_tls.current->block = shim_tls.current->fast;
	}
}

/*
 * A library's IFUNC resolver may call malloc before the loader has relocated this object:
 * the TLS offset in our GOT is still 0, so `current` reads the thread pointer's own first
 * word, which points to itself, and `block` the field `sysinfo` of that structure, which is
 * always 0 on x86-64. So such a call takes the slow path, finds the thread muted (the low
 * half of `dtv`) and is served from bootstrap memory, which needs no relocation.
 * Source: glibc sysdeps/x86_64/nptl/tls.h, tcbhead_t
 */
#if defined(__x86_64__)
enum { SHIM_TCB_SYSINFO = 0x20, SHIM_TCB_DTV = 8 };
_Static_assert(offsetof(struct shim_control, block) == SHIM_TCB_SYSINFO, "see above");
_Static_assert(offsetof(struct shim_tls, current) == 0, "see above");
_Static_assert(offsetof(struct shim_tls, muted) == SHIM_TCB_DTV, "see above");
#endif

_Static_assert(sizeof(struct shim_tls) <= 64, "static TLS is scarce: at most 64 bytes");
_Static_assert(sizeof(struct shim_control) <= 64, "a control is one cache line");

/*
 * Adds to a cell of the thread's own block. One instruction on x86-64, so that a signal
 * handler which mallocs between load and store loses nothing, and without `lock`: there is
 * one writer. Elsewhere load, add, store; release, so that a reader who sees a free sees the
 * allocation before it.
 */
static inline void shim_cell_add(_Atomic uint64_t *cell, uint64_t amount) {
#if defined(__x86_64__)
	__asm__("addq %1, %0" : "+m"(*(uint64_t *)cell) : "er"(amount) : "cc");
#else
	/* relaxed: only this thread writes; release: pairs with the fence in prom_snapshot_read */
	uint64_t value = atomic_load_explicit(cell, memory_order_relaxed);
	atomic_store_explicit(cell, value + amount, memory_order_release);
#endif
}

#endif
