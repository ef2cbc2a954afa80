/* SPDX-License-Identifier: MIT */
#include "preload/host_errno.h"

#include <stddef.h>

#include "preload/real.h"

int *shim_errno(void) {
	static int nobodys;
	shim_real_resolve(); /* who keeps errno may be the first of all events */
	return shim_libc.errno_location != NULL ? shim_libc.errno_location() : &nobodys;
}
