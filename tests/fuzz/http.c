/* SPDX-License-Identifier: MIT */
/*
 * Request heads. The first byte is how many times 80 letters stand for the first '~', as limits
 * are about long heads; the rest are a client's bytes.
 */
#include "exporter/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "tests/fuzz/fuzz.h"

enum { LETTERS = 80, PREFIXES = 200 };

/* The client's bytes, in memory of exactly their size. */
static char *request_make(const uint8_t *data, size_t size, size_t *ret_size) {
	size_t letters = (size_t)data[0] * LETTERS;
	const uint8_t *mark = memchr(data + 1, '~', size - 1);
	size_t before = mark == NULL ? size - 1 : (size_t)(mark - data) - 1;
	size_t after = mark == NULL ? 0 : size - before - 2;
	letters = mark == NULL ? 0 : letters;
	*ret_size = before + letters + after;
	char *bytes = malloc(*ret_size > 0 ? *ret_size : 1);
	if (bytes == NULL) {
		abort();
	}
	memcpy(bytes, data + 1, before);
	memset(bytes + before, 'x', letters);
	memcpy(bytes + before + letters, data + size - after, after);
	return bytes;
}

static void slice_check(struct prom_slice slice, const char *bytes, size_t head_size) {
	REQUIRE(slice.size == 0 ||
			(slice.bytes >= bytes && slice.bytes <= bytes + head_size &&
					slice.size <= (size_t)(bytes + head_size -
								      slice.bytes)));
	for (size_t i = 0; i < slice.size; i++) {
		unsigned char c = (unsigned char)slice.bytes[i];
		REQUIRE(c > ' ' && c < 0x7f);
	}
}

static void request_check(const struct prom_request *request, const char *bytes,
		size_t size) {
	REQUIRE(request->head_size >= sizeof("A / HTTP/1.0\r\n\r\n") - 1);
	REQUIRE(request->head_size <= size && request->head_size <= PROM_HTTP_HEAD_MAX);
	REQUIRE(memcmp(bytes + request->head_size - 4, "\r\n\r\n", 4) == 0);
	slice_check(request->path, bytes, request->head_size);
	slice_check(request->query, bytes, request->head_size);
	slice_check(request->host, bytes, request->head_size);
	REQUIRE(request->path.size > 0 && request->path.bytes[0] == '/');
	REQUIRE(memchr(request->path.bytes, '?', request->path.size) == NULL);
	REQUIRE(memchr(bytes, '\0', request->head_size) == NULL);
	REQUIRE(memmem(bytes + 2, request->head_size - 6, "\r\n\r\n", 4) == NULL);
}

static bool is_known(int status) {
	return status == -400 || status == -413 || status == -414 || status == -431 ||
			status == -505;
}

/* 127.a.b.c, localhost or ::1, said by sscanf; ports are cut off before. */
static bool is_loopback(const char *name) {
	unsigned a, b, c, d;
	int end = 0;
	if (strcasecmp(name, "localhost") == 0 || strcasecmp(name, "[::1]") == 0) {
		return true;
	}
	return sscanf(name, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &end) == 4 &&
			name[end] == '\0' && a == 127 && b < 256 && c < 256 && d < 256;
}

/* Who is let in from a web page: held against another way to look at it. */
static void host_check(struct prom_slice host) {
	char name[256];
	if (!prom_http_host_is_local(host, "10.1.2.3") || host.size == 0 ||
			host.size >= sizeof(name)) {
		return;
	}
	memcpy(name, host.bytes, host.size);
	name[host.size] = '\0';
	char *port = strrchr(name, ':');
	if (port != NULL && strchr(port, ']') == NULL) {
		REQUIRE(strspn(port + 1, "0123456789") == strlen(port + 1));
		*port = '\0';
	}
	REQUIRE(is_loopback(name) || strcmp(name, "10.1.2.3") == 0 ||
			strcmp(name, "[10.1.2.3]") == 0);
}

/* What came in pieces is answered as what came at once: one answer, once there is one. */
static void prefixes_check(const char *bytes, size_t size, int whole,
		const struct prom_request *request) {
	size_t step = size / PREFIXES + 1;
	bool answered = false;
	for (size_t cut = 0; cut < size; cut += step) {
		struct prom_request part;
		int r = prom_http_parse(bytes, cut, &part);
		REQUIRE(r == -EAGAIN || r == whole);
		REQUIRE(r == -EAGAIN ? !answered : true);
		answered = r != -EAGAIN;
		REQUIRE(r != 0 ||
				(part.head_size == request->head_size &&
						part.keep_alive == request->keep_alive &&
						part.method == request->method));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct prom_request request = { 0 };
	if (size == 0) {
		return 0;
	}
	char *bytes = request_make(data, size, &size);
	int r = prom_http_parse(bytes, size, &request);
	REQUIRE(r == 0 || r == -EAGAIN || is_known(r));
	REQUIRE(r != -EAGAIN || size < PROM_HTTP_HEAD_MAX);
	if (r == 0) {
		request_check(&request, bytes, size);
		host_check(request.host);
	}
	prefixes_check(bytes, size, r, &request);
	host_check((struct prom_slice){ bytes, size < 200 ? size : 200 });
	free(bytes);
	return 0;
}
