/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_UTF8_H
#define EXPORTER_UTF8_H

/* Text from outside (program names, paths) is not UTF-8 until it was looked at. */

#include <stdbool.h>
#include <stddef.h>

/*
 * Returns the length, 1 to 4, of the UTF-8 sequence at the start of `bytes`, or 0 when
 * there is none (surrogates, overlong forms and what `size` cuts off included).
 *
 * Source   RFC 3629, section 4
 */
size_t prom_utf8_sequence(const char *bytes, size_t size);

bool prom_utf8_is_valid(const char *text);

/*
 * Copies `from`, which ends at its NUL or after `from_size` bytes, into `out` with a NUL;
 * each byte that belongs to no sequence becomes '?'. What does not fit whole is left out.
 */
void prom_utf8_copy(char *out, size_t out_size, const char *from, size_t from_size);

#endif
