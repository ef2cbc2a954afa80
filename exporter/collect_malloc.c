/* SPDX-License-Identifier: MIT */
#include "exporter/registry.h"

/* What the malloc hooks counted. */

/* The classic buckets: 2^bound_classes[i], as many of the 48 classes as tell sizes apart. */
static const char *const size_bounds[] = { "16.0", "32.0", "64.0", "128.0", "256.0",
	"1024.0", "4096.0", "16384.0", "65536.0", "262144.0", "1.048576e+06",
	"4.194304e+06", "1.6777216e+07", "6.7108864e+07", NULL };
enum { SIZE_BOUNDS = sizeof(size_bounds) / sizeof(size_bounds[0]) - 1 };
static const unsigned bound_classes[SIZE_BOUNDS] = { 4, 5, 6, 7, 8, 10, 12, 14, 16, 18,
	20, 22, 24, 26 };

static const char *const labels[] = { "program", NULL };

enum {
#define SHIM_COUNTER(field, metric, help)
#define SHIM_COUNTER_MALLOC(field, metric, help)       FAMILY_##field,
#define SHIM_COUNTER_MALLOC_BYTES(field, metric, help) FAMILY_##field,
#include "preload/counters.def"
	FAMILY_allocations,
	FAMILY_unfreed_bytes,
	FAMILY_live_bytes,
	FAMILY_live_blocks,
	FAMILY_request_size,
	FAMILIES
};

// clang-format off
static const struct prom_desc descs[FAMILIES] = {
#define SHIM_COUNTER(field, metric, text)
#define SHIM_COUNTER_MALLOC(field, metric, text) \
	[FAMILY_##field] = { .name = (metric), .help = (text), .unit = "", \
		.type = PROM_COUNTER, .labels = labels },
#define SHIM_COUNTER_MALLOC_BYTES(field, metric, text) \
	[FAMILY_##field] = { .name = (metric), .help = (text), .unit = "bytes", \
		.type = PROM_COUNTER, .labels = labels },
#include "preload/counters.def"
	[FAMILY_allocations] = {
		.name = "promshim_malloc_allocations_total",
		.help = "Blocks handed out, ended processes included. Allocations minus frees is "
			"not live: use promshim_malloc_live_blocks.",
		.unit = "",
		.type = PROM_COUNTER,
		.labels = labels,
	},
	[FAMILY_unfreed_bytes] = {
		.name = "promshim_malloc_unfreed_at_exit_bytes_total",
		.help = "Usable bytes that processes still held when they ended.",
		.unit = "bytes",
		.type = PROM_COUNTER,
		.labels = labels,
	},
	[FAMILY_live_bytes] = {
		.name = "promshim_malloc_live_bytes",
		.help = "Usable bytes held by living processes.",
		.unit = "bytes",
		.type = PROM_GAUGE,
		.labels = labels,
	},
	[FAMILY_live_blocks] = {
		.name = "promshim_malloc_live_blocks",
		.help = "Blocks held by living processes.",
		.unit = "",
		.type = PROM_GAUGE,
		.labels = labels,
	},
	[FAMILY_request_size] = {
		.name = "promshim_malloc_request_size_bytes",
		.help = "Bytes asked for by successful calls, ended processes included.",
		.unit = "bytes",
		.type = PROM_HISTOGRAM,
		.labels = labels,
		.bounds = size_bounds,
	},
};
// clang-format on

static void emit_sizes(struct prom_gather *gather, const char *const *values,
		const struct prom_totals *totals) {
	uint64_t cumulative[SIZE_BOUNDS];
	/* a request of 0 bytes is no more than any bound, though its class is the last */
	uint64_t sum = totals->size_class[SHIM_SIZE_CLASS_ZERO];
	unsigned next = 0;
	for (size_t i = 0; i < SIZE_BOUNDS; i++) {
		for (; next <= bound_classes[i]; next++) {
			sum += totals->size_class[next];
		}
		cumulative[i] = sum;
	}
	prom_emit_histogram(gather, &descs[FAMILY_request_size], values, cumulative,
			totals->allocations, (double)totals->requested_bytes);
}

static void emit_row(struct prom_gather *gather, const struct prom_row *row) {
	const char *const values[] = { row->program };
	const struct prom_totals *totals = &row->totals;
#define SHIM_COUNTER(field, metric, help)
#define SHIM_COUNTER_MALLOC(field, metric, help) \
	prom_emit_integer(gather, &descs[FAMILY_##field], values, totals->field);
#define SHIM_COUNTER_MALLOC_BYTES(field, metric, help)                    \
	if (row->bytes_known) {                                           \
		prom_emit_integer(gather, &descs[FAMILY_##field], values, \
				totals->field);                           \
	}
#include "preload/counters.def"
	prom_emit_integer(gather, &descs[FAMILY_allocations], values,
			totals->allocations);
	prom_emit_integer(gather, &descs[FAMILY_live_blocks], values, row->live_blocks);
	if (row->bytes_known) {
		prom_emit_integer(gather, &descs[FAMILY_live_bytes], values,
				row->live_bytes);
		prom_emit_integer(gather, &descs[FAMILY_unfreed_bytes], values,
				row->unfreed_bytes);
	}
	emit_sizes(gather, values, totals);
}

static void collect(const struct prom_snapshot *snapshot, struct prom_gather *gather) {
	for (size_t i = 0; i < snapshot->row_count; i++) {
		emit_row(gather, &snapshot->rows[i]);
	}
}

const struct prom_collector prom_collector_malloc = {
	.name = "malloc",
	.descs = descs,
	.desc_count = FAMILIES,
	.collect = collect,
};
