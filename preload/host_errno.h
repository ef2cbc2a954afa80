/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_HOST_ERRNO_H
#define PRELOAD_HOST_ERRNO_H

/*
 * errno is the host's: hooks keep it, and set it as the function that they stand for would. It is
 * found like everything that must be libc's own (real.h), not called by its name, and before
 * that, or without a libc, is a variable that nobody reads.
 */

#include <errno.h>

int *shim_errno(void) __attribute__((visibility("hidden")));

#undef errno
#define errno (*shim_errno())

#endif
