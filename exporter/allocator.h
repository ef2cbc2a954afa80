/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_ALLOCATOR_H
#define EXPORTER_ALLOCATOR_H

/*
 * What the host's allocator holds from the system, as it is told without asking it: from the mappings
 * of the process and from our own counters.
 *
 * To read the mappings of a large process costs milliseconds, so it is done seldom, by the
 * keeper, and only for those who read it.
 */

#include <stdbool.h>
#include <stdint.h>

struct prom_procfs;
struct shim_segment;

struct prom_allocator {
	uint64_t interval_ns; /* at least between two readings */
	uint64_t next_ns; /* not before; 0 = now */
	bool is_lost; /* part of the heap cannot be seen, from now on */
};

/*
 * Publishes the figures in the segment when they are due: for the first time, or when
 * `is_wanted` and the interval has passed, which grows to a hundred times what the last reading
 * took.
 *
 * Returns  whether it was done
 * Calls    one thread at a time, of the process itself
 */
bool prom_allocator_publish(struct prom_allocator *allocator,
		struct shim_segment *segment, uint64_t segment_bytes,
		const struct prom_procfs *procfs, bool is_wanted);

#endif
