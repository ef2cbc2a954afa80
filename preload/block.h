/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_BLOCK_H
#define PRELOAD_BLOCK_H

/*
 * Who counts in which block.
 *
 * A thread gets a block at its first event and keeps it beyond its last TSD destructor, for
 * glibc frees memory after that. The block goes to a later thread as it is: sums of monotone
 * cells stay monotone and nothing is folded. So memory is bounded by the largest number of
 * threads that lived at once. The heir makes sure that its predecessor is gone by asking
 * the kernel, never by trusting the mark alone.
 */

#include <stdbool.h>
#include <stdint.h>

#include "preload/control.h"

/*
 * Gives the calling thread a block: shim_tls.current is set, its leave is armed.
 *
 * Returns  the control, or NULL when there is no segment, no block to be had, or this is a
 *          vfork child: the event then goes to shim_block_overflow
 * Calls    a hook's slow path; async-signal-safe but for the TSD slot (muted meanwhile);
 *          errno is not kept
 */
struct shim_control *shim_block_attach(void);

/* Opens the thread's fast path if the allocator allows one and the thread is not muted. */
void shim_block_open(struct shim_control *control);

/* The block of atomic adds for events without a home; NULL when there is no segment. */
struct shim_block *shim_block_overflow(void);

/* Marks the control's thread as ending: its last TSD destructor runs. */
void shim_block_leave(struct shim_control *control);

/*
 * Finds owners that died without a last TSD round (raw clone, no key) and marks them.
 *
 * Calls    keeper, seldom: one tgkill(2) per block
 */
void shim_block_sweep(void);

#endif
