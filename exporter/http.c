/* SPDX-License-Identifier: MIT */
#include "exporter/http.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum {
	TARGET_MAX = 2048, /* longer: 414 */
	REQUEST_LINE_MAX =
			TARGET_MAX + 64, /* a longer one, whatever is long in it: 414 */
};

/* What the header lines of one request said. */
struct fields {
	struct prom_slice host;
	unsigned hosts;
	unsigned lengths;
	bool has_body;
	bool close;
	bool keep_alive;
};

static bool is_token_char(unsigned char c) {
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
		return true;
	}
	return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

/* Characters of uri-host and port: RFC 3986 section 3.2.2, with IPv6 brackets. */
static bool is_host_char(unsigned char c) {
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
		return true;
	}
	return c != '\0' && strchr("-._~%!$&'()*+,;=:[]", c) != NULL;
}

static char lower(char c) {
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool slice_is(struct prom_slice slice, const char *word) {
	size_t size = strlen(word);
	if (slice.size != size) {
		return false;
	}
	for (size_t i = 0; i < size; i++) {
		if (lower(slice.bytes[i]) != lower(word[i])) {
			return false;
		}
	}
	return true;
}

static struct prom_slice slice_trim(struct prom_slice slice) {
	while (slice.size > 0 && (slice.bytes[0] == ' ' || slice.bytes[0] == '\t')) {
		slice.bytes++;
		slice.size--;
	}
	while (slice.size > 0 &&
			(slice.bytes[slice.size - 1] == ' ' ||
					slice.bytes[slice.size - 1] == '\t')) {
		slice.size--;
	}
	return slice;
}

static bool host_is_valid(struct prom_slice host) {
	for (size_t i = 0; i < host.size; i++) {
		if (!is_host_char((unsigned char)host.bytes[i])) {
			return false;
		}
	}
	return true;
}

/*
 * Takes the next line off `*rest`; CRLF alone ends a line.
 *
 * Returns  0; -EAGAIN no end yet; -400 a control character, a bare CR or LF
 */
static int line_take(struct prom_slice *rest, struct prom_slice *line) {
	for (size_t i = 0; i < rest->size; i++) {
		unsigned char c = (unsigned char)rest->bytes[i];
		if (c == '\r') {
			if (i + 1 == rest->size) {
				return -EAGAIN;
			}
			if (rest->bytes[i + 1] != '\n') {
				return -400;
			}
			*line = (struct prom_slice){ rest->bytes, i };
			rest->bytes += i + 2;
			rest->size -= i + 2;
			return 0;
		}
		if ((c < ' ' && c != '\t') || c == 0x7f) {
			return -400;
		}
	}
	return -EAGAIN;
}

/* Splits http://host/path?query or /path?query. */
static int target_parse(struct prom_slice target, struct prom_request *out) {
	static const char scheme[] = "http://";
	const size_t scheme_size = sizeof(scheme) - 1;
	for (size_t i = 0; i < target.size; i++) {
		unsigned char c = (unsigned char)target.bytes[i];
		if (c <= ' ' || c >= 0x7f || c == '#') {
			return -400;
		}
	}
	if (target.size > scheme_size &&
			slice_is((struct prom_slice){ target.bytes, scheme_size },
					scheme)) {
		target.bytes += scheme_size;
		target.size -= scheme_size;
		const char *slash = memchr(target.bytes, '/', target.size);
		if (slash == NULL) {
			return -400;
		}
		out->host = (struct prom_slice){ target.bytes,
			(size_t)(slash - target.bytes) };
		if (out->host.size == 0 || !host_is_valid(out->host)) {
			return -400;
		}
		target.size -= out->host.size;
		target.bytes = slash;
	}
	if (target.size == 0 || target.bytes[0] != '/') {
		return -400;
	}
	const char *mark = memchr(target.bytes, '?', target.size);
	out->path = target;
	out->query = (struct prom_slice){ target.bytes + target.size, 0 };
	if (mark != NULL) {
		out->path.size = (size_t)(mark - target.bytes);
		out->query = (struct prom_slice){ mark + 1,
			target.size - out->path.size - 1 };
	}
	return 0;
}

static int version_parse(struct prom_slice version, int *minor) {
	if (version.size != 8 || memcmp(version.bytes, "HTTP/", 5) != 0 ||
			version.bytes[6] != '.' || version.bytes[5] < '0' ||
			version.bytes[5] > '9' || version.bytes[7] < '0' ||
			version.bytes[7] > '9') {
		return -400;
	}
	if (version.bytes[5] != '1' || version.bytes[7] > '1') {
		return -505;
	}
	*minor = version.bytes[7] - '0';
	return 0;
}

static int request_line_parse(struct prom_slice line, struct prom_request *out,
		int *minor) {
	struct prom_slice method = { line.bytes, 0 };
	while (method.size < line.size &&
			is_token_char((unsigned char)line.bytes[method.size])) {
		method.size++;
	}
	if (method.size == 0 || method.size == line.size ||
			line.bytes[method.size] != ' ') {
		return -400;
	}
	struct prom_slice target = { line.bytes + method.size + 1, 0 };
	size_t rest = line.size - method.size - 1;
	const char *blank = memchr(target.bytes, ' ', rest);
	if (blank == NULL) {
		return -400;
	}
	target.size = (size_t)(blank - target.bytes);
	if (target.size > TARGET_MAX) {
		return -414;
	}
	struct prom_slice version = { blank + 1, rest - target.size - 1 };
	int r = version_parse(version, minor);
	if (r < 0) {
		return r;
	}
	out->method = PROM_METHOD_OTHER; /* methods are case-sensitive: RFC 9110 section 9.1 */
	if (method.size == 3 && memcmp(method.bytes, "GET", 3) == 0) {
		out->method = PROM_METHOD_GET;
	} else if (method.size == 4 && memcmp(method.bytes, "HEAD", 4) == 0) {
		out->method = PROM_METHOD_HEAD;
	}
	return target_parse(target, out);
}

static void connection_parse(struct prom_slice list, struct fields *fields) {
	while (list.size > 0) {
		const char *comma = memchr(list.bytes, ',', list.size);
		size_t size = comma == NULL ? list.size : (size_t)(comma - list.bytes);
		struct prom_slice option =
				slice_trim((struct prom_slice){ list.bytes, size });
		fields->close |= slice_is(option, "close");
		fields->keep_alive |= slice_is(option, "keep-alive");
		size += comma != NULL;
		list.bytes += size;
		list.size -= size;
	}
}

static int length_parse(struct prom_slice value, struct fields *fields) {
	if (value.size == 0 || ++fields->lengths > 1) {
		return -400;
	}
	for (size_t i = 0; i < value.size; i++) {
		if (value.bytes[i] < '0' || value.bytes[i] > '9') {
			return -400;
		}
		fields->has_body |= value.bytes[i] != '0';
	}
	return 0;
}

static int field_parse(struct prom_slice line, struct fields *fields) {
	struct prom_slice name = { line.bytes, 0 };
	while (name.size < line.size &&
			is_token_char((unsigned char)line.bytes[name.size])) {
		name.size++;
	}
	if (name.size == 0 || name.size == line.size || line.bytes[name.size] != ':') {
		return -400; /* a folded line, a space before the colon, no colon */
	}
	struct prom_slice value = slice_trim((struct prom_slice){
			line.bytes + name.size + 1, line.size - name.size - 1 });
	if (slice_is(name, "host")) {
		if (++fields->hosts > 1 || !host_is_valid(value)) {
			return -400;
		}
		fields->host = value;
	} else if (slice_is(name, "connection")) {
		connection_parse(value, fields);
	} else if (slice_is(name, "content-length")) {
		return length_parse(value, fields);
	} else if (slice_is(name, "transfer-encoding")) {
		fields->has_body = true;
	}
	return 0;
}

static int request_finish(const struct fields *fields, int minor,
		struct prom_request *out) {
	if (minor == 1 && fields->hosts == 0) {
		return -400;
	}
	if (fields->has_body && out->method != PROM_METHOD_OTHER) {
		return -413;
	}
	if (out->host.size == 0) {
		out->host = fields->host;
	}
	/* of a request with a body the rest is never read: it is the connection's last */
	out->keep_alive = !fields->close && !fields->has_body &&
			(minor == 1 || fields->keep_alive);
	return 0;
}

/*
 * Takes the request line. No more than a line's most is looked at, even if more is here: what
 * comes in pieces must be answered as what comes at once.
 */
static int request_line_take(struct prom_slice *rest, struct prom_slice *line) {
	bool is_full = rest->size >= REQUEST_LINE_MAX;
	struct prom_slice window = { rest->bytes,
		is_full ? REQUEST_LINE_MAX : rest->size };
	int r = line_take(&window, line);
	if (r == 0) {
		rest->size -= (size_t)(window.bytes - rest->bytes);
		rest->bytes = window.bytes;
	}
	return r == -EAGAIN && is_full ? -414 : r;
}

int prom_http_parse(const char *bytes, size_t size, struct prom_request *out) {
	size_t usable = size < PROM_HTTP_HEAD_MAX ? size : PROM_HTTP_HEAD_MAX;
	struct prom_slice rest = { bytes, usable };
	if (usable >= 2 && bytes[0] == '\r' && bytes[1] == '\n') {
		rest = (struct prom_slice){ bytes + 2,
			usable - 2 }; /* RFC 9112 section 2.2 */
	}
	struct prom_request request = { 0 };
	struct prom_slice line;
	int minor = 0;
	int r = request_line_take(&rest, &line);
	if (r == 0) {
		r = request_line_parse(line, &request, &minor);
	}
	struct fields fields = { 0 };
	while (r == 0) {
		r = line_take(&rest, &line);
		if (r == -EAGAIN && size >= PROM_HTTP_HEAD_MAX) {
			r = -431;
		}
		if (r == 0 && line.size == 0) {
			break;
		}
		if (r == 0) {
			r = field_parse(line, &fields);
		}
	}
	if (r == 0) {
		r = request_finish(&fields, minor, &request);
	}
	if (r < 0) {
		return r;
	}
	request.head_size = (size_t)(rest.bytes - bytes);
	*out = request;
	return 0;
}

/* 127.0.0.0/8 in four decimal parts. */
static bool is_loopback_number(struct prom_slice name) {
	unsigned part = 0;
	unsigned parts = 0;
	size_t digits = 0;
	for (size_t i = 0; i <= name.size; i++) {
		char c = i < name.size ? name.bytes[i] : '.';
		if (c >= '0' && c <= '9' && digits < 3) {
			part = part * 10 + (unsigned)(c - '0');
			digits++;
			continue;
		}
		if (c != '.' || digits == 0 || part > 255 ||
				(parts == 0 && part != 127)) {
			return false;
		}
		parts++;
		part = 0;
		digits = 0;
	}
	return parts == 4;
}

bool prom_http_host_is_local(struct prom_slice host, const char *address) {
	if (host.size == 0) {
		return true;
	}
	struct prom_slice name = host;
	struct prom_slice port = { host.bytes + host.size, 0 };
	bool is_bracketed = host.bytes[0] == '[';
	const char *end = memchr(host.bytes, is_bracketed ? ']' : ':', host.size);
	if (is_bracketed && end == NULL) {
		return false;
	}
	if (end != NULL) {
		const char *colon = end + is_bracketed;
		name.size = (size_t)(colon - host.bytes);
		port = (struct prom_slice){ colon, host.size - name.size };
	}
	if (port.size > 0 && port.bytes[0] != ':') {
		return false;
	}
	for (size_t i = 1; i < port.size; i++) {
		if (port.bytes[i] < '0' || port.bytes[i] > '9') {
			return false;
		}
	}
	if (is_bracketed) {
		name = (struct prom_slice){ name.bytes + 1, name.size - 2 };
		return slice_is(name, "::1") || slice_is(name, address);
	}
	if (name.size == 0) {
		return false;
	}
	return slice_is(name, "localhost") || is_loopback_number(name) ||
			slice_is(name, address);
}
