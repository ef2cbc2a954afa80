/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_CLI_ANNOUNCE_H
#define EXPORTER_CLI_ANNOUNCE_H

/*
 * The one line of `promshim run`: where the metrics of what is about to run will be, or why
 * there will be none. Told from our environment, which becomes that of the program.
 */

/* Returns the port that `value` means, 0 to 65535, -1 for "none", or -EINVAL. */
int prom_announce_port(const char *value);

/* Prints the line on stderr; `path` is the file that will be run as `command`. */
void prom_announce(const char *command, const char *path);

#endif
