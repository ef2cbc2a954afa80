/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_ALLOCATOR_GLIBC_H
#define PRELOAD_ALLOCATOR_GLIBC_H

/*
 * What glibc's allocator says about itself. mallinfo2 (2.33) locks every arena in turn and
 * walks its bins: never at a scrape, and it may hang where the host deadlocked in malloc.
 *
 * On a heap that the host has overwritten that walk crashes, and the host, which might have
 * lived on, must not. So a process apart makes the call: when it dies of it, we are told and
 * do not ask again. Up to 64 MiB resident it is a copy of the host, which may die with any
 * lock in its hand. A copy of more would be felt (page tables, write faults), so there it
 * shares the memory, not the signal handlers; what is left is that a damaged heap of that
 * size may then stay locked.
 */

#include <stdbool.h>
#include <stdint.h>

struct shim_allocator_stats;

/*
 * Makes glibc initialise its allocator, without allocating. That step has no lock: glibc takes
 * it before there is a second thread, by what pthread_create allocates; ours allocates
 * nothing there, and the host's first malloc would meet our mallinfo2.
 *
 * Calls    before the first thread of ours, on a host with one thread
 * Source   glibc malloc/malloc.c, ptmalloc_init and __malloc_initialized
 */
void shim_allocator_glibc_prepare(void);

/*
 * Fills `stats`; leaves it alone when the next allocator is not glibc's or has no mallinfo2,
 * and for good once the call has crashed: with copies of the process, which are torn when threads
 * of the host run meanwhile, eight times in succession.
 *
 * resident_bytes  of this process
 * Returns  false the first time the call has failed so: the heap is damaged
 * Calls    keeper's slow tick
 */
bool shim_allocator_glibc_take(struct shim_allocator_stats *stats,
		uint64_t resident_bytes);

/* In a forked child: nobody asks here. Async-signal-safe. */
void shim_allocator_glibc_fork(void);

/*
 * No more questions: the process that asks just now goes, so that the end of the host leaves
 * no process to whoever is next to care for it.
 *
 * Calls    the host thread that ends the process
 */
void shim_allocator_glibc_end(void);

#endif
