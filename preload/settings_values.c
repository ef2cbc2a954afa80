/* SPDX-License-Identifier: MIT */
#include "preload/settings_values.h"

#include <string.h>

#include "preload/layout.h"
#include "preload/text.h"
#include "preload/value.h"

enum { COLLECTOR_COUNT = 4 };

static const char collectors[COLLECTOR_COUNT][12] = { "malloc", "threads", "process",
	"allocator" };
static const char no_such_collector[] =
		"no such collector (malloc, threads, process, allocator)";

const char shim_settings__modes[3][8] = { [SHIM_MODE_SERVE] = "serve",
	[SHIM_MODE_COUNT] = "count",
	[SHIM_MODE_OFF] = "off" };

const char shim_settings__not_here[20] = "not in this version";

const char *shim_settings__copy(char *out, size_t size_bytes, const char *value) {
	size_t length = strlen(value);

	if (length >= size_bytes) {
		return size_bytes == SHIM_PATH_BYTES ? "longer than 511 bytes"
						     : "too long";
	}
	memcpy(out, value, length + 1);
	return NULL;
}

const char *shim_settings__read_mode(struct shim_settings *out, const char *value) {
	for (uint32_t i = 0; i <
			sizeof(shim_settings__modes) / sizeof(shim_settings__modes[0]);
			i++) {
		if (strcmp(value, shim_settings__modes[i]) == 0) {
			out->mode = i;
			return NULL;
		}
	}
	return strcmp(value, "publish") == 0 ? shim_settings__not_here
					     : "not a mode (serve, count, off)";
}

const char *shim_settings__read_port(struct shim_settings *out, const char *value) {
	uint64_t port;

	if (strcmp(value, "none") == 0) {
		out->port = -1;
		return NULL;
	}
	if (strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0) {
		return "Kubernetes sets this for a service named promshim; rename the service or "
		       "set enableServiceLinks: false";
	}
	if (!shim_value_parse_uint(value, 65535, &port)) {
		return "not a port (0 to 65535)";
	}
	out->port = (int32_t)port;
	return NULL;
}

const char *shim_settings__read_address(struct shim_settings *out, const char *value) {
	if (strcmp(value, "*") != 0 && strcmp(value, "localhost") != 0 &&
			!shim_value_is_address(value)) {
		return "names are not looked up; give a number or *";
	}
	return shim_settings__copy(out->address, sizeof(out->address), value);
}

const char *shim_settings__read_log(struct shim_settings *out, const char *value) {
	if (strcmp(value, "off") != 0 && strcmp(value, "stderr") != 0 &&
			strchr(value, '/') == NULL) {
		return "not off, stderr or a path with a /";
	}
	return shim_settings__copy(out->log, sizeof(out->log), value);
}

bool shim_settings__next_item(const char **list, char item[SHIM_ITEM_BYTES]) {
	const char *start = *list + strspn(*list, ", \t");

	if (*start == '\0') {
		return false;
	}
	size_t length = strcspn(start, ",");
	*list = start + length + (start[length] == ',');
	while (length > 0 && (start[length - 1] == ' ' || start[length - 1] == '\t')) {
		length--;
	}
	length = length < SHIM_ITEM_BYTES ? length : SHIM_ITEM_BYTES - 1;
	memcpy(item, start, length);
	item[length] = '\0';
	return true;
}

/* Writes "all", "all,-allocator" or "malloc,threads", whichever is shorter. */
static void print_collectors(struct shim_settings *out, unsigned chosen) {
	struct shim_text text;
	int count = 0;

	for (unsigned i = 0; i < COLLECTOR_COUNT; i++) {
		count += (chosen >> i & 1) != 0;
	}
	bool is_from_all = count == 0 || count > COLLECTOR_COUNT / 2;

	shim_text_init(&text, out->collectors, sizeof(out->collectors));
	shim_text_put(&text, is_from_all ? "all" : "");
	for (unsigned i = 0; i < COLLECTOR_COUNT; i++) {
		bool is_chosen = (chosen >> i & 1) != 0;
		if (is_chosen != is_from_all) {
			shim_text_put(&text, text.used_bytes > 0 ? "," : "");
			shim_text_put(&text, is_from_all ? "-" : "");
			shim_text_put(&text, collectors[i]);
		}
	}
}

const char *shim_settings__read_collectors(struct shim_settings *out, const char *value) {
	const unsigned all = (1U << COLLECTOR_COUNT) - 1;
	unsigned chosen = value[strspn(value, ", \t")] == '-' ? all : 0;
	char item[SHIM_ITEM_BYTES];

	if (value[strspn(value, ", \t")] == '\0') {
		return no_such_collector;
	}
	while (shim_settings__next_item(&value, item)) {
		bool is_removed = item[0] == '-';
		const char *name = item + is_removed;
		unsigned bits = strcmp(name, "all") == 0 ? all : 0;
		for (unsigned i = 0; i < COLLECTOR_COUNT; i++) {
			bits |= strcmp(name, collectors[i]) == 0 ? 1U << i : 0;
		}
		if (strcmp(name, "profile") == 0 && !is_removed) {
			return "profile is not in this version";
		}
		if (bits == 0 && strcmp(name, "profile") != 0) {
			return no_such_collector;
		}
		chosen = is_removed ? chosen & ~bits : chosen | bits;
	}
	print_collectors(out, chosen);
	return NULL;
}
