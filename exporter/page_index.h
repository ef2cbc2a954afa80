/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_PAGE_INDEX_H
#define EXPORTER_PAGE_INDEX_H

#include "exporter/buf.h"
#include "exporter/registry.h"

/*
 * Appends the page `/` as plain text: who is counted, where the rest is, the families and
 * what they mean, the settings in force, and the last messages, oldest first.
 *
 * segment  mapped and valid; its strings are shown with control characters as '?'
 */
void prom_page_index(const struct shim_segment *segment,
		const struct prom_registry *registry, struct prom_buf *out);

#endif
