/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_LOADER_H
#define PRELOAD_LOADER_H

/*
 * What the dynamic loader knows: functions by name, and which object an address lies in.
 *
 * Its functions may allocate and leave an error behind for dlerror: callers are muted, and
 * forget the error when they are done. dlsym is the one versioned symbol that glibc moved
 * (2.34); it is bound weakly at its old version, and found through libdl.so.2 where an older
 * libc has it there. Without it everything here finds nothing.
 */

#include <stdbool.h>

/* Finds dlsym and its kin; idempotent. Before all else here. */
void shim_loader_init(void);

/* The function behind ours; the first of the global scope; NULL if there is none. */
void *shim_loader_next(const char *name);
void *shim_loader_first(const char *name);

/* That of an object that is loaded already, named as it is needed; keeps the object loaded. */
void *shim_loader_find_in(const char *object, const char *name);

/* Whether shim_loader_object_of can be believed to know. */
bool shim_loader_can_tell(void);

/* The object that `p` lies in: its base address, NULL if nobody knows; its file, "" if so. */
void *shim_loader_object_of(const void *p);
const char *shim_loader_file_of(const void *p);

/* Leaves no error text of ours behind for a host that asks dlerror without need. */
void shim_loader_forget_errors(void);

#endif
