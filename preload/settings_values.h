/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_SETTINGS_VALUES_H
#define PRELOAD_SETTINGS_VALUES_H

/*
 * How the single settings are read; private to settings.c, whose table says which is which.
 *
 * Each reader puts the value into `out` and returns NULL, or leaves `out` alone and returns
 * what is wrong with it, in words that fit behind "NAME=value: ".
 */

#include <stdbool.h>
#include <stddef.h>

#include "preload/settings.h"

enum { SHIM_ITEM_BYTES = 64 };

extern const char shim_settings__modes[3][8]; /* by enum shim_mode */
extern const char shim_settings__not_here[20];

const char *shim_settings__read_mode(struct shim_settings *out, const char *value);
const char *shim_settings__read_port(struct shim_settings *out, const char *value);
const char *shim_settings__read_address(struct shim_settings *out, const char *value);
const char *shim_settings__read_log(struct shim_settings *out, const char *value);
const char *shim_settings__read_collectors(struct shim_settings *out, const char *value);

/* Reader of plain text: copies it when it fits. */
const char *shim_settings__copy(char *out, size_t size_bytes, const char *value);

/*
 * Cuts the next item off a comma-separated list, blanks around it removed.
 *
 * Returns  false at the end of the list
 */
bool shim_settings__next_item(const char **list, char item[SHIM_ITEM_BYTES]);

#endif
