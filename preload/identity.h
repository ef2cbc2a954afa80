/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_IDENTITY_H
#define PRELOAD_IDENTITY_H

/* Who this process is: the label `program`, and what `promshim check` shows. */

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds the program's name: the executable's, for interpreters the script's.
 *
 * executable  path, or "" if it cannot be read: then argv[0] counts
 * out         base name, cut to `size_bytes`, bytes that are not printable UTF-8 as '?'
 *
 * `python3 -m mod` is mod, `bash -c ...` is bash; a script's `.py`, `.sh` ... is kept.
 */
void shim_identity_program(const char *executable, int argc, char *const *argv, char *out,
		size_t size_bytes);

/*
 * Tells whether this is a child of a browser built on Chromium that is to be sandboxed. Its
 * zygote aborts unless it is the one thread of its process, sandbox or not, and the others
 * put filters on all threads.
 *
 * Source   Chromium, content/zygote/zygote_main_linux.cc: it counts the links of
 *          /proc/self/task. What kind of process it is comes first among the arguments.
 */
bool shim_identity_is_sandboxed(int argc, char *const *argv);

/* Reads /proc/self/exe into `out`; "" if that fails. */
void shim_identity_executable(char *out, size_t size_bytes);

/* Returns the inode of the pid namespace, 0 if it cannot be read. */
unsigned long long shim_identity_pid_namespace(void);

#endif
