/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_LISTENER_H
#define EXPORTER_LISTENER_H

/*
 * Sockets that wait for connections: TCP by number, never by name, and UNIX sockets that
 * nobody but their owner can open. All are CLOEXEC and nonblocking.
 */

#include <stdbool.h>
#include <stdint.h>

struct prom_listener {
	int fd; /* -1 = closed */
	unsigned port; /* TCP, as bound */
	bool is_loopback; /* TCP on 127.0.0.0/8 or ::1 */
	const char *path; /* UNIX; NULL for TCP. The caller's */
	uint64_t device, inode; /* of `path`: what is unlinked again, and nothing else */
};

/*
 * Listens on `port` of `address`: a number, "localhost" (127.0.0.1), or "*" (any IPv6 and
 * IPv4, or IPv4 alone where there is no IPv6).
 *
 * Returns  0; -EINVAL not such an address; -errno of socket(2), bind(2), listen(2); then
 *          the listener is closed
 */
int prom_listener_open_tcp(struct prom_listener *listener, const char *address, int port);

/*
 * Listens on the UNIX socket `path`, mode 0600 before anybody can connect. A socket that
 * nobody answers any more is replaced; nothing else is.
 *
 * Returns  0; -ENAMETOOLONG; -EADDRINUSE somebody answers there; -ENOTSOCK another kind
 *          of file is there; -errno of socket(2), bind(2), listen(2)
 * Source   unix(7)
 */
int prom_listener_open_unix(struct prom_listener *listener, const char *path);

/* Closes, and unlinks the path if it is still ours; accepts a closed listener. */
void prom_listener_close(struct prom_listener *listener);

/* Returns  a CLOEXEC, nonblocking connection, or -errno of accept4(2) */
int prom_listener_accept(const struct prom_listener *listener);

#endif
