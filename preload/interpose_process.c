/* SPDX-License-Identifier: MIT */

/*
 * Calls that a thread of ours in the process would make fail, or worse: our threads go
 * first, and come back afterwards with whatever the caller has become. The host's own call
 * is made in any case.
 */

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "preload/compiler.h"
#include "preload/keeper.h"
#include "preload/real.h"

enum { STOP_MS = 1000, EMPTY_NS = 100000000 };

static void start_again(bool stopped) {
	if (stopped) {
		int saved = errno;
		shim_keeper_start();
		errno = saved;
	}
}

static bool stop_unless_alike(void) {
	int saved = errno;
	bool stopped = shim_keeper_differs() && shim_keeper_stop(STOP_MS);
	errno = saved;
	return stopped;
}

#define HOOK_MALLOC(result, name, parameters, arguments)
#define HOOK_NEW(result, name, parameters, arguments)
#define HOOK_NEW_ALIGNED(result, name, parameters, arguments)
#define HOOK_DELETE(result, name, parameters, arguments)
#define HOOK_THREAD(result, name, parameters, arguments)
#define HOOK_NAMESPACE(result, name, parameters, arguments)
#define HOOK_IDENTITY(result, name, parameters, arguments) \
	SHIM_EXPORT result name parameters;                \
	result name parameters {                           \
		bool stopped = stop_unless_alike();        \
		result r = shim_real.name arguments;       \
		start_again(stopped);                      \
		return r;                                  \
	}
#define SHIM_HOOK(group, result, name, parameters, arguments) \
	HOOK_##group(result, name, parameters, arguments)
#include "preload/hooks.def"

SHIM_EXPORT int unshare(int flags);
SHIM_EXPORT int setns(int fd, int flags);

/*
 * The kernel counts a joined thread for some time yet: EINVAL is believed only after 100 ms.
 * Returns whether the call is worth another try.
 */
static bool is_emptying(int r, const struct timespec *since) {
	struct timespec now = { 0, 0 };
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t waited_ns = (int64_t)(now.tv_sec - since->tv_sec) * 1000000000 +
			(now.tv_nsec - since->tv_nsec);
	return r != 0 && errno == EINVAL && waited_ns < EMPTY_NS;
}

/* Source: unshare(2), setns(2), EINVAL for multithreaded callers. */
int unshare(int flags) {
	int single = CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	if ((flags & single) == 0 || !shim_keeper_is_running() ||
			!shim_keeper_stop(STOP_MS)) {
		return shim_real.unshare(flags);
	}
	struct timespec since = { 0, 0 };
	clock_gettime(CLOCK_MONOTONIC, &since);
	int r = shim_real.unshare(flags);
	while (is_emptying(r, &since)) {
		sched_yield();
		r = shim_real.unshare(flags);
	}
	start_again(true);
	return r;
}

/* With flags 0 the descriptor decides, which may be a user or a time namespace. */
int setns(int fd, int flags) {
	if ((flags != 0 && (flags & (CLONE_NEWUSER | CLONE_NEWNS)) == 0) ||
			!shim_keeper_is_running() || !shim_keeper_stop(STOP_MS)) {
		return shim_real.setns(fd, flags);
	}
	struct timespec since = { 0, 0 };
	clock_gettime(CLOCK_MONOTONIC, &since);
	int r = shim_real.setns(fd, flags);
	while (is_emptying(r, &since)) {
		sched_yield();
		r = shim_real.setns(fd, flags);
	}
	start_again(true);
	return r;
}
