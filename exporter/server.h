/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_SERVER_H
#define EXPORTER_SERVER_H

/*
 * Sockets: one thread, one poll loop, a fixed table of connections.
 *
 * A connection is reading, writing or idle between requests; each state has a deadline, so
 * no client can hold a place for ever. When the table is full the longest idle connection
 * makes room, else the newcomer is told 503 and closed. Replies are built by the handler
 * into a page of fixed memory; a reader too slow for `max_requests` pages gets 503.
 * Nothing here allocates after init, and the listening sockets open last.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporter/arena.h"
#include "exporter/buf.h"
#include "exporter/http.h"

enum { PROM_CONNECTIONS_MAX = 128 };

/* Answers by status, for promshim_exporter_http_requests_total{code}. Writer: the server. */
struct prom_http_counts {
	int status[16]; /* 200, 404, ...: every status the server can answer; 0 ends the list */
	uint64_t answers[16];
};

/*
 * Answers one request.
 *
 * body     out: the reply's body; empty at first; must not stay empty on 200
 * type     out: Content-Type, a constant
 * Returns  the HTTP status
 */
typedef int (*prom_handler_fn)(void *user, const struct prom_request *request,
		struct prom_buf *body, const char **type);

struct prom_server_config {
	const char *address; /* numeric IPv4 or IPv6, "localhost" (127.0.0.1), or "*" (any, IPv6 and 4) */
	int port; /* 0 to 65535; -1 = no TCP */
	const char *socket_path; /* UNIX socket, "" = none; made 0600, a stale one is replaced */
	unsigned max_requests; /* replies in flight */
	uint64_t timeout_ns; /* for a whole request, and for taking its reply */
	size_t page_bytes; /* largest body */
	prom_handler_fn handler;
	void *user;
};

struct prom_server; /* in the arena given to create */

/* Makes a server without sockets; NULL when the arena is full. */
struct prom_server *prom_server_create(struct prom_arena *arena,
		const struct prom_server_config *config);

/*
 * Binds and listens: TCP first, then the UNIX socket. All descriptors are CLOEXEC and
 * nonblocking. May be called again until it succeeds.
 *
 * Returns  0, or -errno (-EADDRINUSE: somebody holds the port; -EADDRNOTAVAIL, -EACCES, ...);
 *          then nothing is open. One of the two that fails is no error while the other
 *          stands: the functions below tell it. But a port that may be free later is
 *          waited for
 */
int prom_server_listen(struct prom_server *server);
int prom_server_port_error(const struct prom_server *server); /* 0 or -errno */
int prom_server_socket_error(const struct prom_server *server); /* 0 or -errno */
/* The last client that had to wait: 0, or -errno of accept(2). */
int prom_server_accept_error(const struct prom_server *server);
unsigned prom_server_port(const struct prom_server *server); /* bound port; 0 = none */
bool prom_server_is_loopback(const struct prom_server *server);

/*
 * Serves until prom_server_stop. EINTR, EMFILE, resets and half requests are borne.
 *
 * Calls    the server thread; no lock, no heap
 */
void prom_server_run(struct prom_server *server);

/* Makes prom_server_run return soon: any thread, writes the eventfd in the table it shares. */
void prom_server_stop(struct prom_server *server);

/* Closes every descriptor, unlinks the socket; the thread that ran must be gone. */
void prom_server_close(struct prom_server *server);

/* Goes on counting from `counts`, of a server that this one takes the place of. */
void prom_server_continue(struct prom_server *server,
		const struct prom_http_counts *counts);

const struct prom_http_counts *prom_server_counts(const struct prom_server *server);
unsigned prom_server_in_flight(const struct prom_server *server);
size_t prom_server_touched_bytes(
		const struct prom_server *server); /* resident, at most */

#endif
