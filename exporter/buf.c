/* SPDX-License-Identifier: MIT */
#include "exporter/buf.h"

#include <string.h>

#include "exporter/decimal.h"

enum {
	UINT_DIGITS = 20, /* of 2^64 - 1 */
	DOUBLE_BYTES = 32, /* "-1.7976931348623157e+308" and room */
	FIXED_LOWEST = -4, /* decimal exponents written without an exponent */
	FIXED_HIGHEST = 5,
};

void prom_buf_init(struct prom_buf *buf, char *bytes, size_t size_bytes) {
	buf->bytes = bytes;
	buf->size_bytes = size_bytes;
	prom_buf_clear(buf);
}

void prom_buf_clear(struct prom_buf *buf) {
	buf->used_bytes = 0;
	buf->failed = false;
}

void prom_buf_put(struct prom_buf *buf, const void *bytes, size_t size_bytes) {
	if (buf->failed || size_bytes > buf->size_bytes - buf->used_bytes) {
		buf->failed = true;
		return;
	}
	if (size_bytes > 0) { /* an empty piece may come with NULL */
		memcpy(buf->bytes + buf->used_bytes, bytes, size_bytes);
		buf->used_bytes += size_bytes;
	}
}

void prom_buf_text(struct prom_buf *buf, const char *text) {
	prom_buf_put(buf, text, strlen(text));
}

void prom_buf_char(struct prom_buf *buf, char c) {
	prom_buf_put(buf, &c, 1);
}

void prom_buf_uint(struct prom_buf *buf, uint64_t value) {
	char digits[UINT_DIGITS];
	size_t start = sizeof(digits);
	do {
		digits[--start] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	prom_buf_put(buf, digits + start, sizeof(digits) - start);
}

/* "d.ddde+XX": at least two digits of exponent. */
static void put_exponent_form(struct prom_buf *text, const struct prom_decimal *decimal) {
	prom_buf_char(text, decimal->digits[0]);
	if (decimal->count > 1) {
		prom_buf_char(text, '.');
		prom_buf_put(text, decimal->digits + 1, decimal->count - 1);
	}
	unsigned exponent = (unsigned)(decimal->exponent < 0 ? -decimal->exponent
							     : decimal->exponent);
	prom_buf_text(text, decimal->exponent < 0 ? "e-" : "e+");
	if (exponent < 10) {
		prom_buf_char(text, '0');
	}
	prom_buf_uint(text, exponent);
}

static void put_fixed_form(struct prom_buf *text, const struct prom_decimal *decimal) {
	size_t whole = decimal->exponent < 0 ? 0 : (size_t)decimal->exponent + 1;
	if (whole == 0) {
		prom_buf_put(text, "0.000", (size_t)(1 - decimal->exponent));
		prom_buf_put(text, decimal->digits, decimal->count);
		return;
	}
	if (decimal->count <= whole) {
		prom_buf_put(text, decimal->digits, decimal->count);
		prom_buf_put(text, "00000", whole - decimal->count);
		return;
	}
	prom_buf_put(text, decimal->digits, whole);
	prom_buf_char(text, '.');
	prom_buf_put(text, decimal->digits + whole, decimal->count - whole);
}

void prom_buf_double(struct prom_buf *buf, double value) {
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	uint64_t magnitude = bits & ~((uint64_t)1 << 63);
	uint64_t infinity = (uint64_t)0x7ff << 52;
	if (magnitude > infinity) {
		prom_buf_text(buf, "NaN");
		return;
	}
	if (magnitude == infinity) {
		prom_buf_text(buf, magnitude == bits ? "+Inf" : "-Inf");
		return;
	}
	char bytes[DOUBLE_BYTES];
	struct prom_buf text; /* so that a number goes into `buf` whole or not at all */
	prom_buf_init(&text, bytes, sizeof(bytes));
	if (magnitude != bits) {
		prom_buf_char(&text, '-');
	}
	if (magnitude == 0) {
		prom_buf_char(&text, '0');
	} else {
		struct prom_decimal decimal;
		memcpy(&value, &magnitude, sizeof(value));
		prom_decimal_from_double(value, &decimal);
		if (decimal.exponent < FIXED_LOWEST || decimal.exponent > FIXED_HIGHEST) {
			put_exponent_form(&text, &decimal);
		} else {
			put_fixed_form(&text, &decimal);
		}
	}
	prom_buf_put(buf, bytes, text.used_bytes);
}
