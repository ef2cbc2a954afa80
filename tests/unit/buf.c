/* SPDX-License-Identifier: MIT */
#include "exporter/buf.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

static char bytes[128];
static struct prom_buf buf;

static const char *written(void) {
	bytes[buf.used_bytes] = '\0';
	return bytes;
}

static double from_bits(uint64_t bits) {
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static const char *double_text(double value) {
	prom_buf_init(&buf, bytes, sizeof(bytes) - 1);
	prom_buf_double(&buf, value);
	return written();
}

/* What Go's strconv.FormatFloat(f, 'g', -1, 64) says. */
// clang-format off
static const struct {
	uint64_t bits;
	const char *text;
} go[] = {
	{ 0x0000000000000000, "0" },
	{ 0x8000000000000000, "-0" },
	{ 0x3ff0000000000000, "1" },
	{ 0xbff0000000000000, "-1" },
	{ 0x3fd0000000000000, "0.25" },
	{ 0x3fb999999999999a, "0.1" },
	{ 0x3fd3333333333333, "0.3" },
	{ 0x3fd5555555555555, "0.3333333333333333" },
	{ 0x3fe5555555555555, "0.6666666666666666" },
	{ 0x40f86a0000000000, "100000" },
	{ 0x412e847e00000000, "999999" },
	{ 0x412e848000000000, "1e+06" },
	{ 0x40f86a0800000000, "100000.5" },
	{ 0x40fe240000000000, "123456" },
	{ 0x4132d68700000000, "1.234567e+06" },
	{ 0x4130000000000000, "1.048576e+06" },
	{ 0x4454542ba12a337c, "1.5e+21" },
	{ 0x3f1a36e2eb1c432d, "0.0001" },
	{ 0x3ee4f8b588e368f1, "1e-05" },
	{ 0x3f202e4b6ce5dc68, "0.00012345" },
	{ 0x3f18e757928e0c9e, "9.5e-05" },
	{ 0x4480f0cf064dd592, "1e+22" },
	{ 0x44b52d02c7e14af6, "1e+23" },
	{ 0x7fefffffffffffff, "1.7976931348623157e+308" },
	{ 0x0000000000000001, "5e-324" },
	{ 0x0010000000000000, "2.2250738585072014e-308" },
	{ 0x000fffffffffffff, "2.225073858507201e-308" },
	{ 0x4340000000000000, "9.007199254740992e+15" },
	{ 0x4340000000000000, "9.007199254740992e+15" },
	{ 0x4340000000000001, "9.007199254740994e+15" },
	{ 0x43f0000000000000, "1.8446744073709552e+19" },
	{ 0x0000000000000001, "5e-324" },
	{ 0x4011666666666666, "4.35" },
	{ 0x3fd3333333333333, "0.3" },
	{ 0x54b249ad2594c37d, "1e+100" },
	{ 0x430c6bf526340000, "1e+15" },
	{ 0x4341c37937e08000, "1e+16" },
	{ 0x437b69b4ba630f35, "1.2345678901234568e+17" },
	{ 0x41b1de784a000000, "2.99792458e+08" },
	{ 0x41d954fc4007e6b7, "1.7000000001234567e+09" },
	{ 0x41d954fc4000a3d7, "1.70000000001e+09" },
	{ 0x3eb0000000000000, "9.5367431640625e-07" },
	{ 0x3fe0000000000000, "0.5" },
	{ 0x40f869ff33333333, "99999.95" },
	{ 0x447c7e83209e90b2, "8.41e+21" },
	{ 0x3f8374bc6a7ef9db, "0.0095" },
	{ 0x3e60000000000000, "2.9802322387695312e-08" },
	{ 0x3e7ad7f29abcaf48, "1e-07" },
	{ 0x400921fb54442d18, "3.141592653589793" },
	{ 0x4005bf0a8b145769, "2.718281828459045" },
	{ 0x41f0000000000000, "4.294967296e+09" },
	{ 0x7ff8000000000001, "NaN" },
	{ 0x7ff0000000000000, "+Inf" },
	{ 0xfff0000000000000, "-Inf" },
};
// clang-format on

static void test_append(void) {
	prom_buf_init(&buf, bytes, sizeof(bytes) - 1);
	prom_buf_put(&buf, "ab\0c", 4);
	prom_buf_put(&buf, NULL, 0);
	is(buf.used_bytes, 4, "put takes bytes as they are");
	prom_buf_clear(&buf);
	prom_buf_text(&buf, "x ");
	prom_buf_char(&buf, '=');
	prom_buf_uint(&buf, 0);
	prom_buf_char(&buf, ' ');
	prom_buf_uint(&buf, 10);
	prom_buf_char(&buf, ' ');
	prom_buf_uint(&buf, UINT64_MAX);
	is_text(written(), "x =0 10 18446744073709551615", "text, char and uint");
	ok(!buf.failed, "nothing failed");
}

static void test_overflow(void) {
	prom_buf_init(&buf, bytes, 5);
	prom_buf_text(&buf, "abcde");
	ok(!buf.failed, "a full buffer has not failed");
	prom_buf_text(&buf, "");
	ok(!buf.failed, "nothing more still fits");
	prom_buf_char(&buf, 'f');
	ok(buf.failed, "one byte too many fails");
	is_text(written(), "abcde", "and leaves what was there");

	prom_buf_init(&buf, bytes, 5);
	prom_buf_text(&buf, "abc");
	prom_buf_double(&buf, 0.25);
	is_text(written(), "abc", "a number goes in whole or not at all");
	prom_buf_char(&buf, 'd');
	is_text(written(), "abc", "failed stays failed, even for what would fit");
	prom_buf_clear(&buf);
	prom_buf_char(&buf, 'd');
	is_text(written(), "d", "until it is cleared");
	ok(!buf.failed, "then it is sound again");

	prom_buf_init(&buf, bytes, 8);
	prom_buf_text(&buf, "abc");
	prom_buf_put(&buf, "x", SIZE_MAX);
	is(buf.used_bytes, 3, "a huge size does not wrap round");
}

static void test_known_doubles(void) {
	for (size_t i = 0; i < sizeof(go) / sizeof(go[0]); i++) {
		is_text(double_text(from_bits(go[i].bits)), go[i].text, go[i].text);
	}
	is_text(double_text(-1.5e-7), "-1.5e-07", "a sign before everything");
	is_text(double_text(from_bits(0x7ff0000000000001)), "NaN", "a signalling NaN");
	is_text(double_text(from_bits(0xfff8000000000000)), "NaN", "a NaN with a sign");
}

/* No number of fewer digits reads back: the nearest with one digit less does not. */
static int is_shortest(double value, const char *text) {
	int digits = 0;
	for (const char *c = text; *c != '\0' && *c != 'e'; c++) {
		digits += *c >= '0' && *c <= '9' && (digits > 0 || *c != '0');
	}
	const char *end = text + strcspn(text, "e");
	if (*end == '\0' && strchr(text, '.') == NULL) {
		for (; end > text && end[-1] == '0'; end--) {
			digits--;
		}
	}
	if (digits <= 1) {
		return 1;
	}
	char shorter[64];
	snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, value);
	return strtod(shorter, NULL) != value;
}

static uint64_t next_random(uint64_t *state) {
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* `shape` turns random bits into a double. */
static void test_random(const char *name, int rounds, double (*shape)(uint64_t)) {
	uint64_t state = 88172645463325252U;
	int lost = 0;
	int long_ones = 0;
	for (int i = 0; i < rounds; i++) {
		double value = shape(next_random(&state));
		if (!isfinite(value)) {
			continue;
		}
		const char *text = double_text(value);
		uint64_t want, got;
		double back = strtod(text, NULL);
		memcpy(&want, &value, sizeof(want));
		memcpy(&got, &back, sizeof(got));
		if (want != got && lost++ < 5) {
			printf("# %a came back as %a from %s\n", value, back, text);
		}
		if (!is_shortest(value, text) && long_ones++ < 5) {
			printf("# %.17g is too long as %s\n", value, text);
		}
	}
	printf("# %s, seed 88172645463325252, %d rounds\n", name, rounds);
	is(lost, 0, "every double reads back as itself");
	is(long_ones, 0, "and none has a digit too many");
}

static double any_bits(uint64_t random) {
	return from_bits(random);
}

static double power_of_two(uint64_t random) {
	return from_bits((random & 0x7ff) << 52);
}

static double subnormal(uint64_t random) {
	return from_bits(random >> 12 >> random % 50);
}

static double seconds(uint64_t random) {
	return (double)(random >> random % 44) / 1e9;
}

int main(void) {
	test_append();
	test_overflow();
	test_known_doubles();
	test_random("any bits", 1000000, any_bits);
	test_random("powers of two", 20000, power_of_two);
	test_random("subnormals", 100000, subnormal);
	test_random("nanoseconds as seconds", 300000, seconds);
	return tap_done();
}
