/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_SEGMENT_H
#define PRELOAD_SEGMENT_H

/*
 * The memory that this process publishes (layout.h), and the private page beside it.
 *
 * Address space is reserved once; blocks are committed in chunks as threads come. What is
 * committed is never given back or moved, so a reader may follow any offset it has seen.
 * Private memory for now: a file can take its place without a change to anybody else.
 */

#include <stdbool.h>
#include <stdint.h>

#include "preload/control.h"
#include "preload/layout.h"

/*
 * What the process knows about itself and a forked child must not believe: wiped by the
 * kernel at fork, so `alive` reads 0 there, even after a raw clone.
 */
struct shim_process {
	_Atomic uint32_t alive; /* 1 once set up. Writer: who sets up; release */
	int32_t pid;
	uint64_t forked_ns; /* CLOCK_MONOTONIC of the fork; 0 in a process that was exec'd */
	_Atomic int32_t host_threads; /* main and hooked threads that have not left */
	_Atomic uint32_t ending; /* controls with SHIM_OWNER_ENDING; a hint, relaxed */
	_Atomic uint32_t
			heir; /* where the last search for one stopped; a hint, relaxed */
};

/* NULL until the first event; then constant but for a fork. Hidden in the object. */
extern struct shim_segment *shim_segment __attribute__((visibility("hidden")));
extern struct shim_process *shim_process __attribute__((visibility("hidden")));
extern struct shim_control *shim_controls
		__attribute__((visibility("hidden"))); /* one per block */

/*
 * Reserves and lays out segment, process page and controls.
 *
 * Returns  0, or -errno of mmap(2): then nothing can be counted
 * Calls    once per process, by one thread; async-signal-safe
 */
int shim_segment_create(void);

/*
 * In a forked child: the segment begins anew, with the parent's identity, and what the parent held as
 * inherited. It stays where it is, so that generations of forks keep no segment of their ancestors,
 * and a signal handler may fork between a hook's load of its block and the add: that event is then
 * in a block of the child's, which is shown once it is given out.
 *
 * Calls    the child's only thread, signals blocked
 */
void shim_segment_fork(void);

/* Block `index`, which must be below block_count or just committed. */
struct shim_block *shim_segment_block(uint32_t index);

/*
 * Makes block `index` usable; idempotent, any number of threads at once.
 *
 * Returns  false when the reserved range or memory is used up
 */
bool shim_segment_commit(uint32_t index);

#endif
