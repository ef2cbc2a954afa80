/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_DESC_H
#define EXPORTER_DESC_H

/* The rules for a family as such, whatever else is registered. */

#include "exporter/metric.h"

enum { PROM_CLAIMS_MAX = 6 };

/*
 * Returns why `desc` must not be shown ("bad metric name", ...); NULL when all is well.
 *
 * Source   client_golang desc.go; Prometheus docs, "Metric and label naming"; OpenMetrics
 *          1.0: names without ':', counters end in `_total`, a unit is the name's suffix,
 *          canonical `le`
 */
const char *prom_desc_refusal(const struct prom_desc *desc);

/*
 * Lists the suffixes that, put behind the first `*base_size` bytes of the name, make up
 * every name that the family claims in OpenMetrics: its own and those of its samples.
 *
 * desc      without a refusal
 * Returns   the number of suffixes, "" among them
 * Source    OpenMetrics 1.0, "MetricFamily": no name may equal another's with a suffix
 */
size_t prom_desc_claims(const struct prom_desc *desc, size_t *base_size,
		const char *suffixes[PROM_CLAIMS_MAX]);

#endif
