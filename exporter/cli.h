/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_CLI_H
#define EXPORTER_CLI_H

/*
 * The command `promshim`: an ordinary program, with stdio and a heap of its own.
 *
 * Everything it prints from elsewhere (a segment, a page, a file name) was written by
 * somebody else and passes prom_cli_clean on its way to the terminal.
 */

#include <stddef.h>
#include <stdio.h>

enum prom_exit { /* part of the interface, see promshim(1) */
	PROM_EXIT_YES = 0,
	PROM_EXIT_NO = 1,
	PROM_EXIT_USAGE = 2,
	PROM_EXIT_PARTLY = 3,
	PROM_EXIT_FAILED =
			125, /* run: promshim itself failed; the next two are as in env(1) */
	PROM_EXIT_CANNOT_RUN = 126,
	PROM_EXIT_NOT_FOUND = 127,
};

/* The sub-commands; argv[0] is their name. Return the exit code; run returns on failure only. */
int prom_cli_run(int argc, char **argv);
int prom_cli_check(int argc, char **argv);

/* Makes `text` harmless for a terminal: control characters and what is no UTF-8 become '?'. */
void prom_cli_clean(char *text);

/* Prints a line, cleaned, and '\n' to `file`. Lines over 2 KiB are cut. */
void prom_cli_line(FILE *file, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/*
 * Finds what execvp(3) would run as `name`.
 *
 * out      path; `name` itself when it has a slash
 * Returns  0, or -errno: -ENOENT nowhere, -EACCES found but not executable, -ENAMETOOLONG
 */
int prom_cli_find(const char *name, char *out, size_t size_bytes);

/* The part of `path` behind its last slash. */
const char *prom_cli_basename(const char *path);

/* Returns the variable's value in our environment; NULL when unset or empty (which means unset). */
const char *prom_cli_setting(const char *name);

/* Sets the variable in our environment, or unsets it for NULL; Returns 0 or -errno. */
int prom_cli_set(const char *name, const char *value);

/* The message of an errno, positive. */
const char *prom_cli_error(int error);

#endif
