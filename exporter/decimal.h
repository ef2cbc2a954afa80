/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_DECIMAL_H
#define EXPORTER_DECIMAL_H

/*
 * A double as decimal digits: the fewest that read back as the same double, and among
 * those the nearest. Found by exact integer arithmetic: the host may have any locale and
 * any floating-point rounding mode.
 */

#include <stddef.h>

enum { PROM_DECIMAL_DIGITS = 20 };

struct prom_decimal {
	char digits[PROM_DECIMAL_DIGITS]; /* '0' to '9', no leading or trailing zeros */
	size_t count;
	int exponent; /* value = d.ddd times 10 to this */
};

/*
 * Converts `value`, which is finite and above zero.
 *
 * Source   Steele & White, "How to print floating-point numbers accurately", 1990:
 *          free-format algorithm; IEEE 754 binary64
 */
void prom_decimal_from_double(double value, struct prom_decimal *out);

#endif
