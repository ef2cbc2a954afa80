/* SPDX-License-Identifier: MIT */
/* A plug-in with thread-local memory that libc takes from malloc when a thread first touches it. */

#include "target.h"

unsigned char *module_touch(void);

static _Thread_local unsigned char much[100000];

unsigned char *module_touch(void) {
	much[sizeof much - 1]++;
	return &much[sizeof much - 1];
}
