/* SPDX-License-Identifier: MIT */
#include "exporter/base/address.h"

#include <string.h>

bool base_address_ipv4(const char *text, uint8_t out[4]) {
	for (unsigned i = 0; i < 4; i++) {
		unsigned value = 0;
		const char *first = text;
		while (*text >= '0' && *text <= '9' && text - first < 3) {
			value = value * 10 + (unsigned)(*text++ - '0');
		}
		if (text == first || value > 255 || (*first == '0' && text - first > 1) ||
				*text != (i < 3 ? '.' : '\0')) {
			return false;
		}
		out[i] = (uint8_t)value;
		text++;
	}
	return true;
}

/* The value of a hexadecimal digit, or -1. */
static int digit(char letter) {
	if (letter >= '0' && letter <= '9') {
		return letter - '0';
	}
	letter |= 0x20;
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Reads a group; NULL when there is none. */
static const char *group(const char *text, uint8_t out[2]) {
	const char *first = text;
	unsigned value = 0;
	while (digit(*text) >= 0 && text - first < 4) {
		value = value << 4 | (unsigned)digit(*text++);
	}
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
	return text == first ? NULL : text;
}

bool base_address_ipv6(const char *text, uint8_t out[16]) {
	unsigned used = 0, gap = 16;
	memset(out, 0, 16);
	if (text[0] == ':' && text[1] == ':') {
		gap = 0;
		text += 2;
	}
	while (*text != '\0') {
		if (used <= 12 && base_address_ipv4(text, out + used)) {
			used += 4;
			break;
		}
		if (used == 16 || (text = group(text, out + used)) == NULL) {
			return false;
		}
		used += 2;
		if (*text == '\0') {
			break;
		}
		if (*text++ != ':') {
			return false;
		}
		if (*text == ':') {
			if (gap != 16 || used == 16) {
				return false;
			}
			gap = used;
			text++;
		} else if (*text == '\0') {
			return false;
		}
	}
	if (gap == 16) {
		return used == 16;
	}
	if (used == 16) { /* the run is of one group at least */
		return false;
	}
	memmove(out + 16 - (used - gap), out + gap, used - gap);
	memset(out + gap, 0, 16 - used);
	return true;
}
