/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_LOADER_H
#define PRELOAD_LOADER_H

/*
 * The dynamic loader's list of objects and their symbol tables, read and not asked: dlsym may be
 * another preloaded object's, takes the loader's lock, allocates, and leaves texts for dlerror.
 * Nothing here calls anybody, so it may run at the first event of a process, whoever holds what;
 * the one exception is the resolver of an indirect function (IFUNC), which is the function's own.
 *
 * Only the objects that the program started with are looked at: they are never unloaded. Those that
 * came later may be, at any moment.
 *
 * Of the versions of a name the default one is taken, else, as in libc_malloc_debug, the newest.
 *
 * Source  ELF gABI, "Hash Table", "Dynamic Section"; "Symbol Versioning", LSB 4.1 core; for the GNU
 *         hash table glibc elf/dl-lookup.c, do_lookup_x; struct r_debug: <link.h>, rtld-debugger interface
 */

#include <stdbool.h>

struct shim_symbol {
	void *address; /* NULL: nobody has it */
	const void *object; /* identity of the object that has it */
};

/*
 * Finds the list. Before all else here; idempotent.
 *
 * Calls  the first event of the process
 */
void shim_loader_init(void);

/* That of the objects behind us; of all, in load order, ours among them. */
struct shim_symbol shim_loader_next(const char *name);
struct shim_symbol shim_loader_first(const char *name);

/* Whether `object` comes after `other` in load order; NULL is nowhere. */
bool shim_loader_is_behind(const void *object, const void *other);

/* The object that others need by the name `name` ("libc.so.6"), or whose file is called so; NULL: none. */
const void *shim_loader_object(const char *name);

/* That of one object, which stays loaded; NULL has nothing. */
struct shim_symbol shim_loader_in(const void *object, const char *name);

/*
 * This object's identity, NULL if it is in no list; the path that an object was loaded from, "" for
 * the program's own.
 */
const void *shim_loader_self(void);
const char *shim_loader_path(const void *object);

#endif
