/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_QUIET_H
#define PRELOAD_QUIET_H

/*
 * Seccomp filters: a system call of ours that the host would never have made may kill it.
 *
 * A filter that is installed while we look on (prctl and syscall are hooked) makes us quiet:
 * from just before it on no host thread makes a system call on our account. Counting goes on in the memory that is there. A filter
 * that was there before us, and is not the whole container's, may forbid anything: then we
 * do nothing at all, unless PROMSHIM_TUNE=seccomp=1 says that it allows what we need
 * (exporter/base/kernel.def).
 */

#include <stdbool.h>

/* Tells whether host threads must make no system call of ours. Any thread, any time. */
bool shim_quiet(void);

/*
 * A filter is about to be installed; or it was refused. Calls nest: several threads may
 * install filters at once.
 */
void shim_quiet_begin(void);
void shim_quiet_cancel(void);

/*
 * Tells whether a filter was there before us that is not its container's: whether this
 * process has more filters than the first one of its pid namespace. Looks once, with the
 * calls only that the loader has just made itself: openat, read, close.
 *
 * Source  proc_pid_status(5), Seccomp and Seccomp_filters (since Linux 5.9); before, every
 *         filter counts as a foreign one
 */
bool shim_quiet_was_filtered(void);

/* The settings say that the filter allows what we need: it is as if there was none. */
void shim_quiet_trust(void);

#endif
