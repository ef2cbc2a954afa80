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
#include <stdint.h>

#include "preload/compiler.h"
#include "preload/layout.h"

struct shim_control {
	/*
	 * Where the fast path counts; NULL sends every event to the slow path: before the
	 * first event, after a fork, and for good when the allocator behind the hooks is not
	 * one whose chunk header is read in line. Writer: its thread.
	 */
	struct shim_block *block;
	/*
	 * The slow path of malloc is due when block->allocated_bytes reaches this. Relaxed: a
	 * lone number. Writers: its thread; whoever stops our threads stores 0.
	 */
	_Atomic uint64_t next;
	struct shim_block *
			home; /* the thread's block, whether or not the fast path is open */
	/*
	 * Who counts here: 0 nobody yet, a tid, or a tid with SHIM_OWNER_ENDING once its last
	 * TSD destructor ran. Claimed by CAS (acquire: pairs with the release that marks the
	 * end, so the heir sees the block as its predecessor left it).
	 */
	_Atomic uint32_t owner;
	uint32_t rounds; /* TSD rounds seen */
	uint32_t hooked; /* started through a hook, or the main thread */
	uint32_t started; /* its start was counted, so its end will be */
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t stack_bytes;
};

#define SHIM_OWNER_ENDING 0x80000000U

/*
 * All of our TLS. `current` is NULL until the thread's first event. `muted` counts the
 * calls of ours on this thread's stack during which allocations are served from bootstrap
 * memory and not counted; `creating` the pthread_create calls during which no thread of
 * ours may be started.
 */
struct shim_tls {
	struct shim_control *current;
	uint32_t muted;
	uint32_t creating;
};

extern SHIM_TLS struct shim_tls shim_tls __attribute__((visibility("hidden")));

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
