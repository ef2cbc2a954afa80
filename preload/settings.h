/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_SETTINGS_H
#define PRELOAD_SETTINGS_H

/*
 * PROMSHIM_* from the environment, read once, in the constructor. The one table is in
 * settings.c; README's table is checked against it.
 *
 * A bad value means the default and a message, never a refusal to run; an unknown
 * PROMSHIM_ name is a message that names the nearest. In an AT_SECURE process nothing is
 * read. No libc facility that allocates, locks or looks at the locale; `environ` is walked,
 * never written.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHIM_PATH_BYTES = 512 };

struct shim_settings {
	uint32_t mode; /* enum shim_mode */
	int32_t port; /* -1 = none */
	char address[64];
	char socket[SHIM_PATH_BYTES];
	char port_file[SHIM_PATH_BYTES]; /* %p and %n not expanded */
	char program[64]; /* "" = found by itself */
	char include[SHIM_PATH_BYTES];
	char exclude[SHIM_PATH_BYTES];
	char collectors[128];
	char textfile[SHIM_PATH_BYTES];
	char log[SHIM_PATH_BYTES]; /* "off", "stderr" or a path */
	uint64_t slow_interval_ns; /* TUNE */
	uint64_t timeout_ns; /* TUNE */
	uint32_t max_requests; /* TUNE */
	uint32_t seccomp; /* TUNE: 1 = a filter that was there allows what we need */
	uint32_t invalid; /* how many were refused or unknown */
};

/*
 * Fills `out` from `environment` ("NAME=value" strings, NULL at the end; NULL for defaults).
 *
 * report   called with a line for each refused value and each unknown name
 * Calls    constructor; async-signal-safe
 */
void shim_settings_read(struct shim_settings *out, char *const *environment,
		void (*report)(int level, const char *line));

/* Writes the settings in force as "NAME=value\n" lines into `out`, NUL-terminated. */
void shim_settings_print(const struct shim_settings *settings, char *out,
		size_t size_bytes);

/*
 * Expands %p (pid), %n (program) and %% of `pattern` into `out`.
 *
 * Returns  0, or -ENAMETOOLONG (then `out` is "")
 */
int shim_settings_expand(const char *pattern, int pid, const char *program, char *out,
		size_t size_bytes);

/* Tells whether a program of this name is to be counted: PROMSHIM_INCLUDE, _EXCLUDE; exclude wins. */
bool shim_settings_selects(const struct shim_settings *settings, const char *program);

#endif
