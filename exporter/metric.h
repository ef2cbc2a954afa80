/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_METRIC_H
#define EXPORTER_METRIC_H

/*
 * The values that travel from collectors through the registry to the encoders: a family
 * and its samples. They live in the arena of one gather and die with it; every pointer
 * points into that arena, into the snapshot or at constants.
 */

#include <stddef.h>
#include <stdint.h>

enum prom_type { PROM_COUNTER, PROM_GAUGE, PROM_HISTOGRAM };

enum { PROM_LABELS_MAX = 4 }; /* labels of one family, `le` not counted */

/*
 * What a family is, known before it has a value: constants of a collector.
 *
 * name    full sample name, `_total` included for counters
 * labels  names, NULL-terminated; NULL for none. Sorted by name
 * bounds  for a histogram: upper bounds of the classic buckets without +Inf, spelled as in
 *         OpenMetrics ("16.0", "1.048576e+06"), NULL-terminated; ascending
 */
struct prom_desc {
	const char *name;
	const char *help;
	const char *unit; /* "" or the suffix it stands for: "bytes", "seconds" */
	enum prom_type type;
	const char *const *labels;
	const char *const *bounds;
};

struct prom_histogram {
	const uint64_t *cumulative; /* one per bound of the desc; +Inf is `count` */
	uint64_t count;
	double sum;
};

struct prom_number { /* integers stay integers: no double is exact past 2^53 */
	uint64_t integer;
	double real;
	int is_real;
};

struct prom_sample {
	const char *label_values[PROM_LABELS_MAX]; /* in the order of desc->labels */
	union {
		struct prom_number number;
		struct prom_histogram histogram;
	};
	struct prom_sample *next; /* in order of emission until the registry sorts */
};

struct prom_family {
	const struct prom_desc *desc;
	struct prom_sample *samples; /* NULL: the family is left out of the page */
	size_t sample_count;
};

#endif
