/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_BASE_AUXV_H
#define EXPORTER_BASE_AUXV_H

/*
 * What the kernel told the program at its start.
 *
 * Source  getauxval(3); System V ABI, AMD64 supplement, 3.4.3, "Auxiliary Vector"
 */

#include <stddef.h>

/*
 * From here on `get` is asked, libc's getauxval, which found the vector before anybody could move
 * what lies before it: where variables were taken out of the environment, as the loader does for
 * setuid programs, it does not end where the vector begins.
 *
 * Calls  once, before other threads ask
 */
void auxv_take(unsigned long (*get)(unsigned long type));

/*
 * Returns the value of `type` (AT_PAGESZ, ...), 0 when the kernel did not tell it.
 *
 * Until auxv_take the kernel is asked for /proc/self/auxv.
 *
 * Calls  any thread; async-signal-safe
 */
unsigned long auxv_get(unsigned long type);

/* Bytes of a page; where they are not the same everywhere, and nobody tells, the largest. */
size_t auxv_page_bytes(void);

#endif
