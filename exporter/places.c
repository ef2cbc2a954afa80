/* SPDX-License-Identifier: MIT */
#include "exporter/places.h"

static const uint64_t fresh_ns =
		20000000; /* a client that sends at once is not yet silent */

struct prom_connection *prom_place_find(struct prom_places *places, unsigned first,
		unsigned end) {
	for (unsigned i = first; i < end; i++) {
		while (places->used <= i) {
			struct prom_connection *new = &places->table[places->used];
			*new = (struct prom_connection){ .fd = -1,
				.input = places->inputs +
						(size_t)places->used *
								PROM_HTTP_HEAD_MAX };
			places->used++;
		}
		if (places->table[i].state == PROM_CONNECTION_FREE) {
			return &places->table[i];
		}
	}
	return NULL;
}

/* How dispensable a connection is; 0 = not. */
static unsigned dispensability(const struct prom_service *service,
		const struct prom_connection *connection) {
	switch (connection->state) {
	case PROM_CONNECTION_DRAINING:
		return 3;
	case PROM_CONNECTION_IDLE:
		return 2;
	case PROM_CONNECTION_FRESH:
		return service->now_ns - connection->since_ns >= fresh_ns;
	case PROM_CONNECTION_FREE:
	case PROM_CONNECTION_READING:
	case PROM_CONNECTION_WRITING:
		break;
	}
	return 0;
}

bool prom_place_free(struct prom_service *service, struct prom_places *places,
		unsigned first, unsigned end) {
	struct prom_connection *victim = NULL;
	unsigned most = 0;
	for (unsigned i = first; i < end && i < places->used; i++) {
		struct prom_connection *connection = &places->table[i];
		unsigned rank = dispensability(service, connection);
		if (rank > most ||
				(rank > 0 && rank == most &&
						connection->since_ns <
								victim->since_ns)) {
			most = rank;
			victim = connection;
		}
	}
	if (victim == NULL) {
		return false;
	}
	prom_connection_expel(service, victim);
	return true;
}
