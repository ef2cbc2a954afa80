/* SPDX-License-Identifier: MIT */
#include "exporter/registry.h"

/* The standard process collector, and what the kernel knows beyond it. */

static const char *const labels[] = { "program", NULL };
static const char *const kind_labels[] = { "kind", "program", NULL };

/* What figures.def calls a kind: the suffix for its families' unit, type and value. */
#define UNIT_GAUGE           ""
#define UNIT_BYTES_GAUGE     "bytes"
#define UNIT_SECONDS_GAUGE   "seconds"
#define UNIT_SECONDS_COUNTER "seconds"
#define TYPE_GAUGE           PROM_GAUGE
#define TYPE_BYTES_GAUGE     PROM_GAUGE
#define TYPE_SECONDS_GAUGE   PROM_GAUGE
#define TYPE_SECONDS_COUNTER PROM_COUNTER

#define FAMILY_OF_GAUGE(field)           FAMILY_##field,
#define FAMILY_OF_BYTES_GAUGE(field)     FAMILY_##field,
#define FAMILY_OF_SECONDS_GAUGE(field)   FAMILY_##field,
#define FAMILY_OF_SECONDS_COUNTER(field) FAMILY_##field,
#define FAMILY_OF_COMPUTED(field)

enum {
#define SHIM_FIGURE(field, kind, metric, help) FAMILY_OF_##kind(field)
#include "preload/figures.def"
	FAMILY_page_faults,
	FAMILY_context_switches,
	FAMILY_network_receive,
	FAMILY_network_transmit,
	FAMILIES
};

// clang-format off
#define DESC(field, kind, metric, text) \
	[FAMILY_##field] = { .name = (metric), .help = (text), .unit = UNIT_##kind, \
		.type = TYPE_##kind, .labels = labels },
#define DESC_OF_GAUGE(field, metric, text)           DESC(field, GAUGE, metric, text)
#define DESC_OF_BYTES_GAUGE(field, metric, text)     DESC(field, BYTES_GAUGE, metric, text)
#define DESC_OF_SECONDS_GAUGE(field, metric, text)   DESC(field, SECONDS_GAUGE, metric, text)
#define DESC_OF_SECONDS_COUNTER(field, metric, text) DESC(field, SECONDS_COUNTER, metric, text)
#define DESC_OF_COMPUTED(field, metric, text)

static const struct prom_desc descs[FAMILIES] = {
#define SHIM_FIGURE(field, kind, metric, text) DESC_OF_##kind(field, metric, text)
#include "preload/figures.def"
	[FAMILY_page_faults] = {
		.name = "promshim_process_page_faults_total",
		.help = "Page faults, ended processes included.",
		.unit = "",
		.type = PROM_COUNTER,
		.labels = kind_labels,
	},
	[FAMILY_context_switches] = {
		.name = "promshim_process_context_switches_total",
		.help = "Context switches of all threads, ended processes included.",
		.unit = "",
		.type = PROM_COUNTER,
		.labels = kind_labels,
	},
	[FAMILY_network_receive] = {
		.name = "process_network_receive_bytes_total",
		.help = "Number of bytes received over the network by the network namespace of "
			"the process.",
		.unit = "bytes",
		.type = PROM_COUNTER,
	},
	[FAMILY_network_transmit] = {
		.name = "process_network_transmit_bytes_total",
		.help = "Number of bytes sent over the network by the network namespace of the "
			"process.",
		.unit = "bytes",
		.type = PROM_COUNTER,
	},
};
// clang-format on

static bool is_known(const struct prom_figures *figures, enum shim_figure figure) {
	return (figures->known >> figure & 1) != 0;
}

static void emit_of_kind(struct prom_gather *gather, const struct prom_desc *desc,
		const struct prom_row *row, const char *kind, enum shim_figure figure,
		uint64_t value) {
	const char *const values[] = { kind, row->program };
	if (is_known(&row->figures, figure)) {
		prom_emit_integer(gather, desc, values, value);
	}
}

static void emit_kinds(struct prom_gather *gather, const struct prom_row *row) {
	const struct prom_figures *figures = &row->figures;
	emit_of_kind(gather, &descs[FAMILY_page_faults], row, "major",
			SHIM_FIGURE_page_faults_major, figures->page_faults_major);
	emit_of_kind(gather, &descs[FAMILY_page_faults], row, "minor",
			SHIM_FIGURE_page_faults_minor, figures->page_faults_minor);
	emit_of_kind(gather, &descs[FAMILY_context_switches], row, "involuntary",
			SHIM_FIGURE_context_switches_involuntary,
			figures->context_switches_involuntary);
	emit_of_kind(gather, &descs[FAMILY_context_switches], row, "voluntary",
			SHIM_FIGURE_context_switches_voluntary,
			figures->context_switches_voluntary);
}

static void emit_seconds(struct prom_gather *gather, const struct prom_desc *desc,
		const char *const *values, uint64_t ns) {
	prom_emit_real(gather, desc, values, (double)ns / 1e9);
}

#define EMIT(field, emit)                                                     \
	if (is_known(figures, SHIM_FIGURE_##field)) {                         \
		emit(gather, &descs[FAMILY_##field], values, figures->field); \
	}
#define EMIT_GAUGE(field)           EMIT(field, prom_emit_integer)
#define EMIT_BYTES_GAUGE(field)     EMIT(field, prom_emit_integer)
#define EMIT_SECONDS_GAUGE(field)   EMIT(field, emit_seconds)
#define EMIT_SECONDS_COUNTER(field) EMIT(field, emit_seconds)
#define EMIT_COMPUTED(field)

static void emit_row(struct prom_gather *gather, const struct prom_row *row) {
	const struct prom_figures *figures = &row->figures;
	const char *const values[] = { row->program };
#define SHIM_FIGURE(field, kind, metric, help) EMIT_##kind(field)
#include "preload/figures.def"
	emit_kinds(gather, row);
}

static void collect(const struct prom_snapshot *snapshot, struct prom_gather *gather) {
	for (size_t i = 0; i < snapshot->row_count; i++) {
		emit_row(gather, &snapshot->rows[i]);
	}
	if (snapshot->row_count == 0) {
		return;
	}
	/* of the network namespace: every row says the same, none may be added up */
	const struct prom_figures *figures = &snapshot->rows[0].figures;
	if (is_known(figures, SHIM_FIGURE_network_receive_bytes)) {
		prom_emit_integer(gather, &descs[FAMILY_network_receive], NULL,
				figures->network_receive_bytes);
	}
	if (is_known(figures, SHIM_FIGURE_network_transmit_bytes)) {
		prom_emit_integer(gather, &descs[FAMILY_network_transmit], NULL,
				figures->network_transmit_bytes);
	}
}

const struct prom_collector prom_collector_process = {
	.name = "process",
	.descs = descs,
	.desc_count = FAMILIES,
	.collect = collect,
};
