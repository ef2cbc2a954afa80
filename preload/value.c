/* SPDX-License-Identifier: MIT */
#include "preload/value.h"

#include <string.h>

#include "exporter/base/address.h"

enum { DISTANCE_LENGTH_MAX = 63 };

static const struct unit {
	char name[4];
	uint64_t ns;
} units[] = {
	/* largest first */
	{ "h", 3600000000000 },
	{ "m", 60000000000 },
	{ "s", 1000000000 },
	{ "ms", 1000000 },
	{ "us", 1000 },
	{ "ns", 1 },
};

enum { UNIT_COUNT = sizeof(units) / sizeof(units[0]) };

static bool is_digit(char c) {
	return c >= '0' && c <= '9';
}

static char lower(char c) {
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_same(const char *a, const char *b) {
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return *a == *b;
}

/* Reads the digits at `value`; returns where they end, NULL when there are none or too many. */
static const char *scan_uint(const char *value, uint64_t max, uint64_t *out) {
	uint64_t number = 0;

	if (!is_digit(*value)) {
		return NULL;
	}
	for (; is_digit(*value); value++) {
		uint64_t digit = (uint64_t)(*value - '0');
		if (number > max / 10 || number * 10 > max - digit) {
			return NULL;
		}
		number = number * 10 + digit;
	}
	*out = number;
	return value;
}

bool shim_value_parse_uint(const char *value, uint64_t max, uint64_t *out) {
	uint64_t number;
	const char *end = scan_uint(value, max, &number);

	if (end == NULL || *end != '\0') {
		return false;
	}
	*out = number;
	return true;
}

bool shim_value_parse_boolean(const char *value, bool *out) {
	static const char words[][8] = { "0", "1", "false", "true", "no", "yes", "off",
		"on" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (is_same(value, words[i])) {
			*out = i % 2 == 1;
			return true;
		}
	}
	return false;
}

bool shim_value_parse_duration(const char *value, uint64_t *ret_ns) {
	uint64_t number;
	const char *end = scan_uint(value, INT64_MAX, &number);

	for (size_t i = 0; end != NULL && i < UNIT_COUNT; i++) {
		if (strcmp(end, units[i].name) == 0 &&
				number <= INT64_MAX / units[i].ns) {
			*ret_ns = number * units[i].ns;
			return true;
		}
	}
	return false;
}

void shim_value_put_duration(struct shim_text *text, uint64_t duration_ns) {
	for (size_t i = 0; i < UNIT_COUNT; i++) {
		if (duration_ns % units[i].ns == 0 &&
				(duration_ns > 0 || units[i].name[0] == 's')) {
			shim_text_uint(text, duration_ns / units[i].ns);
			shim_text_put(text, units[i].name);
			return;
		}
	}
}

bool shim_value_is_address(const char *value) {
	uint8_t bytes[16];
	return base_address_ipv4(value, bytes) || base_address_ipv6(value, bytes);
}

size_t shim_value_character_length(const char *bytes) {
	const unsigned char *c = (const unsigned char *)bytes;

	if (c[0] < 0x80) {
		return c[0] >= 0x20 && c[0] != 0x7f;
	}
	if (c[0] < 0xc2 || c[0] > 0xf4) {
		return 0;
	}
	size_t length = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
	for (size_t i = 1; i < length; i++) {
		if ((c[i] & 0xc0) != 0x80) { /* the NUL, too: nothing past it is read */
			return 0;
		}
	}
	bool is_refused = (c[0] == 0xe0 && c[1] < 0xa0) || /* overlong */
			(c[0] == 0xed && c[1] > 0x9f) || /* surrogates */
			(c[0] == 0xf0 && c[1] < 0x90) || /* overlong */
			(c[0] == 0xf4 && c[1] > 0x8f) || /* past U+10FFFF */
			(c[0] == 0xc2 && c[1] < 0xa0); /* U+0080 to U+009F: control */
	return is_refused ? 0 : length;
}

bool shim_value_is_printable(const char *value) {
	while (*value != '\0') {
		size_t length = shim_value_character_length(value);
		if (length == 0) {
			return false;
		}
		value += length;
	}
	return true;
}

static uint32_t least(uint32_t a, uint32_t b) {
	return a < b ? a : b;
}

uint32_t shim_value_distance(const char *a, const char *b) {
	uint32_t rows[3][DISTANCE_LENGTH_MAX + 1];
	size_t a_length = strnlen(a, DISTANCE_LENGTH_MAX + 1);
	size_t b_length = strnlen(b, DISTANCE_LENGTH_MAX + 1);

	if (a_length > DISTANCE_LENGTH_MAX || b_length > DISTANCE_LENGTH_MAX) {
		return UINT32_MAX;
	}
	for (size_t j = 0; j <= b_length; j++) {
		rows[0][j] = (uint32_t)j;
	}
	for (size_t i = 1; i <= a_length; i++) {
		uint32_t *row = rows[i % 3], *above = rows[(i + 2) % 3],
			 *higher = rows[(i + 1) % 3];
		row[0] = (uint32_t)i;
		for (size_t j = 1; j <= b_length; j++) {
			char x = lower(a[i - 1]), y = lower(b[j - 1]);
			row[j] = least(least(above[j], row[j - 1]) + 1,
					above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == lower(b[j - 2]) &&
					lower(a[i - 2]) == y) {
				row[j] = least(row[j], higher[j - 2] + 1);
			}
		}
	}
	return rows[a_length % 3][b_length];
}

void shim_value_put_shown(struct shim_text *text, const char *value, size_t limit_bytes) {
	size_t used = 0;

	while (*value != '\0' && used < limit_bytes) {
		size_t length = shim_value_character_length(value);
		size_t taken = length == 0 ? 1 : length;
		shim_text_put_bytes(text, length == 0 ? "?" : value, taken);
		used += taken;
		value += taken;
	}
	shim_text_put(text, *value == '\0' ? "" : "...");
}
