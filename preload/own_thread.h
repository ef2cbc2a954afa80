/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_OWN_THREAD_H
#define PRELOAD_OWN_THREAD_H

/* A thread of ours: on a stack of its own, with every signal blocked. */

#include <pthread.h>
#include <stddef.h>

struct shim_own_thread {
	pthread_t thread;
	char *stack; /* mapped; NULL = no thread */
	size_t stack_bytes;
	void *(*body)(void *arg);
};

/* Starts `body`. Returns 0, or the errno. Muted meanwhile: libc's memory is not the host's. */
int shim_own_thread_create(struct shim_own_thread *own);

/* Unmaps the stack of a thread that was joined. */
void shim_own_thread_bury(struct shim_own_thread *own);

/* What it means, and what to do, when no thread can be made. */
const char *shim_own_thread_refused(int error);

/*
 * Gives the calling thread, and those it creates, a descriptor table of their own: empty but for
 * 0, 1 and 2, which lead nowhere.
 *
 * Returns  0, or the errno: then nothing may be opened
 */
int shim_own_table(void);

#endif
