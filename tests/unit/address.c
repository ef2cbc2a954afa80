/* SPDX-License-Identifier: MIT */
/* Addresses beside libc's: texts that are right, that are nearly right, and some thousand made ones. */

#include "exporter/base/address.h"

#include <arpa/inet.h>
#include <stdbool.h>

#include "tests/unit/tap.h"

/* Both take it or none, and for the same address. */
static bool agree(const char *text) {
	uint8_t own[16] = { 0 }, theirs[16] = { 0 };
	bool taken = base_address_ipv4(text, own);
	if (taken != (inet_pton(AF_INET, text, theirs) == 1) ||
			(taken && memcmp(own, theirs, 4) != 0)) {
		printf("# IPv4: %s\n", text);
		return false;
	}
	taken = base_address_ipv6(text, own);
	if (taken != (inet_pton(AF_INET6, text, theirs) == 1) ||
			(taken && memcmp(own, theirs, 16) != 0)) {
		printf("# IPv6: %s\n", text);
		return false;
	}
	return true;
}

static void test_texts(void) {
	static const char *const texts[] = { "", "0.0.0.0", "127.0.0.1",
		"255.255.255.255", "256.0.0.1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3",
		"01.2.3.4", "1.2.3.04", "0001.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1..3.4",
		"a.b.c.d", "localhost", "::", "::1", "1::", "1::2", "fe80::1%lo",
		"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:8::", "::2:3:4:5:6:7:8",
		"1::3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "::1:2:3:4:5:6:7:8", "1::2::3",
		":::", ":", "1:", ":1",
		"1:2:", "12345::", "g::", "ABCD:ef01::", "::ffff:1.2.3.4", "::1.2.3.4",
		"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5::1.2.3.4",
		"::1.2.3", "::1.2.3.4:5", "1.2.3.4::", "::1.2.3.256", "::01.2.3.4" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ok(agree(texts[i]), texts[i]);
	}
}

static void test_made(void) {
	static const char *const pieces[] = { ":", "::", ".", "0", "1", "9", "25", "255",
		"f", "ffff", "1.2.3.4" };
	enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };
	uint32_t state = 1;
	unsigned wrong = 0;
	for (unsigned i = 0; i < 100000; i++) {
		char text[128] = "";
		for (unsigned k = 0; k < 1 + i % 18; k++) {
			state = state * 1664525 +
					1013904223; /* Numerical Recipes' generator */
			strcat(text, pieces[(state >> 16) % PIECES]);
		}
		wrong += !agree(text);
	}
	is(wrong, 0, "as libc, whatever is put together");
}

int main(void) {
	test_texts();
	test_made();
	return tap_done();
}
