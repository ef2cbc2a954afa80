/* SPDX-License-Identifier: MIT */
/* A plug-in in C that hands out blocks of its own and takes back those of others. */

#include "target.h"

void *module_take(size_t size);
void module_give(void *p);

void *module_take(size_t size) {
	return malloc(size);
}

void module_give(void *p) {
	free(p);
}
