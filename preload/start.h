/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_START_H
#define PRELOAD_START_H

/*
 * How counting begins, in a process and in its forked children, and when a child may have a
 * keeper.
 *
 * The first event may come long before our constructor: it resolves the hooks, proves the
 * usable size and makes the segment; the constructor only adds settings and identity. A
 * child by fork gets no thread in its handler: many only exec. Its keeper starts at the
 * first slow path of an allocating hook once it has lived 200 ms.
 */

#include <stdbool.h>

struct shim_block;
struct shim_control;

/*
 * Makes hooks, segment and TSD key, once.
 *
 * Returns  whether counting is on
 * Calls    any thread's slow path, constructor; async-signal-safe but for the loader's lock
 */
bool shim_start_counting(void);

/* Tells whether shim_start_counting has succeeded. */
bool shim_start_is_counting(void);

/* From now on hooks only forward: PROMSHIM_MODE=off, excluded programs, no memory. */
void shim_start_turn_off(void);
bool shim_start_is_off(void);

/* Called when no host thread is left, from the last one's TSD destructor. */
void shim_start_when_last(void (*last)(void));

/*
 * In a child by fork, _Fork or raw clone: own segment, no threads of ours, keeper wanted if
 * the parent's mode has one.
 *
 * Calls    atfork handler or the child's first slow path, whichever is first; idempotent
 */
void shim_start_child(void);

/* A keeper is wanted and not there yet: in a forked child that is young. */
bool shim_start_is_waiting(void);

/* The slow path of an allocating hook is due: starts the keeper if this is the moment. */
void shim_start_wake(struct shim_control *control, struct shim_block *home);

/* The same, from the hooks of pthread_create and thrd_create. */
void shim_start_wake_create(void);

#endif
