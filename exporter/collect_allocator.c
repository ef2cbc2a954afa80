/* SPDX-License-Identifier: MIT */
#include "exporter/registry.h"

/*
 * Statistics of the allocator that serves the host. They are taken at the keeper's slow
 * tick, so they come with their age, and there are none before the first.
 */

static const char *const labels[] = { "allocator", "program", NULL };
static const char *const age_labels[] = { "collector", "program", NULL };

enum {
	FAMILY_heap_bytes,
	FAMILY_in_use_bytes,
	FAMILY_free_bytes,
	FAMILY_releasable_bytes,
	FAMILY_age,
	FAMILIES
};

static const struct prom_desc descs[FAMILIES] = {
	[FAMILY_heap_bytes] = {
		.name = "promshim_allocator_heap_bytes",
		.help = "Bytes that the allocator holds from the system.",
		.unit = "bytes",
		.type = PROM_GAUGE,
		.labels = labels,
	},
	[FAMILY_in_use_bytes] = {
		.name = "promshim_allocator_in_use_bytes",
		.help = "Bytes that the allocator has handed out, its overhead included.",
		.unit = "bytes",
		.type = PROM_GAUGE,
		.labels = labels,
	},
	[FAMILY_free_bytes] = {
		.name = "promshim_allocator_free_bytes",
		.help = "Bytes that the allocator holds and has not handed out.",
		.unit = "bytes",
		.type = PROM_GAUGE,
		.labels = labels,
	},
	[FAMILY_releasable_bytes] = {
		.name = "promshim_allocator_releasable_bytes",
		.help = "Free bytes at the top of the heap that could go back to the system.",
		.unit = "bytes",
		.type = PROM_GAUGE,
		.labels = labels,
	},
	[FAMILY_age] = {
		.name = "promshim_collector_age_seconds",
		.help = "Age of values that are not taken at the scrape.",
		.unit = "seconds",
		.type = PROM_GAUGE,
		.labels = age_labels,
	},
};

static void collect(const struct prom_snapshot *snapshot, struct prom_gather *gather) {
	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct prom_row *row = &snapshot->rows[i];
		if (!row->allocator_known) {
			continue;
		}
		const char *const values[] = { row->allocator, row->program };
		const char *const age_values[] = { "allocator", row->program };
		prom_emit_integer(gather, &descs[FAMILY_heap_bytes], values,
				row->heap_bytes);
		prom_emit_integer(gather, &descs[FAMILY_in_use_bytes], values,
				row->in_use_bytes);
		prom_emit_integer(gather, &descs[FAMILY_free_bytes], values,
				row->free_bytes);
		prom_emit_integer(gather, &descs[FAMILY_releasable_bytes], values,
				row->releasable_bytes);
		prom_emit_real(gather, &descs[FAMILY_age], age_values,
				(double)row->allocator_age_ns / 1e9);
	}
}

const struct prom_collector prom_collector_allocator = {
	.name = "allocator",
	.descs = descs,
	.desc_count = FAMILIES,
	.collect = collect,
};
