/* SPDX-License-Identifier: MIT */
#include "exporter/registry.h"

/* What the thread hooks counted. */

static const char *const labels[] = { "program", NULL };

/* As SHIM_LIFETIMES of layout.h. */
static const char *const lifetime_bounds[SHIM_LIFETIMES + 1] = { "0.001", "0.01", "0.1",
	"1.0", "10.0", "60.0", "600.0", "3600.0", NULL };

enum {
#define SHIM_COUNTER(field, metric, help)
#define SHIM_COUNTER_THREADS(field, metric, help) FAMILY_##field,
#include "preload/counters.def"
	FAMILY_threads,
	FAMILY_lifetime,
	FAMILY_stack_bytes,
	FAMILIES
};

// clang-format off
static const struct prom_desc descs[FAMILIES] = {
#define SHIM_COUNTER(field, metric, text)
#define SHIM_COUNTER_THREADS(field, metric, text) \
	[FAMILY_##field] = { .name = (metric), .help = (text), .unit = "", \
		.type = PROM_COUNTER, .labels = labels },
#include "preload/counters.def"
	[FAMILY_threads] = {
		.name = "promshim_threads",
		.help = "Threads started through the hooks and alive; process_threads counts all.",
		.unit = "",
		.type = PROM_GAUGE,
		.labels = labels,
	},
	[FAMILY_lifetime] = {
		.name = "promshim_thread_lifetime_seconds",
		.help = "Lifetime of threads that ended, ended processes included.",
		.unit = "seconds",
		.type = PROM_HISTOGRAM,
		.labels = labels,
		.bounds = lifetime_bounds,
	},
	[FAMILY_stack_bytes] = {
		.name = "promshim_thread_stack_reserved_bytes",
		.help = "Address space reserved for stacks of hooked living threads.",
		.unit = "bytes",
		.type = PROM_GAUGE,
		.labels = labels,
	},
};
// clang-format on

static void emit_lifetimes(struct prom_gather *gather, const char *const *values,
		const struct prom_totals *totals) {
	uint64_t cumulative[SHIM_LIFETIMES];
	uint64_t sum = 0;
	for (size_t i = 0; i < SHIM_LIFETIMES; i++) {
		sum += totals->lifetime[i];
		cumulative[i] = sum;
	}
	prom_emit_histogram(gather, &descs[FAMILY_lifetime], values, cumulative,
			sum + totals->lifetime[SHIM_LIFETIMES],
			(double)totals->thread_lifetime_ns / 1e9);
}

static void collect(const struct prom_snapshot *snapshot, struct prom_gather *gather) {
	for (size_t i = 0; i < snapshot->row_count; i++) {
		const struct prom_row *row = &snapshot->rows[i];
		const char *const values[] = { row->program };
#define SHIM_COUNTER(field, metric, help)
#define SHIM_COUNTER_THREADS(field, metric, help) \
	prom_emit_integer(gather, &descs[FAMILY_##field], values, row->totals.field);
#include "preload/counters.def"
		prom_emit_integer(gather, &descs[FAMILY_threads], values, row->threads);
		prom_emit_integer(gather, &descs[FAMILY_stack_bytes], values,
				row->stack_bytes);
		emit_lifetimes(gather, values, &row->totals);
	}
}

const struct prom_collector prom_collector_threads = {
	.name = "threads",
	.descs = descs,
	.desc_count = FAMILIES,
	.collect = collect,
};
