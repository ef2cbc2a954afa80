/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_ALLOCATOR_GLIBC_H
#define PRELOAD_ALLOCATOR_GLIBC_H

/*
 * What glibc's allocator says about itself. mallinfo2 (2.33) locks every arena in turn and
 * walks its bins: never at a scrape, and it may hang where the host deadlocked in malloc.
 */

struct shim_allocator_stats;

/*
 * Fills `stats`; leaves it alone when the next allocator is not glibc's or has no mallinfo2.
 *
 * Calls  keeper's slow tick
 */
void shim_allocator_glibc_take(struct shim_allocator_stats *stats);

#endif
