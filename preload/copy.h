/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_COPY_H
#define PRELOAD_COPY_H

/*
 * Copies of the process that the host makes past fork: clone, and clone and fork by number.
 * libc mends nothing in such a child. While a thread of ours is half made, libc's list of
 * threads says that its setuid has to wait for it. A child that inherits that hangs, where the
 * host alone, having one thread, would never hang.
 *
 * So that state is held for short, and never within 100 ms after a copy was announced.
 *
 * Source  glibc nptl/allocate_stack.c and nptl/nptl_setxid.c, setxid_futex
 */

#include <stdbool.h>

/*
 * Says that such a state may come in this process: until then nobody waits, or asks for the time, which
 * a program that we leave alone may have forbidden.
 *
 * Calls    constructor, before the first thread of ours
 */
void shim_copy_expect(void);

/*
 * Enters such a state.
 *
 * Returns  false when a copy may be in the making: then it is not entered; try again later
 * Calls    our threads, one at a time, and who starts them
 */
bool shim_copy_hold(void);

/* Leaves it; also when it was not entered, and in a child. */
void shim_copy_release(void);

/*
 * The calling host thread is about to copy the process: waits until no such state is held, at
 * most 100 ms. Async-signal-safe; errno is kept.
 */
void shim_copy_soon(void);

#endif
