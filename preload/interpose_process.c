/* SPDX-License-Identifier: MIT */

/*
 * Calls that a thread of ours in the process would make fail, or worse: our threads go
 * first, and come back afterwards with whatever the caller has become. The host's own call
 * is made in any case.
 */

#include <sched.h>

#include "exporter/base/kernel.h"
#include "preload/aside.h"
#include "preload/clock.h"
#include "preload/compiler.h"
#include "preload/host_errno.h"
#include "preload/keeper.h"
#include "preload/quiet.h"
#include "preload/real.h"
#include "preload/rights.h"
#include "preload/segment.h"

enum { EMPTY_NS = 100000000 };

/* Our threads have followed the caller. */
static void followed(void) {
	if (!shim_quiet() && shim_keeper_is_running()) {
		shim_rights_note();
	}
}

#define HOOK_MALLOC(result, name, parameters, arguments)
#define HOOK_NEW(result, name, parameters, arguments)
#define HOOK_NEW_ALIGNED(result, name, parameters, arguments)
#define HOOK_DELETE(result, name, parameters, arguments)
#define HOOK_THREAD(result, name, parameters, arguments)
#define HOOK_COPY(result, name, parameters, arguments)
#define HOOK_NAMESPACE(result, name, parameters, arguments)
#define HOOK_FILTER(result, name, parameters, arguments)
#define HOOK_ALONE(stand, after, result, name, parameters, arguments) \
	SHIM_EXPORT result name parameters;                           \
	result name parameters {                                      \
		bool stopped = shim_aside(stand);                     \
		result r = shim_real.name arguments;                  \
		after();                                              \
		shim_aside_end(stopped);                              \
		return r;                                             \
	}
#define HOOK_IDENTITY(...) HOOK_ALONE(shim_keeper_differs, followed, __VA_ARGS__)
#define HOOK_RIGHTS(result, name, parameters, arguments)
#define SHIM_HOOK(group, result, name, parameters, arguments) \
	HOOK_##group(result, name, parameters, arguments)
#include "preload/hooks.def"

SHIM_EXPORT int unshare(int flags);
SHIM_EXPORT int setns(int fd, int flags);
SHIM_EXPORT int capset(void *head, const void *data);

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
			shim_clock_quietly_ns() - since_ns < EMPTY_NS &&
			atomic_load_explicit(&shim_process->host_threads,
					memory_order_relaxed) <= 1;
}

#define CALL_ALONE(call)                                           \
	bool stopped = shim_aside(shim_keeper_is_running);         \
	uint64_t since_ns = stopped ? shim_clock_quietly_ns() : 0; \
	int r = (call);                                            \
	while (stopped && is_emptying(r, since_ns)) {              \
		kernel_sched_yield();                              \
		r = (call);                                        \
	}                                                          \
	shim_aside_end(stopped);                                   \
	return r;

/* Source: unshare(2), setns(2), EINVAL and EUSERS for multithreaded callers. */
int shim_call_unshare(int flags) {
	int single = CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	if ((flags & single) == 0) {
		return shim_real.unshare(flags);
	}
	CALL_ALONE(shim_real.unshare(flags))
}

/* With flags 0 the descriptor decides, which may be a user or a time namespace. */
int shim_call_setns(int fd, int flags) {
	enum { NEWTIME = 0x80 }; /* CLONE_NEWTIME of linux/sched.h, since 5.6 */
	if (flags != 0 && (flags & (CLONE_NEWUSER | CLONE_NEWNS | NEWTIME)) == 0) {
		return shim_real.setns(fd, flags);
	}
	CALL_ALONE(shim_real.setns(fd, flags))
}

int shim_call_capset(void *head, const void *data) {
	bool stopped = shim_aside(shim_keeper_is_running);
	int r = shim_real.capset(head, data);
	shim_aside_end(stopped);
	return r;
}

int unshare(int flags) {
	return shim_call_unshare(flags);
}

int setns(int fd, int flags) {
	return shim_call_setns(fd, flags);
}

int capset(void *head, const void *data) {
	return shim_call_capset(head, data);
}
