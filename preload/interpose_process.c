/* SPDX-License-Identifier: MIT */

/*
 * Calls that a thread of ours in the process would make fail, or worse: our threads go
 * first, and come back afterwards with whatever the caller has become. The host's own call
 * is made in any case.
 */

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/clock.h"
#include "preload/compiler.h"
#include "preload/keeper.h"
#include "preload/messages.h"
#include "preload/quiet.h"
#include "preload/real.h"
#include "preload/segment.h"
#include "preload/start.h"

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
#define HOOK_FILTER(result, name, parameters, arguments)
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

/* What a filter that is about to be installed means for us. */
struct filter {
	bool is_ours; /* it is this process that installs it */
	bool stopped; /* our threads, which it would have bound too, or which could not stay */
};

/* A child that shares its parent's memory (vfork) installs it for itself alone. */
static bool is_ours(void) {
	if (!shim_start_is_counting() || shim_segment == NULL) {
		return false;
	}
	/* acquire: pairs with the release in segment.c; asking for the pid is a system call */
	return shim_quiet() ||
			atomic_load_explicit(&shim_process->alive,
					memory_order_acquire) == 0 ||
			shim_process->pid == getpid();
}

static void tell(bool leaving) {
	shim_message(leaving ? SHIM_WARNING : SHIM_INFO,
			leaving ? "the program put a seccomp filter on all its threads, or has "
				  "entered strict mode: ours leave, nothing is served. Counting "
				  "goes on. A filter of the calling thread alone would not do that."
				: "the program installed a seccomp filter: its threads make no "
				  "system call of ours from now on. New threads are counted "
				  "together and not as threads; no text file is written at exit.");
}

static struct filter before_filter(bool leaving) {
	struct filter filter = { .is_ours = is_ours() };
	if (filter.is_ours) {
		if (!shim_quiet() || leaving) {
			tell(leaving);
		}
		filter.stopped = leaving && stop_if(shim_keeper_is_running);
		shim_quiet_begin();
	}
	return filter;
}

static void after_filter(struct filter filter, bool failed) {
	if (filter.is_ours && failed) {
		shim_quiet_cancel();
		start_again(filter.stopped);
	}
}

/*
 * Source: prctl(2), PR_SET_SECCOMP: -1 is failure. In strict mode a thread can only end itself,
 * not the process, which threads of ours would keep alive.
 */
SHIM_COLD static int prctl_filter(unsigned long mode, unsigned long program,
		unsigned long c, unsigned long d) {
	struct filter filter = before_filter(mode == SECCOMP_MODE_STRICT);
	int r = shim_real.prctl(PR_SET_SECCOMP, mode, program, c, d);
	after_filter(filter, r < 0);
	return r;
}

/*
 * Source: seccomp(2). With TSYNC the number of a thread that could not follow is a failure,
 * unless a listener was asked for, whose descriptor is returned.
 */
static long seccomp_filter(long operation, long flags, long program) {
	bool for_all = operation == SECCOMP_SET_MODE_FILTER &&
			(flags & (long)SECCOMP_FILTER_FLAG_TSYNC) != 0;
	struct filter filter =
			before_filter(for_all || operation == SECCOMP_SET_MODE_STRICT);
	long r = shim_real.syscall(SYS_seccomp, operation, flags, program, 0, 0, 0);
	bool has_listener = (flags & (long)SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0;
	after_filter(filter, r < 0 || (for_all && !has_listener && r > 0));
	return r;
}

/* The headers give prctl and syscall variable arguments: our own names, their symbols. */
SHIM_EXPORT int hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
		unsigned long d) __asm__("prctl");
SHIM_EXPORT long hook_syscall(long number, long a, long b, long c, long d, long e,
		long f) __asm__("syscall");

int hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
		unsigned long d) {
	if (option == PR_SET_SECCOMP) {
		return prctl_filter(a, b, c, d);
	}
	return shim_real.prctl(option, a, b, c, d);
}

/* Those of the calls around here that came by number. */
SHIM_COLD __attribute__((used)) static long watched(long number, long a, long b, long c,
		long d, long e, long f) {
	switch (number) {
	case SYS_unshare:
		return unshare((int)a);
	case SYS_setns:
		return setns((int)a, (int)b);
	case SYS_capset:
		return capset((void *)a,
				(const void *)b); // NOLINT(performance-no-int-to-ptr)
	case SYS_prctl:
		if (a == PR_SET_SECCOMP) {
			return prctl_filter((unsigned long)b, (unsigned long)c,
					(unsigned long)d, (unsigned long)e);
		}
		break;
	case SYS_seccomp:
		/* other arguments can only fail: so libseccomp asks what the kernel knows */
		if ((a == SECCOMP_SET_MODE_STRICT && b == 0 && c == 0) ||
				(a == SECCOMP_SET_MODE_FILTER && c != 0)) {
			return seccomp_filter(a, b, c);
		}
		break;
	default:
		break;
	}
	return shim_real.syscall(number, a, b, c, d, e, f);
}

/*
 * The seventh argument lies on the caller's stack, if there is one at all: what lies there
 * else may be a word that another thread writes, so it must not even be copied in place. And
 * a child that returns from syscall(SYS_clone) on a stack of its own must find no frame of
 * ours. The compiler promises neither.
 */
#if defined(__x86_64__)
__attribute__((naked)) long hook_syscall(long number, long a, long b, long c, long d,
		long e, long f) {
	__asm__("endbr64\n\t"
		"cmp %[unshare], %%rdi\n\t"
		"je 1f\n\t"
		"cmp %[setns], %%rdi\n\t"
		"je 1f\n\t"
		"cmp %[capset], %%rdi\n\t"
		"je 1f\n\t"
		"cmp %[prctl], %%rdi\n\t"
		"je 1f\n\t"
		"cmp %[seccomp], %%rdi\n\t"
		"je 1f\n\t"
		"jmp *%c[real]+shim_real(%%rip)\n"
		"1:\tjmp %P[watched]"
			:
			: [unshare] "i"(SYS_unshare), [setns] "i"(SYS_setns),
			[capset] "i"(SYS_capset), [prctl] "i"(SYS_prctl),
			[seccomp] "i"(SYS_seccomp),
			[real] "i"(offsetof(struct shim_real, syscall)),
			[watched] "i"(watched));
}
#else
long hook_syscall(long number, long a, long b, long c, long d, long e, long f) {
	if (SHIM_UNLIKELY(number == SYS_unshare || number == SYS_setns ||
			    number == SYS_capset || number == SYS_prctl ||
			    number == SYS_seccomp)) {
		return watched(number, a, b, c, d, e, f);
	}
	return shim_real.syscall(number, a, b, c, d, e, f);
}
#endif
