/* SPDX-License-Identifier: MIT */
#include "preload/text.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/unit/tap.h"

static void test_cut(void) {
	char bytes[8];
	struct shim_text text;

	memset(bytes, 'x', sizeof(bytes));
	shim_text_init(&text, bytes, sizeof(bytes) - 1);
	is_text(bytes, "", "starts empty");
	shim_text_put(&text, "abc");
	shim_text_put_bytes(&text, "defghi", 6);
	is_text(bytes, "abcdef", "is cut where the memory ends");
	is(bytes[7], 'x', "never writes past its memory");
	shim_text_put(&text, "z");
	shim_text_uint(&text, 7);
	is_text(bytes, "abcdef", "stays full");

	shim_text_init(&text, bytes, 0);
	shim_text_put(&text, "abc");
	is(bytes[0], 'a', "memory of no bytes is left alone");
	shim_text_init(&text, bytes, 1);
	shim_text_put(&text, "b");
	is_text(bytes, "", "memory of one byte holds the end");
}

static void test_numbers(void) {
	char bytes[64];
	struct shim_text text;

	shim_text_init(&text, bytes, sizeof(bytes));
	shim_text_uint(&text, 0);
	shim_text_put(&text, " ");
	shim_text_uint(&text, UINT64_MAX);
	is_text(bytes, "0 18446744073709551615", "least and largest number");
}

static void test_errno(void) {
	static const struct {
		int error;
		const char *name;
	} cases[] = {
		{ EADDRINUSE, "EADDRINUSE" },
		{ EPROTONOSUPPORT, "EPROTONOSUPPORT" },
		{ EPERM, "EPERM" },
		{ ECANCELED, "ECANCELED" },
		{ 0, "errno 0" },
		{ 58, "errno 58" },
		{ 4711, "errno 4711" },
		{ -1, "errno -1" },
		{ INT_MIN, "errno -2147483648" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char bytes[32];
		struct shim_text text;
		shim_text_init(&text, bytes, sizeof(bytes));
		shim_text_errno(&text, cases[i].error);
		is_text(bytes, cases[i].name, cases[i].name);
	}
}

int main(void) {
	test_cut();
	test_numbers();
	test_errno();
	return tap_done();
}
