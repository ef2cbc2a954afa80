/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_VALUE_H
#define PRELOAD_VALUE_H

/*
 * Values as people write them in settings. Pure functions over NUL-terminated bytes of any
 * length and content; no locale, no errno. Async-signal-safe.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/text.h"

/* Reads decimal digits and nothing else; false also when the number exceeds `max`. */
bool shim_value_parse_uint(const char *value, uint64_t max, uint64_t *out);

/* Reads 1 true yes on, 0 false no off, in any case of letters. */
bool shim_value_parse_boolean(const char *value, bool *out);

/* Reads "500ms", "10s", "5m", "1h"; false without a unit and past 2^63 ns. */
bool shim_value_parse_duration(const char *value, uint64_t *ret_ns);

/* Appends a duration in the largest unit that leaves it whole: "10s". */
void shim_value_put_duration(struct shim_text *text, uint64_t duration_ns);

/*
 * Tells whether it is a numeric IPv4 or IPv6 address, without brackets or zone.
 *
 * Source  inet_pton(3), "character string"; RFC 4291, 2.2
 */
bool shim_value_is_address(const char *value);

/* Tells whether all of it is UTF-8 without control characters. */
bool shim_value_is_printable(const char *value);

/*
 * Returns the length of the UTF-8 character at `bytes` (NUL-terminated), 0 when there is
 * none or it is a control character.
 *
 * Source  RFC 3629, section 4
 */
size_t shim_value_character_length(const char *bytes);

/* Appends a value for people: printable, and cut with "..." behind about `limit_bytes`. */
void shim_value_put_shown(struct shim_text *text, const char *value, size_t limit_bytes);

/*
 * Returns how many letters must be put in, left out, replaced or swapped with their
 * neighbour to make `a` of `b`, case ignored; UINT32_MAX when one is longer than 63.
 */
uint32_t shim_value_distance(const char *a, const char *b);

#endif
