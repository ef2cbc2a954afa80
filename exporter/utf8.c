/* SPDX-License-Identifier: MIT */
#include "exporter/utf8.h"

#include <string.h>

size_t prom_utf8_sequence(const char *bytes, size_t size) {
	const unsigned char *b = (const unsigned char *)bytes;
	if (size == 0) {
		return 0;
	}
	if (b[0] < 0x80) {
		return 1;
	}
	if (b[0] < 0xc2 || b[0] > 0xf4) {
		return 0;
	}
	size_t length = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
	if (size < length) {
		return 0;
	}
	/* fewer second bytes after some leads: overlong, surrogate, above 10ffff */
	unsigned char low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
	unsigned char high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
	if (b[1] < low || b[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < length; i++) {
		if (b[i] < 0x80 || b[i] > 0xbf) {
			return 0;
		}
	}
	return length;
}

bool prom_utf8_is_valid(const char *text) {
	while (*text != '\0') {
		if ((unsigned char)*text < 0x80) {
			text++;
			continue;
		}
		/* a NUL is no continuation byte: nothing behind it is looked at */
		size_t length = prom_utf8_sequence(text, strnlen(text, 4));
		if (length == 0) {
			return false;
		}
		text += length;
	}
	return true;
}

void prom_utf8_copy(char *out, size_t out_size, const char *from, size_t from_size) {
	size_t used = 0;
	size_t size = strnlen(from, from_size);
	for (size_t at = 0; at < size;) {
		size_t length = prom_utf8_sequence(from + at, size - at);
		size_t taken = length == 0 ? 1 : length;
		if (used + taken >= out_size) {
			break;
		}
		if (length == 0) {
			out[used] = '?';
		} else {
			memcpy(out + used, from + at, length);
		}
		used += taken;
		at += taken;
	}
	out[used] = '\0';
}
