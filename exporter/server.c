/* SPDX-License-Identifier: MIT */
#include "exporter/server.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "exporter/base/kernel.h"
#include "exporter/clock.h"
#include "exporter/connection.h"
#include "exporter/descriptor.h"
#include "exporter/listener.h"
#include "exporter/places.h"

enum {
	ALIGNMENT = 4096,
};

enum { POLL_STOP, POLL_LISTENER, POLL_CONNECTION = POLL_LISTENER + 2 };

static const uint64_t ns_per_ms = 1000000;
static const uint64_t pause_ns = 100000000; /* after accept or poll failed: no spinning */

struct prom_server {
	struct prom_service service;
	struct prom_listener listeners[2]; /* TCP, UNIX */
	int port_error, socket_error;
	_Atomic int accept_error; /* the last one; writer: run, reader: any; a lone number */
	int stop_fd; /* eventfd; -1 until listening */
	_Atomic bool is_stopping; /* writer: prom_server_stop, reader: run; publishes nothing */
	uint64_t accepts_at_ns; /* 0, or until when nothing is accepted */
	struct prom_places places;
};

static char *aligned_put(struct prom_arena *arena, size_t size_bytes) {
	char *bytes = prom_arena_put(arena, size_bytes + ALIGNMENT);
	if (bytes == NULL) {
		return NULL;
	}
	return bytes + (ALIGNMENT - (uintptr_t)bytes % ALIGNMENT) % ALIGNMENT;
}

struct prom_server *prom_server_create(struct prom_arena *arena,
		const struct prom_server_config *config) {
	unsigned replies = config->max_requests;
	size_t stride = (PROM_HEAD_ROOM + config->page_bytes + ALIGNMENT - 1) /
			ALIGNMENT * ALIGNMENT;
	replies = replies < 1                        ? 1
			: replies > PROM_REPLIES_MAX ? PROM_REPLIES_MAX
						     : replies;
	struct prom_server *server = prom_arena_put(arena, sizeof(*server));
	if (server == NULL) {
		return NULL;
	}
	memset(server, 0, offsetof(struct prom_server, places.table));
	struct prom_service *service = &server->service;
	service->config = *config;
	service->page_count = replies;
	service->page_stride = stride;
	service->scratch = prom_arena_put(arena, PROM_HTTP_HEAD_MAX);
	service->pages = aligned_put(arena, stride * replies);
	server->places.inputs =
			aligned_put(arena, (size_t)PROM_PLACES_MAX * PROM_HTTP_HEAD_MAX);
	if (service->scratch == NULL || service->pages == NULL ||
			server->places.inputs == NULL) {
		return NULL;
	}
	prom_counts_init(&service->counts);
	server->listeners[0].fd = -1;
	server->listeners[1].fd = -1;
	server->stop_fd = -1;
	return server;
}

/* Tells whether there is no such network here, or none for us: another try fails too. */
static bool is_final(int error) {
	return error == -EACCES || error == -EPERM || error == -EAFNOSUPPORT ||
			error == -EPROTONOSUPPORT;
}

int prom_server_listen(struct prom_server *server) {
	const struct prom_server_config *config = &server->service.config;
	bool has_path = config->socket_path[0] != '\0';
	int r = -EINVAL; /* neither port nor path */
	if (server->stop_fd >= 0) {
		return 0;
	}
	server->port_error = 0;
	server->socket_error = 0;
	int stop_fd = kernel_eventfd2(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd < 0) {
		return stop_fd;
	}
	if (config->port >= 0) {
		r = prom_listener_open_tcp(&server->listeners[0], config->address,
				config->port);
		server->port_error = r;
		if (r < 0 && !(has_path && is_final(r))) {
			goto close_stop;
		}
		server->service.is_loopback = server->listeners[0].is_loopback;
	}
	if (has_path) {
		server->socket_error = prom_listener_open_unix(&server->listeners[1],
				config->socket_path);
		r = r == 0 ? 0 : server->socket_error;
	}
	if (r < 0) {
		goto close_stop;
	}
	server->stop_fd = prom_descriptor_raise(stop_fd);
	server->listeners[0].fd = prom_descriptor_raise(server->listeners[0].fd);
	server->listeners[1].fd = prom_descriptor_raise(server->listeners[1].fd);
	return 0;

close_stop:
	(void)kernel_close(stop_fd);
	return r;
}

int prom_server_port_error(const struct prom_server *server) {
	return server->port_error;
}

int prom_server_accept_error(const struct prom_server *server) {
	/* relaxed: a lone number */
	return atomic_load_explicit(&server->accept_error, memory_order_relaxed);
}

int prom_server_socket_error(const struct prom_server *server) {
	return server->socket_error;
}

unsigned prom_server_port(const struct prom_server *server) {
	return server->listeners[0].fd < 0 ? 0 : server->listeners[0].port;
}

bool prom_server_is_loopback(const struct prom_server *server) {
	return server->service.is_loopback;
}

/*
 * Tells whether `fd` is the last that the limit leaves us. A client that kept it would keep
 * /proc from being read.
 */
static bool is_last_descriptor(int fd) {
	struct rlimit limit;
	return kernel_limit(RLIMIT_NOFILE, &limit) == 0 &&
			(rlim_t)fd + 1 >= limit.rlim_cur;
}

static void admit(struct prom_server *server, int fd, bool over_tcp) {
	const unsigned end = PROM_CONNECTIONS_MAX;
	struct prom_connection *connection = prom_place_find(&server->places, 0, end);
	if (connection == NULL &&
			prom_place_free(&server->service, &server->places, 0, end)) {
		connection = prom_place_find(&server->places, 0, end);
	}
	if (connection != NULL) {
		prom_connection_open(&server->service, connection, fd, over_tcp);
		connection->is_single = is_last_descriptor(fd);
		/* the request is often there already: saves one poll */
		prom_connection_ready(&server->service, connection);
		return;
	}
	connection = prom_place_find(&server->places, end, PROM_PLACES_MAX);
	if (connection == NULL &&
			prom_place_free(&server->service, &server->places, end,
					PROM_PLACES_MAX)) {
		connection = prom_place_find(&server->places, end, PROM_PLACES_MAX);
	}
	if (connection == NULL) {
		(void)kernel_close(fd);
		return;
	}
	prom_connection_refuse(&server->service, connection, fd);
}

/*
 * Accepts one connection. One a turn: each newcomer finds what everybody before it left,
 * places and pages, given back. When descriptors or memory are short, a dispensable
 * connection makes room; if there is none, nothing is accepted for a while: the listener
 * stays readable, and poll would return at once for ever.
 */
static void accept_one(struct prom_server *server, const struct prom_listener *listener) {
	int fd = prom_listener_accept(listener);
	if (fd >= 0) {
		admit(server, fd, listener->path == NULL);
		return;
	}
	if (fd == -EAGAIN || fd == -EINTR || fd == -ECONNABORTED) {
		return;
	}
	bool is_short = fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM;
	if (!is_short ||
			!prom_place_free(&server->service, &server->places, 0,
					PROM_PLACES_MAX)) {
		/* relaxed: a lone number */
		atomic_store_explicit(&server->accept_error, fd, memory_order_relaxed);
		server->accepts_at_ns = server->service.now_ns + pause_ns;
	}
}

/* Ends what is overdue; Returns how long poll may wait, in ms. */
static int deadlines_keep(struct prom_server *server) {
	struct prom_service *service = &server->service;
	uint64_t next_ns = UINT64_MAX;
	if (server->accepts_at_ns != 0 && server->accepts_at_ns <= service->now_ns) {
		server->accepts_at_ns = 0;
	}
	if (server->accepts_at_ns != 0) {
		next_ns = server->accepts_at_ns;
	}
	for (unsigned i = 0; i < server->places.used; i++) {
		struct prom_connection *connection = &server->places.table[i];
		if (connection->state == PROM_CONNECTION_FREE) {
			continue;
		}
		if (connection->deadline_ns <= service->now_ns) {
			prom_connection_expire(service, connection);
		}
		if (connection->state == PROM_CONNECTION_FREE) {
			continue;
		}
		if (connection->has_more) {
			next_ns = service->now_ns;
		} else if (connection->deadline_ns < next_ns) {
			next_ns = connection->deadline_ns;
		}
	}
	while (server->places.used > 0 &&
			server->places.table[server->places.used - 1].state ==
					PROM_CONNECTION_FREE) {
		server->places.used--;
	}
	if (next_ns == UINT64_MAX) {
		return -1;
	}
	uint64_t wait_ms = next_ns <= service->now_ns
			? 0
			: (next_ns - service->now_ns + ns_per_ms - 1) / ns_per_ms;
	return wait_ms > 60000 ? 60000 : (int)wait_ms;
}

static nfds_t polls_fill(const struct prom_server *server, struct pollfd *polls) {
	polls[POLL_STOP] = (struct pollfd){ .fd = server->stop_fd, .events = POLLIN };
	for (unsigned i = 0; i < 2; i++) {
		polls[POLL_LISTENER + i] = (struct pollfd){ .events = POLLIN,
			.fd = server->accepts_at_ns == 0 ? server->listeners[i].fd : -1 };
	}
	for (unsigned i = 0; i < server->places.used; i++) {
		const struct prom_connection *connection = &server->places.table[i];
		polls[POLL_CONNECTION + i] = (struct pollfd){ .fd = -1 };
		if (connection->state != PROM_CONNECTION_FREE) {
			polls[POLL_CONNECTION + i].fd = connection->fd;
			polls[POLL_CONNECTION + i].events =
					prom_connection_events(connection);
		}
	}
	return POLL_CONNECTION + server->places.used;
}

/*
 * Waits. A host that has lowered RLIMIT_NOFILE below what is open makes poll fail for
 * good: then everything is tried at a slow beat instead.
 */
static void polls_wait(struct pollfd *polls, nfds_t count, int wait_ms) {
	int r = kernel_poll(polls, count, wait_ms);
	if (r >= 0) {
		return;
	}
	if (r == -EINTR) {
		for (nfds_t i = 0; i < count; i++) {
			polls[i].revents = 0;
		}
		return;
	}
	const struct timespec beat = { .tv_nsec = (long)pause_ns };
	(void)kernel_nanosleep(&beat, NULL);
	for (nfds_t i = 0; i < count; i++) {
		polls[i].revents = polls[i].fd >= 0 ? polls[i].events : 0;
	}
}

static void stop_read(const struct prom_server *server) {
	uint64_t stops;
	while (kernel_read(server->stop_fd, &stops, sizeof(stops)) == -EINTR) {
	}
}

static void turn(struct prom_server *server) {
	struct pollfd polls[POLL_CONNECTION + PROM_PLACES_MAX];
	struct prom_service *service = &server->service;
	service->now_ns = prom_clock_ns(CLOCK_MONOTONIC);
	int wait_ms = deadlines_keep(server);
	nfds_t count = polls_fill(server, polls);
	polls_wait(polls, count, wait_ms);
	service->now_ns = prom_clock_ns(CLOCK_MONOTONIC);
	if (polls[POLL_STOP].revents != 0) {
		stop_read(server);
	}
	for (unsigned i = 0; i + POLL_CONNECTION < count; i++) {
		struct prom_connection *connection = &server->places.table[i];
		if (polls[POLL_CONNECTION + i].revents != 0 || connection->has_more) {
			prom_connection_ready(service, connection);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		if (polls[POLL_LISTENER + i].revents != 0) {
			accept_one(server, &server->listeners[i]);
		}
	}
}

void prom_server_run(struct prom_server *server) {
	/* relaxed: a lone flag; what comes after the stop is ordered by the thread's join */
	while (!atomic_load_explicit(&server->is_stopping, memory_order_relaxed)) {
		turn(server);
	}
	atomic_store_explicit(&server->is_stopping, false, memory_order_relaxed);
}

void prom_server_stop(struct prom_server *server) {
	const uint64_t one = 1;
	/* before the write, which orders it: who is woken sees the flag */
	atomic_store_explicit(&server->is_stopping, true, memory_order_relaxed);
	if (server->stop_fd >= 0) {
		while (kernel_write(server->stop_fd, &one, sizeof(one)) == -EINTR) {
		}
	}
}

void prom_server_close(struct prom_server *server) {
	for (unsigned i = 0; i < server->places.used; i++) {
		if (server->places.table[i].state != PROM_CONNECTION_FREE) {
			prom_connection_close(&server->service, &server->places.table[i]);
		}
	}
	server->places.used = 0;
	prom_listener_close(&server->listeners[0]);
	prom_listener_close(&server->listeners[1]);
	if (server->stop_fd >= 0) {
		(void)kernel_close(server->stop_fd);
		server->stop_fd = -1;
	}
}

void prom_server_continue(struct prom_server *server,
		const struct prom_http_counts *counts) {
	server->service.counts = *counts;
}

const struct prom_http_counts *prom_server_counts(const struct prom_server *server) {
	return &server->service.counts;
}

unsigned prom_server_in_flight(const struct prom_server *server) {
	return (unsigned)__builtin_popcountll(server->service.pages_taken);
}

size_t prom_server_touched_bytes(const struct prom_server *server) {
	return offsetof(struct prom_server, places.table) +
			server->places.used * sizeof(struct prom_connection) +
			server->service.touched_bytes;
}
