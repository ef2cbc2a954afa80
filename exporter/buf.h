/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_BUF_H
#define EXPORTER_BUF_H

/*
 * Bytes under construction in memory of fixed size.
 *
 * Appending has no result: a buffer that would overflow becomes `failed` and stays so, and
 * its content ends at the last append that fitted whole. Who hands the bytes on asks once.
 * No locale, no libc formatting, no heap.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prom_buf {
	char *bytes; /* caller's; not NUL-terminated */
	size_t size_bytes;
	size_t used_bytes;
	bool failed;
};

void prom_buf_init(struct prom_buf *buf, char *bytes, size_t size_bytes);
void prom_buf_clear(struct prom_buf *buf);

void prom_buf_put(struct prom_buf *buf, const void *bytes, size_t size_bytes);
void prom_buf_text(struct prom_buf *buf, const char *text); /* NUL-terminated */
void prom_buf_char(struct prom_buf *buf, char c);
void prom_buf_uint(struct prom_buf *buf, uint64_t value);

/*
 * Appends the shortest decimal digits that read back as `value`, in the form of Go's
 * FormatFloat(f, 'g', -1, 64), which client_golang writes in text 0.0.4: exponent form for
 * decimal exponents below -4 and from 6 on: 0, -0, 0.25, 1e-05, 100000, 1e+06, 1.5e+21, NaN,
 * +Inf, -Inf.
 */
void prom_buf_double(struct prom_buf *buf, double value);

#endif
