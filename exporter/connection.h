/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_CONNECTION_H
#define EXPORTER_CONNECTION_H

/*
 * One client: bytes in, requests answered in order, bytes out.
 *
 * FRESH -> READING -> IDLE -> READING ...      the head comes whole or in pieces
 *          READING -> WRITING -> IDLE          the socket did not take the reply at once
 *          READING, WRITING -> DRAINING        answered for the last time
 * Any state -> FREE on error, end of stream, or deadline. A reply is built in one of the
 * pages, which the connection holds only while it is WRITING; input is kept only while a
 * request is incomplete. So idle clients cost no memory.
 */

#include "exporter/server.h"

enum {
	PROM_REPLIES_MAX = 64, /* ceiling of config->max_requests */
	PROM_HEAD_ROOM = 256, /* in front of each page; the longest head has 204 bytes */
};

enum prom_connection_state {
	PROM_CONNECTION_FREE,
	PROM_CONNECTION_FRESH, /* accepted, nothing came yet */
	PROM_CONNECTION_READING, /* part of a request is here */
	PROM_CONNECTION_WRITING, /* a reply waits for room in the socket */
	PROM_CONNECTION_IDLE, /* between requests */
	PROM_CONNECTION_DRAINING, /* what still comes is thrown away: a close would reset */
};

struct prom_connection {
	enum prom_connection_state state;
	int fd;
	bool over_tcp;
	bool is_single; /* one request only: no descriptor is to spare */
	bool is_last; /* WRITING: nothing is read after this reply */
	bool has_more; /* READING: whole requests may wait in `input` */
	unsigned page; /* WRITING: which */
	char *input; /* PROM_HTTP_HEAD_MAX bytes, page-aligned */
	size_t input_used;
	bool input_touched;
	const char *reply; /* WRITING: what is left of it */
	size_t reply_left;
	size_t drained_bytes;
	uint64_t since_ns; /* when the state was taken */
	uint64_t deadline_ns; /* when it ends */
};

/* What all connections of a server share. */
struct prom_service {
	struct prom_server_config config; /* strings are the caller's */
	bool is_loopback;
	uint64_t now_ns;
	struct prom_http_counts counts;
	char *scratch; /* PROM_HTTP_HEAD_MAX bytes: input that needs no keeping */
	char *pages; /* each PROM_HEAD_ROOM and then the body; aligned to 4096 */
	size_t page_stride;
	uint64_t pages_taken; /* bit per page */
	unsigned page_count;
	size_t touched_bytes; /* of input buffers and pages, at most so much is resident */
	size_t page_high[PROM_REPLIES_MAX]; /* bytes of each page that were used */
};

/* Fills the list of statuses with zero counts. */
void prom_counts_init(struct prom_http_counts *counts);

/* Takes over `fd`; connection->input is set already. */
void prom_connection_open(struct prom_service *service,
		struct prom_connection *connection, int fd, bool over_tcp);

/* Says 503 on `fd` and takes it over for draining. */
void prom_connection_refuse(struct prom_service *service,
		struct prom_connection *connection, int fd);

void prom_connection_close(struct prom_service *service,
		struct prom_connection *connection);

/* Closes to make room: who was never answered is told 503. */
void prom_connection_expel(struct prom_service *service,
		struct prom_connection *connection);

/* What poll(2) shall wait for. */
short prom_connection_events(const struct prom_connection *connection);

/* Goes on as far as it can without waiting; the socket may be ready, or has_more is set. */
void prom_connection_ready(struct prom_service *service,
		struct prom_connection *connection);

/* Ends a state whose deadline has passed; half a request is answered with 408. */
void prom_connection_expire(struct prom_service *service,
		struct prom_connection *connection);

#endif
