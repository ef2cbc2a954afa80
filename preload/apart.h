/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_APART_H
#define PRELOAD_APART_H

/*
 * What has to run on a thread of the host's and needs more than a hook does: its stack may be a
 * signal stack that is nearly full, and it may have asked for a signal at each inexact result.
 */

/*
 * Calls `run` on a stack of our own, with the floating-point environment that a program starts with;
 * the caller's is there again afterwards.
 *
 * Calls  one thread at a time: others find it taken, and return without the call
 */
void shim_apart(void (*run)(void));

/* Gives the calling thread, one of ours, that environment: a new thread has its creator's. */
void shim_apart_from_traps(void);

#endif
