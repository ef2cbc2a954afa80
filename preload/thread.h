/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_THREAD_H
#define PRELOAD_THREAD_H

/*
 * Beginning and end of the host's threads.
 *
 * A hooked thread begins in a trampoline. Its end, be it return, pthread_exit or cancel, is
 * the last round of its TSD destructors: the destructor re-arms itself until then, so it
 * runs after the host's own. Threads made behind our back have an end too (their block must
 * go to an heir) but are not counted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <threads.h>

struct shim_control;

/* What a new thread takes over from the hook that started it. */
struct shim_launch {
	void *(*start)(void *arg);
	thrd_start_t start_c11; /* instead of `start` */
	void *arg;
	uint64_t stack_bytes;
};

/* Makes the TSD key; without one no end is seen. `last` runs when no host thread is left. */
void shim_thread_init(void (*last)(void));

/* Tells whether there is a key: without one a thread of ours would outlive main's pthread_exit. */
bool shim_thread_ends_are_seen(void);

/* After a fork: forgets the launches of threads that are not here. */
void shim_thread_fork(void);

/* Makes the calling thread come by shim_thread's destructor; control may be armed already. */
void shim_thread_arm(struct shim_control *control);

/* Takes a place for a launch; NULL when 1,024 threads are about to start already. */
struct shim_launch *shim_thread_launch(void);

/* Gives the place back: the thread could not be started. */
void shim_thread_abandon(struct shim_launch *launch);

/* Trampolines for pthread_create and thrd_create; `launch` is given back here. */
void *shim_thread_main(void *launch);
int shim_thread_main_c11(void *launch);

#endif
