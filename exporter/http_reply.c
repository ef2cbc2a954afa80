/* SPDX-License-Identifier: MIT */
#include "exporter/http.h"

const char *prom_http_reason(int status) {
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 421, "Misdirected Request" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status) {
			return reasons[i].reason;
		}
	}
	return "";
}

void prom_http_head(struct prom_buf *out, int status, const char *type, size_t body_size,
		bool keep_alive) {
	prom_buf_text(out, "HTTP/1.1 ");
	prom_buf_uint(out, (uint64_t)status);
	prom_buf_char(out, ' ');
	prom_buf_text(out, prom_http_reason(status));
	prom_buf_text(out, "\r\nContent-Type: ");
	prom_buf_text(out, type);
	prom_buf_text(out, "\r\nContent-Length: ");
	prom_buf_uint(out, body_size);
	if (status == 405) {
		prom_buf_text(out, "\r\nAllow: GET, HEAD");
	}
	/* a page is no script and no style, whatever a program is called */
	prom_buf_text(out, "\r\nX-Content-Type-Options: nosniff");
	prom_buf_text(out,
			keep_alive ? "\r\nConnection: keep-alive\r\n\r\n"
				   : "\r\nConnection: close\r\n\r\n");
}
