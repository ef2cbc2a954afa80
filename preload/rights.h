/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_RIGHTS_H
#define PRELOAD_RIGHTS_H

/*
 * Whether our threads have what the host's thread has that is about to change its ids. glibc
 * makes every thread follow a setuid or setgroups, and aborts the host when one cannot.
 *
 * Source  capabilities(7), "per-thread"; nptl(7); glibc nptl/nptl_setxid.c, setxid_error
 */

#include <stdbool.h>
#include <stdint.h>

/*
 * Notes the caller's ids and secure bits as those of our threads: they start with them, and
 * follow what libc changes.
 */
void shim_rights_note(void);

/* Tells whether the caller has others, or other capabilities than thread `tid` of ours. */
bool shim_rights_differ(uint32_t tid);

#endif
