/* SPDX-License-Identifier: MIT */

/*
 * Calls that a thread of ours in the process would make fail, or worse: our threads go
 * first, and come back afterwards with whatever the caller has become. The host's own call
 * is made in any case.
 */

#include <errno.h>
#include <sched.h>

#include "preload/clock.h"
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

/* Stops our threads if they run and `stand` says that they stand in the way. */
static bool stop_if(bool (*stand)(void)) {
	int saved = errno;
	bool stopped = stand() && shim_keeper_stop(STOP_MS);
	errno = saved;
	return stopped;
}

#define HOOK_MALLOC(result, name, parameters, arguments)
#define HOOK_NEW(result, name, parameters, arguments)
#define HOOK_NEW_ALIGNED(result, name, parameters, arguments)
#define HOOK_DELETE(result, name, parameters, arguments)
#define HOOK_THREAD(result, name, parameters, arguments)
#define HOOK_NAMESPACE(result, name, parameters, arguments)
#define HOOK_ALONE(stand, result, name, parameters, arguments) \
	SHIM_EXPORT result name parameters;                    \
	result name parameters {                               \
		bool stopped = stop_if(stand);                 \
		result r = shim_real.name arguments;           \
		start_again(stopped);                          \
		return r;                                      \
	}
#define HOOK_IDENTITY(...) HOOK_ALONE(shim_keeper_differs, __VA_ARGS__)
#define HOOK_RIGHTS(...)   HOOK_ALONE(shim_keeper_is_running, __VA_ARGS__)
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
static bool is_emptying(int r, uint64_t since_ns) {
	/* relaxed: a count */
	return r != 0 && (errno == EINVAL || errno == EUSERS) &&
			shim_clock_ns(CLOCK_MONOTONIC) - since_ns < EMPTY_NS &&
			atomic_load_explicit(&shim_process->host_threads,
					memory_order_relaxed) <= 1;
}

#define CALL_ALONE(call)                                    \
	bool stopped = stop_if(shim_keeper_is_running);     \
	uint64_t since_ns = shim_clock_ns(CLOCK_MONOTONIC); \
	int r = (call);                                     \
	while (stopped && is_emptying(r, since_ns)) {       \
		sched_yield();                              \
		r = (call);                                 \
	}                                                   \
	start_again(stopped);                               \
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
