/* SPDX-License-Identifier: MIT */
#include "exporter/decimal.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	MANTISSA_BITS = 52,
	EXPONENT_BIAS = 1075, /* value = mantissa times 2^(exponent field - bias) */
	/* no number here is above 2^1120: 2^1077 * 10, 2^55 * 10^325, and 31 bits of shift */
	WORDS = 40
};

struct big { /* a natural number; words[count - 1] != 0 */
	uint32_t words[WORDS];
	size_t count;
};

static void big_set(struct big *big, uint64_t value) {
	big->words[0] = (uint32_t)value;
	big->words[1] = (uint32_t)(value >> 32);
	big->count = big->words[1] != 0 ? 2 : big->words[0] != 0;
}

static void big_multiply(struct big *big, uint32_t factor) {
	uint64_t carry = 0;
	for (size_t i = 0; i < big->count; i++) {
		carry += (uint64_t)big->words[i] * factor;
		big->words[i] = (uint32_t)carry;
		carry >>= 32;
	}
	if (carry != 0 && big->count < WORDS) {
		big->words[big->count++] = (uint32_t)carry;
	}
}

static void big_multiply_power_of_ten(struct big *big, unsigned power) {
	for (; power >= 9; power -= 9) {
		big_multiply(big, 1000000000);
	}
	uint32_t rest = 1;
	for (; power > 0; power--) {
		rest *= 10;
	}
	big_multiply(big, rest);
}

static void big_shift(struct big *big, unsigned bits) {
	size_t words = bits / 32;
	if (words > 0 && big->count > 0) {
		memmove(big->words + words, big->words,
				big->count * sizeof(big->words[0]));
		memset(big->words, 0, words * sizeof(big->words[0]));
		big->count += words;
	}
	big_multiply(big, 1U << (bits % 32));
}

static const struct big nothing = { .count = 0 };

/* Compares a + b with c. */
static int big_compare_sum(const struct big *a, const struct big *b,
		const struct big *c) {
	int64_t behind = 0; /* c - a - b so far, in units of the present word */
	size_t longest = a->count > b->count ? a->count : b->count;
	for (size_t i = longest > c->count ? longest : c->count; i-- > 0;) {
		behind = behind * ((int64_t)1 << 32) +
				(i < c->count ? (int64_t)c->words[i] : 0);
		behind -= i < a->count ? (int64_t)a->words[i] : 0;
		behind -= i < b->count ? (int64_t)b->words[i] : 0;
		if (behind < 0) {
			return 1;
		}
		if (behind > 1) { /* the words below of a and b make up less than 2 */
			return -1;
		}
	}
	return behind == 0 ? 0 : -1;
}

/* Takes `times` times `other`, which must be no more than big, away. */
static void big_subtract(struct big *big, const struct big *other, uint32_t times) {
	uint64_t borrow = 0;
	for (size_t i = 0; i < big->count; i++) {
		uint64_t taken = borrow;
		taken += i < other->count ? (uint64_t)other->words[i] * times : 0;
		uint32_t low = (uint32_t)taken;
		borrow = (taken >> 32) + (big->words[i] < low);
		big->words[i] -= low;
	}
	while (big->count > 0 && big->words[big->count - 1] == 0) {
		big->count--;
	}
}

/* value = rest / scale; what reads back as it lies within below and above, over scale */
struct fraction {
	struct big rest, scale, below, above;
	bool ends_included; /* a tie reads back as the even mantissa, ours */
};

static void fraction_init(struct fraction *f, uint64_t mantissa, int exponent,
		bool uneven) {
	/* one bit for the half gap; one more where the gap below is half the one above */
	unsigned extra = uneven ? 2 : 1;
	big_set(&f->rest, mantissa);
	big_set(&f->scale, 1);
	big_set(&f->below, 1);
	big_set(&f->above, 1);
	unsigned up = exponent > 0 ? (unsigned)exponent : 0;
	unsigned down = exponent < 0 ? (unsigned)-exponent : 0;
	big_shift(&f->rest, up + extra);
	big_shift(&f->scale, down + extra);
	big_shift(&f->below, up);
	big_shift(&f->above, up + extra - 1);
	f->ends_included = mantissa % 2 == 0;
}

/* floor(log10(2^bits)) or one less, for bits of either sign: 0.30102 < log10(2) */
static int log10_floor(int bits) {
	int scaled = bits * 30103;
	return scaled >= 0 ? scaled / 100000 : -((-scaled + 99999) / 100000);
}

/* Brings rest / scale into [1, 10); returns the power of ten it was divided by. */
static int fraction_normalise(struct fraction *f, int top_bit) {
	int exponent = log10_floor(top_bit);
	if (exponent > 0) {
		big_multiply_power_of_ten(&f->scale, (unsigned)exponent);
	} else {
		big_multiply_power_of_ten(&f->rest, (unsigned)-exponent);
		big_multiply_power_of_ten(&f->below, (unsigned)-exponent);
		big_multiply_power_of_ten(&f->above, (unsigned)-exponent);
	}
	/* when ten itself reads back as the value it is too much: the digits are "1" */
	struct big ten = f->scale;
	big_multiply(&ten, 10);
	int over = big_compare_sum(&f->rest, &f->above, &ten);
	if (over > 0 || (over == 0 && f->ends_included)) {
		f->scale = ten;
		exponent++;
	}
	/* a leading word of 28 bits makes the quotient of leading words a good guess */
	uint32_t top = f->scale.words[f->scale.count - 1];
	unsigned width = 32U - (unsigned)__builtin_clz(top);
	unsigned shift = (28U - width) % 32;
	big_shift(&f->rest, shift);
	big_shift(&f->scale, shift);
	big_shift(&f->below, shift);
	big_shift(&f->above, shift);
	return exponent;
}

/* Takes the integer part, 0 to 9, out of rest / scale. */
static unsigned fraction_take_digit(struct fraction *f) {
	size_t count = f->scale.count;
	unsigned digit = 0;
	/* rest is never longer: rest < 10 * scale, whose top has 4 bits to spare */
	if (f->rest.count >= count) {
		digit = f->rest.words[count - 1] / (f->scale.words[count - 1] + 1);
		big_subtract(&f->rest, &f->scale, digit);
	}
	if (big_compare_sum(&f->scale, &nothing, &f->rest) <= 0) {
		/* the guess is at most one too low */
		big_subtract(&f->rest, &f->scale, 1);
		digit++;
	}
	return digit;
}

static void decimal_round_up(struct prom_decimal *out) {
	while (out->count > 0 && out->digits[out->count - 1] == '9') {
		out->count--;
	}
	if (out->count == 0) {
		out->digits[out->count++] = '1';
		out->exponent++;
		return;
	}
	out->digits[out->count - 1]++;
}

/* Writes the digits until what is left no longer matters. */
static void fraction_write(struct fraction *f, struct prom_decimal *out) {
	while (out->count < PROM_DECIMAL_DIGITS) { /* 17 are enough for every double */
		unsigned digit = fraction_take_digit(f);
		int low = big_compare_sum(&f->rest, &nothing, &f->below);
		int high = big_compare_sum(&f->rest, &f->above, &f->scale);
		bool may_cut = low < 0 || (low == 0 && f->ends_included);
		bool may_rise = high > 0 || (high == 0 && f->ends_included);
		out->digits[out->count++] = (char)('0' + digit);
		if (may_cut || may_rise) {
			int half = big_compare_sum(&f->rest, &f->rest, &f->scale);
			bool rise = half > 0 || (half == 0 && digit % 2 == 1);
			if (may_rise && (rise || !may_cut)) {
				decimal_round_up(out);
			}
			return;
		}
		big_multiply(&f->rest, 10);
		big_multiply(&f->below, 10);
		big_multiply(&f->above, 10);
	}
}

/* An integer below 2^53: its own digits, since every shorter number is 1 or more away. */
static void decimal_from_integer(uint64_t value, struct prom_decimal *out) {
	char digits[PROM_DECIMAL_DIGITS];
	size_t start = sizeof(digits);
	for (; value > 0; value /= 10) {
		digits[--start] = (char)('0' + value % 10);
	}
	out->count = sizeof(digits) - start;
	out->exponent = (int)out->count - 1;
	memcpy(out->digits, digits + start, out->count);
	while (out->digits[out->count - 1] == '0') {
		out->count--;
	}
}

void prom_decimal_from_double(double value, struct prom_decimal *out) {
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	uint64_t mantissa = bits & (((uint64_t)1 << MANTISSA_BITS) - 1);
	int field = (int)(bits >> MANTISSA_BITS & 0x7ff);
	bool uneven = mantissa == 0 && field > 1;
	if (field == 0) {
		field = 1; /* subnormal: same exponent, no hidden bit */
	} else {
		mantissa |= (uint64_t)1 << MANTISSA_BITS;
	}
	int exponent = field - EXPONENT_BIAS;
	if (exponent <= 0 && exponent > -64 &&
			mantissa >> -exponent << -exponent == mantissa) {
		decimal_from_integer(mantissa >> -exponent, out);
		return;
	}
	struct fraction f;
	fraction_init(&f, mantissa, exponent, uneven);
	out->count = 0;
	int top_bit = 63 - __builtin_clzll(mantissa) + exponent;
	out->exponent = fraction_normalise(&f, top_bit);
	fraction_write(&f, out);
}
