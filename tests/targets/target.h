/* SPDX-License-Identifier: MIT */
#ifndef TESTS_TARGETS_TARGET_H
#define TESTS_TARGETS_TARGET_H

/*
 * What the targets share. Nothing here allocates, so a target allocates what it says and no
 * more; every target ends by itself within an hour, whatever becomes of its test: later than
 * the longest patience of tests/helpers/patience, so that no test depends on it.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#ifdef __LP64__ /* Debian has no such header for the others on its own */
#	include <sys/syscall.h>
#endif

/* Ends the process with status 99 and a line on stderr when something is not as it must be. */
#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			say_to(2, "%s:%d: not so: %s", __FILE__, __LINE__, #condition); \
			_exit(99);                                                      \
		}                                                                       \
	} while (0)

/* Hides from the compiler where a pointer comes from: malloc and free stay in the program. */
#define KEEP(p) __asm__ volatile("" : "+r"(p) : : "memory")

/* Writes one line in one write(2). */
__attribute__((format(printf, 2, 3))) static inline void say_to(int descriptor,
		const char *format, ...) {
	char line[512];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line - 1, format, arguments);
	va_end(arguments);
	if (length < 0)
		_exit(98);
	size_t size = (size_t)length < sizeof line - 1 ? (size_t)length : sizeof line - 2;
	line[size] = '\n';
	if (write(descriptor, line, size + 1) < 0)
		_exit(98);
}

#define say(...) say_to(1, __VA_ARGS__)

/* Waits for a line, or the end, of standard input. */
static inline void wait_for_test(void) {
	char c = 0;
	while (c != '\n' && read(0, &c, 1) == 1)
		;
}

/*
 * By number: libfaketime makes alarm follow the clock that it makes up, and a host in a time that
 * runs a thousand times as fast would be ended after 3.6 s.
 */
static inline void end_some_day(void) {
	struct itimerval hour = { { 0, 0 }, { 3600, 0 } };
#ifdef __LP64__
	syscall(SYS_setitimer, ITIMER_REAL, &hour, NULL);
#else
	setitimer(ITIMER_REAL, &hour, NULL);
#endif
}

static inline int is(const char *a, const char *b) {
	return strcmp(a, b) == 0;
}

static inline unsigned long number(const char *text) {
	return strtoul(text, NULL, 10);
}

#endif
