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
#include "preload/segment.h"

enum { STOP_MS = 1000, EMPTY_NS = 100000000 };

static void start_again(bool stopped) {
	if (stopped) {
		int saved = errno;
		shim_keeper_start();
		errno = saved;
	}
}

static bool stop(void) {
	int saved = errno;
	bool stopped = shim_keeper_is_running() && shim_keeper_stop(STOP_MS);
	errno = saved;
	return stopped;
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
#define HOOK_RIGHTS(result, name, parameters, arguments) \
	SHIM_EXPORT result name parameters;              \
	result name parameters {                         \
		bool stopped = stop();                   \
		result r = shim_real.name arguments;     \
		start_again(stopped);                    \
		return r;                                \
	}
#define SHIM_HOOK(group, result, name, parameters, arguments) \
	HOOK_##group(result, name, parameters, arguments)
#include "preload/hooks.def"

SHIM_EXPORT int unshare(int flags);
SHIM_EXPORT int setns(int fd, int flags);

/*
 * The kernel counts a joined thread for some time yet: what it says to processes of several
 * threads (EINVAL; EUSERS for time namespaces) is believed only after 100 ms, or at once if
 * the host has other threads itself.
 *
 * Returns  whether the call is worth another try
 */
static bool is_emptying(int r, const struct timespec *since) {
	struct timespec now = { 0, 0 };
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t waited_ns = (int64_t)(now.tv_sec - since->tv_sec) * 1000000000 +
			(now.tv_nsec - since->tv_nsec);
	/* relaxed: a count */
	return r != 0 && (errno == EINVAL || errno == EUSERS) && waited_ns < EMPTY_NS &&
			atomic_load_explicit(&shim_process->host_threads,
					memory_order_relaxed) <= 1;
}

#define CALL_ALONE(call)                            \
	bool stopped = stop();                      \
	struct timespec since = { 0, 0 };           \
	clock_gettime(CLOCK_MONOTONIC, &since);     \
	int r = (call);                             \
	while (stopped && is_emptying(r, &since)) { \
		sched_yield();                      \
		r = (call);                         \
	}                                           \
	start_again(stopped);                       \
	return r;

/* Source: unshare(2), setns(2), EINVAL and EUSERS for multithreaded callers. */
int unshare(int flags) {
	int single = CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	if ((flags & single) == 0) {
		return shim_real.unshare(flags);
	}
	CALL_ALONE(shim_real.unshare(flags))
}

/* With flags 0 the descriptor decides, which may be a user or a time namespace. */
int setns(int fd, int flags) {
	enum { NEWTIME = 0x80 }; /* CLONE_NEWTIME of linux/sched.h, since 5.6 */
	if (flags != 0 && (flags & (CLONE_NEWUSER | CLONE_NEWNS | NEWTIME)) == 0) {
		return shim_real.setns(fd, flags);
	}
	CALL_ALONE(shim_real.setns(fd, flags))
}
