/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_ROUTE_H
#define EXPORTER_ROUTE_H

/* Which path is answered by what. */

#include "exporter/buf.h"
#include "exporter/http.h"

/*
 * Answers a request; as server.h wants it.
 *
 * user     a struct prom_scrape
 * body     out: appended to
 * type     out: Content-Type; constant
 * Returns  the status
 */
int prom_route(void *user, const struct prom_request *request, struct prom_buf *body,
		const char **type);

#endif
