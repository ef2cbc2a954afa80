/* SPDX-License-Identifier: MIT */
#include "exporter/route.h"

#include <string.h>

#include "exporter/encode.h"
#include "exporter/page_index.h"
#include "exporter/scrape.h"

static bool path_is(const struct prom_request *request, const char *path) {
	size_t size = strlen(path);
	return request->path.size == size && memcmp(request->path.bytes, path, size) == 0;
}

int prom_route(void *user, const struct prom_request *request, struct prom_buf *body,
		const char **type) {
	struct prom_scrape *scrape = user;
	if (path_is(request, "/metrics") || path_is(request, "/metrics/")) {
		prom_scrape_write(scrape, body);
		*type = PROM_TEXT_CONTENT_TYPE;
		return 200;
	}
	*type = "text/plain; charset=utf-8";
	if (path_is(request, "/")) {
		prom_page_index(scrape->segment, &scrape->registry, body);
		return 200;
	}
	if (path_is(request, "/-/healthy")) {
		prom_buf_text(body, "promshim is healthy.\n");
		return 200;
	}
	if (path_is(request, "/-/ready")) {
		prom_buf_text(body, "promshim is ready.\n");
		return 200;
	}
	prom_buf_text(body, "404 Not Found: metrics are at /metrics, everything at /\n");
	return 404;
}
