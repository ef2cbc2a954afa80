/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_PLACES_H
#define EXPORTER_PLACES_H

/*
 * The fixed table of connections, and who has to leave it first.
 *
 * Places below `used` are initialised, the others never touched: a server with one client
 * costs one place. The last PROM_REFUSED_MAX are for clients that were told 503 and are
 * being drained.
 */

#include "exporter/connection.h"

enum {
	PROM_REFUSED_MAX = 16,
	PROM_PLACES_MAX = PROM_CONNECTIONS_MAX + PROM_REFUSED_MAX,
};

struct prom_places {
	char *inputs; /* PROM_HTTP_HEAD_MAX for each place */
	unsigned used;
	struct prom_connection table[PROM_PLACES_MAX];
};

/* Returns a free place among [first, end), or NULL. */
struct prom_connection *prom_place_find(struct prom_places *places, unsigned first,
		unsigned end);

/*
 * Closes the most dispensable connection of [first, end), the oldest of its kind: drained,
 * then idle between requests, then silent since it came (which is told 503).
 *
 * Returns  false when each of them has a request under way
 */
bool prom_place_free(struct prom_service *service, struct prom_places *places,
		unsigned first, unsigned end);

#endif
