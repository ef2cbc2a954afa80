/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

/*
 * Checks that print TAP and go on after a failure; the plan comes at the end.
 * A test program calls checks from main and returns tap_done().
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count;
static int tap_failures;

#define ok(condition, name) tap_ok((condition) != 0, (name), __FILE__, __LINE__)
#define is(got, expected, name) \
	tap_is((long long)(got), (long long)(expected), (name), __FILE__, __LINE__)
#define is_text(got, expected, name) \
	tap_is_text((got), (expected), (name), __FILE__, __LINE__)

static inline void tap_ok(int passed, const char *name, const char *file, int line) {
	tap_count++;
	printf("%sok %d - %s\n", passed ? "" : "not ", tap_count, name);
	if (!passed) {
		tap_failures++;
		printf("# failed at %s:%d\n", file, line);
	}
	fflush(stdout);
}

static inline void tap_is(long long got, long long expected, const char *name,
		const char *file, int line) {
	tap_ok(got == expected, name, file, line);
	if (got != expected) {
		printf("#      got: %lld\n# expected: %lld\n", got, expected);
	}
}

static inline void tap_is_text(const char *got, const char *expected, const char *name,
		const char *file, int line) {
	tap_ok(strcmp(got, expected) == 0, name, file, line);
	if (strcmp(got, expected) != 0) {
		printf("#      got: %s\n# expected: %s\n", got, expected);
	}
}

/* Says that a check could not run; a failure where PROMSHIM_TESTS_MUST_RUN=1. */
static inline void tap_skip(const char *name, const char *reason) {
	const char *must_run = getenv("PROMSHIM_TESTS_MUST_RUN");
	if (must_run != NULL && strcmp(must_run, "1") == 0) {
		tap_ok(0, name, reason, 0);
		return;
	}
	tap_count++;
	printf("ok %d - %s # SKIP %s\n", tap_count, name, reason);
	fflush(stdout);
}

/* Seconds after which what does not come is taken for a hang: as tests/helpers/patience says. */
static inline long tap_patience_s(void) {
	const char *patience = getenv("TESTS_PATIENCE");
	long seconds = patience != NULL ? strtol(patience, NULL, 10) : 0;
	return seconds > 0 ? seconds : 60;
}

static inline int tap_done(void) {
	printf("1..%d\n", tap_count);
	return tap_failures == 0 ? 0 : 1;
}

#endif
