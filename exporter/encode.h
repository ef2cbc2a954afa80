/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_ENCODE_H
#define EXPORTER_ENCODE_H

/* Families into bytes. An encoder knows nothing of what is measured, or of sockets. */

#include "exporter/buf.h"
#include "exporter/metric.h"

#define PROM_TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * Appends `count` families as Prometheus text 0.0.4, HELP before TYPE, `\n` line ends.
 *
 * out      failed when the page does not fit; what is there then ends with a whole family
 * Source   Prometheus docs, "Exposition formats", text-based format
 */
void prom_encode_text(const struct prom_family *families, size_t count,
		struct prom_buf *out);

#endif
