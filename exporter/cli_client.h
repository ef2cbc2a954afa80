/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_CLI_CLIENT_H
#define EXPORTER_CLI_CLIENT_H

/*
 * One page fetched by HTTP/1.0 over a plain socket, with a deadline and a largest size: who
 * answers may be anybody.
 */

#include <stddef.h>

struct prom_url {
	char host[256]; /* without brackets; "" for a UNIX socket */
	char port[8]; /* decimal */
	char path[1024]; /* with query, begins with '/' */
	char socket[108]; /* path of a UNIX socket, or "" */
};

/*
 * Splits http://HOST[:PORT][/PATH] or unix:PATH; without a path it is /metrics.
 *
 * Returns  NULL, or why not, as "reason. What to do."
 */
const char *prom_url_parse(const char *text, struct prom_url *out);

struct prom_reply {
	int status; /* of HTTP; 0 = what came is no HTTP */
	char *bytes; /* the whole reply; free(3) */
	char *body; /* in bytes, NUL-terminated; NULs inside have become '?' */
	const char *error; /* why there is no reply: a word for getaddrinfo(3)'s or errno's */
};

/*
 * Fetches the page within 5 s, at most 32 MiB.
 *
 * out      to be given to prom_reply_finish, also on errors
 * Returns  0, or -errno: -ECONNREFUSED, -ETIMEDOUT, -EMSGSIZE too large, -EHOSTUNREACH also
 *          for a name that nobody knows, ...
 */
int prom_url_fetch(const struct prom_url *url, struct prom_reply *out);
void prom_reply_finish(struct prom_reply *reply);

#endif
