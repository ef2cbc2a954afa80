/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_ASIDE_H
#define PRELOAD_ASIDE_H

/* Our threads step aside for a call of the host's, and come back after it. */

#include <stdbool.h>

#include "preload/host_errno.h"
#include "preload/keeper.h"

/*
 * Stops our threads if they run and `stand` says that they stand in the way. errno is kept.
 *
 * Returns  whether they have to come back
 */
static inline bool shim_aside(bool (*stand)(void)) {
	int saved = errno;
	bool stopped = stand() && shim_keeper_stop(SHIM_KEEPER_STOP_MS);
	errno = saved;
	return stopped;
}

static inline void shim_aside_end(bool stopped) {
	if (stopped) {
		int saved = errno;
		shim_keeper_start();
		errno = saved;
	}
}

/*
 * unshare, setns and capset with our threads aside. Not by the names of the hooks: these may be
 * the host's own functions, which come here by number.
 */
int shim_call_unshare(int flags);
int shim_call_setns(int fd, int flags);
int shim_call_capset(void *head, const void *data);

#endif
