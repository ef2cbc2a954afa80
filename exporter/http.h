/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_HTTP_H
#define EXPORTER_HTTP_H

/*
 * HTTP/1.x as bytes: a request parsed, a reply's head written. No sockets, no state between
 * calls: every function is pure over its bytes, so it can be tested and fuzzed to the end.
 */

#include <stdbool.h>
#include <stddef.h>

#include "exporter/buf.h"

enum { PROM_HTTP_HEAD_MAX = 8192 }; /* bytes of request line and headers; more: 431 */

struct prom_slice { /* points into the request's bytes */
	const char *bytes;
	size_t size;
};

enum prom_method { PROM_METHOD_GET, PROM_METHOD_HEAD, PROM_METHOD_OTHER };

struct prom_request {
	enum prom_method method;
	struct prom_slice
			path; /* percent-encoding as sent, without query; starts with '/' */
	struct prom_slice query; /* after '?', may be empty */
	struct prom_slice
			host; /* value of Host or of an absolute-form target; empty if none */
	bool keep_alive; /* by version and Connection */
	size_t head_size; /* bytes up to and including the empty line */
};

/*
 * Parses one request head at the start of `bytes`.
 *
 * out      filled when the result is 0
 * Returns  0 whole head parsed; -EAGAIN more bytes are needed; else the negative status
 *          to answer before closing: -400 malformed (obs-fold, a space before the colon, two
 *          Hosts, HTTP/1.1 without Host, control characters, ...), -413 a GET or HEAD
 *          announces a body (Content-Length > 0 or Transfer-Encoding; other methods parse,
 *          without keep_alive, so that they can be told 405), -414 target over 2 KiB, -431
 *          head over PROM_HTTP_HEAD_MAX, -505 not HTTP/1.0 or 1.1
 * Source   RFC 9112 sections 2 to 6; RFC 9110 section 7.2 (Host)
 */
int prom_http_parse(const char *bytes, size_t size, struct prom_request *out);

/*
 * Tells whether a server bound to loopback may answer to this Host: `localhost`, a
 * loopback number (127.0.0.0/8, [::1]), or `address`, each with any port; empty (HTTP/1.0)
 * counts as allowed. Refusing the rest (421) is what stops DNS rebinding from a web page.
 */
bool prom_http_host_is_local(struct prom_slice host, const char *address);

/*
 * Appends status line and headers: Date is left out, Content-Length always there.
 *
 * status   200, 400, 404, 405 (adds Allow: GET, HEAD), 408, 413, 414, 421, 431, 500, 503, 505
 * type     value of Content-Type
 */
void prom_http_head(struct prom_buf *out, int status, const char *type, size_t body_size,
		bool keep_alive);

/* "OK" for 200, ...; "" for a status that prom_http_head does not know. */
const char *prom_http_reason(int status);

#endif
