/* SPDX-License-Identifier: MIT */
#include "exporter/registry.h"

/*
 * What the allocator that serves the host holds from the system is read by the keeper, not at the
 * scrape, so it comes with its age; what is in use is counted.
 */

static const char *const labels[] = { "allocator", "program", NULL };
static const char *const age_labels[] = { "collector", "program", NULL };

enum { FAMILY_heap_bytes, FAMILY_in_use_bytes, FAMILY_free_bytes, FAMILY_age, FAMILIES };

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
		const char *const values[] = { row->allocator, row->program };
		const char *const age_values[] = { "allocator", row->program };
		if (row->bytes_known) {
			prom_emit_integer(gather, &descs[FAMILY_in_use_bytes], values,
					row->in_use_bytes);
		}
		if (row->allocator_known) {
			prom_emit_integer(gather, &descs[FAMILY_heap_bytes], values,
					row->heap_bytes);
			prom_emit_integer(gather, &descs[FAMILY_free_bytes], values,
					row->free_bytes);
			prom_emit_real(gather, &descs[FAMILY_age], age_values,
					(double)row->allocator_age_ns / 1e9);
		}
	}
}

const struct prom_collector prom_collector_allocator = {
	.name = "allocator",
	.descs = descs,
	.desc_count = FAMILIES,
	.collect = collect,
};
