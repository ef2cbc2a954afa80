/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_SNAPSHOT_H
#define EXPORTER_SNAPSHOT_H

/*
 * A picture of everything a page shows, as plain values.
 *
 * Nothing in it is atomic, shared or owned by a thread: it is copied out once per scrape,
 * so all numbers of one scrape agree, and it dies with the scrape. A row is what carries
 * one set of identifying labels: today one process, later the members of a group that
 * share a program.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/layout.h"

enum { PROM_ROWS_MAX = 1 };

/* Sums over blocks, overflow included; fields as in counters.def. */
struct prom_totals {
#define SHIM_COUNTER(field, metric, help) uint64_t field;
#include "preload/counters.def"
	uint64_t lifetime[SHIM_LIFETIMES + 1];
	uint64_t size_class[SHIM_SIZE_CLASSES];
	uint64_t allocations; /* sum of size_class */
};

struct prom_figures {
	uint64_t known; /* bit per enum shim_figure */
#define SHIM_FIGURE(field, kind, metric, help) uint64_t field;
#include "preload/figures.def"
};

struct prom_row {
	char program[SHIM_PROGRAM_BYTES]; /* valid UTF-8 */
	char allocator[16];
	char libc[32];
	struct prom_totals totals;
	uint64_t live_bytes; /* inherited + allocated - freed, never below 0 */
	uint64_t live_blocks;
	uint64_t mapped_bytes; /* of live blocks of glibc's that have a mapping each, the whole of it */
	uint64_t unfreed_bytes; /* what ended members still held */
	uint64_t threads; /* hooked and alive */
	uint64_t stack_bytes; /* reserved for their stacks */
	uint32_t hooks_active, hooks_known; /* bits by enum shim_hook */
	bool bytes_known; /* false: families of bytes are left out */
	struct prom_figures figures;
	bool allocator_known;
	uint64_t allocator_age_ns; /* age of the two below */
	uint64_t heap_bytes, free_bytes;
	uint64_t in_use_bytes; /* of the allocator's, by our counters; not known without bytes_known */
	uint64_t running, stopped; /* members by state */
	uint64_t roots, process_starts, process_ends;
};

/* The exporter about itself. */
struct prom_self {
	uint64_t scrape_ns; /* how long the last gather and encoding took; 0 before the first */
	uint64_t cpu_ns; /* of our threads, living and ended */
	uint64_t memory_bytes; /* mapped by the exporter and touched */
	uint64_t messages;
	uint64_t invalid_settings;
	uint64_t in_flight;
	uint64_t leader_changes;
	uint64_t segment_private_bytes, segment_shared_bytes;
	uint64_t start_time_ns; /* when the totals on the page began, unix */
	const struct prom_http_counts *http; /* server.h; answers by status */
	const char *version, *mode;
};

struct prom_snapshot {
	size_t row_count;
	struct prom_row rows[PROM_ROWS_MAX];
	struct prom_self self;
};

/*
 * Sums the blocks of `segment` into `row`, frees before allocations.
 *
 * segment  mapped; its magic, version and bounds are checked against `mapped_bytes`
 * row      filled whole but for `figures` and the group's members (running, roots, ...)
 * Returns  0, or -EINVAL when the segment cannot be trusted or its process is still
 *          SHIM_STATE_STARTING (then `row` is zeroed)
 * Calls    reader's thread; takes no lock, may run while every thread counts
 */
int prom_snapshot_read(const struct shim_segment *segment, uint64_t mapped_bytes,
		struct prom_row *row);

/* Copies the figures that the process published; Returns how old they are in ns. */
uint64_t prom_snapshot_figures(const struct shim_segment *segment,
		struct prom_figures *out);

#endif
