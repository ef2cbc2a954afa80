/* SPDX-License-Identifier: MIT */
#include "exporter/http.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

#define FIELDS "Host: localhost:19964\r\nUser-Agent: x/1\r\nAccept: */*;q=0.1\r\n"

struct valid {
	const char *name, *bytes;
	enum prom_method method;
	const char *path, *query, *host;
	bool keep_alive;
};

static const struct valid valids[] = {
	{ "plain", "GET /metrics HTTP/1.1\r\n" FIELDS "\r\n", PROM_METHOD_GET, "/metrics",
			"", "localhost:19964", true },
	{ "query", "GET /metrics?a=b&c=?d HTTP/1.1\r\nHost: a\r\n\r\n", PROM_METHOD_GET,
			"/metrics", "a=b&c=?d", "a", true },
	{ "empty query", "GET /? HTTP/1.1\r\nHost: a\r\n\r\n", PROM_METHOD_GET, "/", "",
			"a", true },
	{ "head, closing", "HEAD / HTTP/1.1\r\nHOST:a\r\nconnection: foo , CLOSE\r\n\r\n",
			PROM_METHOD_HEAD, "/", "", "a", false },
	{ "HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", PROM_METHOD_GET, "/", "", "", false },
	{ "HTTP/1.0 kept", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
			PROM_METHOD_GET, "/", "", "", true },
	{ "close wins", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
			PROM_METHOD_GET, "/", "", "", false },
	{ "absolute form", "GET HTTP://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
			PROM_METHOD_GET, "/x", "y", "b:1", true },
	{ "empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", PROM_METHOD_GET,
			"/", "", "a", true },
	{ "other method", "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", PROM_METHOD_OTHER,
			"/pot", "", "a", true },
	{ "methods are case-sensitive", "get / HTTP/1.1\r\nHost: a\r\n\r\n",
			PROM_METHOD_OTHER, "/", "", "a", true },
	{ "a POST with a body ends the connection",
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
			PROM_METHOD_OTHER, "/", "", "a", false },
	{ "empty body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
			PROM_METHOD_GET, "/", "", "a", true },
	{ "blanks around values",
			"GET / HTTP/1.1\r\nHost: \t a \t\r\nX:\r\nY: \t\r\n\r\n",
			PROM_METHOD_GET, "/", "", "a", true },
	{ "IPv6 host, bytes over 127 in a value",
			"GET / HTTP/1.1\r\nHost: [::1]:80\r\nX: \xc3\xa4\r\n\r\n",
			PROM_METHOD_GET, "/", "", "[::1]:80", true },
	{ "empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", PROM_METHOD_GET, "/", "", "",
			true },
};

static const struct {
	int status;
	const char *name, *bytes;
} invalids[] = {
	{ -400, "no Host", "GET / HTTP/1.1\r\n\r\n" },
	{ -400, "two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n" },
	{ -400, "Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
	{ -400, "Host with userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n" },
	{ -400, "folded line", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n" },
	{ -400, "space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n" },
	{ -400, "no colon", "GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n" },
	{ -400, "no name", "GET / HTTP/1.1\r\nHost: a\r\n: foo\r\n\r\n" },
	{ -400, "bare LF", "GET / HTTP/1.1\nHost: a\n\n" },
	{ -400, "bare CR", "GET / HTTP/1.1\rHost: a\r\n\r\n" },
	{ -400, "control character", "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n" },
	{ -400, "DEL", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n" },
	{ -400, "TLS", "\x16\x03\x01\x02" },
	{ -400, "HTTP/0.9", "GET /\r\n" },
	{ -400, "no target", "GET HTTP/1.1\r\n" },
	{ -400, "two blanks", "GET  / HTTP/1.1\r\n" },
	{ -400, "blank at the start", " GET / HTTP/1.1\r\n" },
	{ -400, "blank at the end", "GET / HTTP/1.1 \r\n" },
	{ -400, "two empty lines", "\r\n\r\n" },
	{ -400, "relative target", "GET metrics HTTP/1.1\r\n" },
	{ -400, "fragment", "GET /#a HTTP/1.1\r\n" },
	{ -400, "target over 127", "GET /\xc3\xa4 HTTP/1.1\r\n" },
	{ -400, "authority form", "CONNECT a:80 HTTP/1.1\r\n" },
	{ -400, "asterisk", "OPTIONS * HTTP/1.1\r\n" },
	{ -400, "absolute form without path", "GET http://a HTTP/1.1\r\n" },
	{ -400, "absolute form without host", "GET http:/// HTTP/1.1\r\n" },
	{ -400, "no version", "GET / HTTP\r\n" },
	{ -400, "lower-case version", "GET / http/1.1\r\n" },
	{ -400, "long version", "GET / HTTP/1.10\r\n" },
	{ -400, "two lengths",
			"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n" },
	{ -400, "length with a sign", "GET / HTTP/1.1\r\nContent-Length: +1\r\n" },
	{ -400, "empty length", "GET / HTTP/1.1\r\nContent-Length:\r\n" },
	{ -413, "body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n" },
	{ -413, "huge body",
			"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: "
			"99999999999999999999999999999999\r\n\r\n" },
	{ -413, "chunks",
			"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" },
	{ -505, "HTTP/2", "PRI * HTTP/2.0\r\n\r\n" },
	{ -505, "HTTP/1.2", "GET / HTTP/1.2\r\n" },
	{ -505, "HTTP/0.9, named", "GET / HTTP/0.9\r\n" },
};

static bool slice_is(struct prom_slice slice, const char *text) {
	return slice.size == strlen(text) &&
			(slice.size == 0 || memcmp(slice.bytes, text, slice.size) == 0);
}

static void test_valid(const struct valid *valid) {
	char name[128];
	char bytes[512];
	struct prom_request request;
	size_t size = strlen(valid->bytes);
	memcpy(bytes, valid->bytes, size);
	memcpy(bytes + size, "GET ", 4); /* the next one */
	int r = prom_http_parse(bytes, size + 4, &request);
	snprintf(name, sizeof(name), "valid: %s", valid->name);
	ok(r == 0 && request.method == valid->method &&
					slice_is(request.path, valid->path) &&
					slice_is(request.query, valid->query) &&
					slice_is(request.host, valid->host) &&
					request.keep_alive == valid->keep_alive &&
					request.head_size == size,
			name);
	unsigned others = 0;
	for (size_t cut = 0; cut < size; cut++) {
		/* on the heap and of just this size: a sanitizer sees every byte too far */
		char *piece = malloc(cut + 1);
		memcpy(piece, bytes, cut);
		others += prom_http_parse(piece, cut, &request) != -EAGAIN;
		free(piece);
	}
	snprintf(name, sizeof(name), "every truncation wants more: %s", valid->name);
	is(others, 0, name);
}

static void test_invalid(void) {
	for (size_t i = 0; i < sizeof(invalids) / sizeof(invalids[0]); i++) {
		struct prom_request request;
		char name[128];
		unsigned accepted = 0;
		size_t size = strlen(invalids[i].bytes);
		int r = prom_http_parse(invalids[i].bytes, size, &request);
		snprintf(name, sizeof(name), "refused: %s", invalids[i].name);
		is(r, invalids[i].status, name);
		for (size_t cut = 0; cut < size; cut++) {
			accepted += prom_http_parse(invalids[i].bytes, cut, &request) ==
					0;
		}
		snprintf(name, sizeof(name), "no part is accepted: %s", invalids[i].name);
		is(accepted, 0, name);
	}
}

/* `start`, then `filler` up to `size`, then `end`. */
static int parse_huge(const char *start, char filler, size_t size, const char *end) {
	struct prom_request request;
	size_t start_size = strlen(start);
	size_t end_size = strlen(end);
	char *bytes = malloc(size + end_size);
	memset(bytes, filler, size);
	memcpy(bytes, start, start_size);
	memcpy(bytes + size, end, end_size);
	int r = prom_http_parse(bytes, size + end_size, &request);
	free(bytes);
	return r;
}

static void test_huge(void) {
	const char *start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
	is(parse_huge("GET /", 'a', 1 << 20, " HTTP/1.1\r\n"), -414, "a target of 1 MiB");
	is(parse_huge("GET /", 'a', 4096, ""), -414, "a target without end");
	is(parse_huge("GET /", 'a', 2048 + 4, " HTTP/1.1\r\nHost: a\r\n\r\n"), 0,
			"a target of 2 KiB");
	is(parse_huge("GET /", 'a', 2049 + 4, " HTTP/1.1\r\nHost: a\r\n\r\n"), -414,
			"a target of 2 KiB and a byte");
	is(parse_huge("", 'A', 1 << 20, ""), -414, "a method of 1 MiB");
	is(parse_huge("", '\0', 1 << 20, ""), -400, "1 MiB of zeros");
	is(parse_huge(start, 'a', PROM_HTTP_HEAD_MAX - 4, "\r\n\r\n"), 0,
			"a head of 8 KiB");
	is(parse_huge(start, 'a', PROM_HTTP_HEAD_MAX - 3, "\r\n\r\n"), -431,
			"a head of 8 KiB and a byte");
	is(parse_huge(start, 'a', PROM_HTTP_HEAD_MAX, ""), -431,
			"a head that fills 8 KiB");
	is(parse_huge(start, 'a', PROM_HTTP_HEAD_MAX - 1, ""), -EAGAIN,
			"a head that may still end within 8 KiB");
	is(parse_huge(start, 'a', 1 << 20, "\r\n\r\n"), -431, "a head of 1 MiB");
}

static bool is_local(const char *host, const char *address) {
	return prom_http_host_is_local((struct prom_slice){ host, strlen(host) },
			address);
}

static void test_host(void) {
	static const char *const local[] = { "", "localhost", "LocalHost:19964",
		"127.0.0.1", "127.0.0.1:80", "127.255.0.9:", "[::1]", "[::1]:19964" };
	static const char *const foreign[] = { "evil.example", "evil.example:19964",
		"localhost.evil.example", "localhostx", "127.0.0.1.evil.example",
		"128.0.0.1", "127.0.0", "127.0.0.256", "127.0.0.0001", "127..0.1",
		"127.0.0.1.", "0.0.0.0", "10.0.0.1", "[::2]", "[::1", "[::1]x", "[::1]:x",
		"localhost:80x", ":80", "::1", "[]", "2130706433" };
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		ok(is_local(local[i], "127.0.0.1"), local[i]);
	}
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		ok(!is_local(foreign[i], "127.0.0.1"), foreign[i]);
	}
	ok(is_local("[0::1]:80", "0::1"), "the address as it was set, IPv6");
	ok(!is_local(":80", ""), "no address allows nothing more");
}

static void test_head(void) {
	char bytes[512];
	struct prom_buf out;
	prom_buf_init(&out, bytes, sizeof(bytes) - 1);
	prom_http_head(&out, 200, "text/plain", 12, true);
	bytes[out.used_bytes] = '\0';
	is_text(bytes,
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n"
			"X-Content-Type-Options: nosniff\r\nConnection: keep-alive\r\n\r\n",
			"head of a 200");
	prom_buf_clear(&out);
	prom_http_head(&out, 405, "text/plain", 0, false);
	bytes[out.used_bytes] = '\0';
	is_text(bytes,
			"HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\n"
			"Content-Length: 0\r\nAllow: GET, HEAD\r\n"
			"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
			"head of a 405");
	static const int statuses[] = { 200, 400, 404, 405, 408, 413, 414, 421, 431, 500,
		503, 505 };
	unsigned nameless = 0;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		nameless += prom_http_reason(statuses[i])[0] == '\0';
	}
	is(nameless, 0, "every status has a reason");
	is_text(prom_http_reason(302), "", "an unknown status has none");
}

int main(void) {
	for (size_t i = 0; i < sizeof(valids) / sizeof(valids[0]); i++) {
		test_valid(&valids[i]);
	}
	test_invalid();
	test_huge();
	test_host();
	test_head();
	return tap_done();
}
