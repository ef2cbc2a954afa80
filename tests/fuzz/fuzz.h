/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/*
 * A fuzzer: one entry that takes any bytes, and checks that end it.
 *
 * Each is linked in one of two ways. With libFuzzer (clang, -Dfuzz=true) it looks for new inputs;
 * with driver.c and any compiler it runs its corpus, which holds what was found before.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the fuzzer when `condition`, which no input may break, does not hold. */
#define REQUIRE(condition)                                                         \
	do {                                                                       \
		if (!(condition)) {                                                \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, \
					#condition);                               \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* What libFuzzer and driver.c call. Returns 0. */
/* NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
