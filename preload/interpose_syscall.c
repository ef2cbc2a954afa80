/* SPDX-License-Identifier: MIT */

/*
 * System calls that come by number, and prctl and clone: seccomp filters, which we must see
 * before they bind us, copies of the process, and what else interpose_process.c is about.
 */

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "exporter/base/kernel.h"
#include "preload/aside.h"
#include "preload/compiler.h"
#include "preload/copy.h"
#include "preload/keeper.h"
#include "preload/messages.h"
#include "preload/quiet.h"
#include "preload/real.h"
#include "preload/segment.h"
#include "preload/start.h"

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
			shim_process->pid == kernel_getpid();
}

static void tell(bool leaving) {
	shim_message(leaving ? SHIM_WARNING : SHIM_INFO,
			leaving ? "the program puts a seccomp filter on all its threads, or enters "
				  "strict mode: ours leave, nothing is served. Counting goes on. A "
				  "filter of the calling thread alone would not do that."
				: "the program installs a seccomp filter: its threads make no system "
				  "call of ours from now on. New threads are counted together and not "
				  "as threads; no text file is written at exit.");
}

/*
 * Quiet begins before our threads go: whoever starts them just now sees it. Operators that the
 * first new would look up are looked up here, for that may open files.
 */
static struct filter before_filter(bool leaving) {
	struct filter filter = { .is_ours = is_ours() };
	if (filter.is_ours) {
		bool was_quiet = shim_quiet();
		bool has_threads = shim_keeper_exists();
		if (!was_quiet) {
			shim_real_resolve_operators();
		}
		if (!was_quiet || (leaving && has_threads)) {
			tell(leaving && has_threads);
		}
		shim_quiet_begin();
		if (!was_quiet && has_threads) {
			shim_keeper_nudge();
		}
		filter.stopped = leaving && shim_aside(shim_keeper_exists);
	}
	return filter;
}

static void after_filter(struct filter filter, bool failed) {
	if (filter.is_ours && failed) {
		shim_quiet_cancel();
		shim_aside_end(filter.stopped);
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

/* The headers give these variable arguments: our own names, their symbols. */
SHIM_EXPORT int hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
		unsigned long d) __asm__("prctl");
SHIM_EXPORT long hook_syscall(long number, long a, long b, long c, long d, long e,
		long f) __asm__("syscall");
SHIM_EXPORT int hook_clone(int (*run)(void *), void *stack, int flags, void *arg, void *e,
		void *f, void *g) __asm__("clone");

int hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
		unsigned long d) {
	/* without a program it only asks whether there are filters */
	if (option == PR_SET_SECCOMP && (a != SECCOMP_MODE_FILTER || b != 0)) {
		return prctl_filter(a, b, c, d);
	}
	return shim_real.prctl(option, a, b, c, d);
}

/*
 * Those that are hooked by name, too, filters, and the end of the last thread. Only what lies
 * in registers is taken: see below.
 */
SHIM_COLD __attribute__((used)) static long watched(long number, long a, long b, long c,
		long d, long e) {
	switch (number) {
	case SYS_unshare:
		return shim_call_unshare((int)a);
	case SYS_setns:
		return shim_call_setns((int)a, (int)b);
	case SYS_capset:
		return shim_call_capset((void *)a, // NOLINT(performance-no-int-to-ptr)
				(const void *)b); // NOLINT(performance-no-int-to-ptr)
	case SYS_prctl: /* PR_SET_SECCOMP */
		if (b != SECCOMP_MODE_FILTER || c != 0) {
			return prctl_filter((unsigned long)b, (unsigned long)c,
					(unsigned long)d, (unsigned long)e);
		}
		break;
	case SYS_exit:
		/* relaxed: a count */
		if (!shim_quiet() && is_ours() &&
				atomic_load_explicit(&shim_process->host_threads,
						memory_order_relaxed) <= 1) {
			shim_keeper_leave(); /* or they would keep the process alive */
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
	return shim_real.syscall(number, a, b, c, d, e, 0);
}

/*
 * Of what follows the last argument lies on the caller's stack, if there is one at all: what
 * lies there else may be a word that another thread writes, so it must not even be copied in
 * place. And a child that returns from syscall(SYS_clone) on a stack of its own must find no
 * frame of ours. The compiler promises neither.
 */
#if defined(__x86_64__)
/* clang-format off */
/* Announces a copy and goes on; every register that may hold an argument is as before. */
#	define COPY_AND_GO_ON \
		"push %%rdi\n\t" "push %%rsi\n\t" "push %%rdx\n\t" "push %%rcx\n\t" \
		"push %%r8\n\t" "push %%r9\n\t" "push %%rax\n\t" \
		".cfi_adjust_cfa_offset 56\n\t" \
		"call shim_copy_soon\n\t" \
		"pop %%rax\n\t" "pop %%r9\n\t" "pop %%r8\n\t" \
		"pop %%rcx\n\t" "pop %%rdx\n\t" "pop %%rsi\n\t" "pop %%rdi\n\t" \
		".cfi_adjust_cfa_offset -56\n\t" \
		"jmp *%c[real]+shim_real(%%rip)\n\t"
#	define COMPARE(number, label) "cmp %[" number "], %%rdi\n\t" "je " label "\n\t"

__attribute__((naked)) long hook_syscall(long number, long a, long b, long c, long d,
		long e, long f) {
	__asm__("endbr64\n\t"
		COMPARE("unshare", "1f")
		COMPARE("setns", "1f")
		COMPARE("capset", "1f")
		COMPARE("seccomp", "1f")
		COMPARE("exit", "1f")
		COMPARE("clone", "2f")
		COMPARE("clone3", "2f")
		COMPARE("fork", "2f")
		COMPARE("prctl", "3f")
		"0:\t" "jmp *%c[real]+shim_real(%%rip)\n"
		"1:\t" "jmp %P[watched]\n"
		"3:\t" "cmp %[set_seccomp], %%rsi\n\t" "je 1b\n\t" "jmp 0b\n"
		"2:\t" COPY_AND_GO_ON
		:: [unshare] "i"(SYS_unshare), [setns] "i"(SYS_setns),
		   [capset] "i"(SYS_capset), [prctl] "i"(SYS_prctl),
		   [seccomp] "i"(SYS_seccomp), [clone] "i"(SYS_clone),
		   [clone3] "i"(SYS_clone3), [fork] "i"(SYS_fork),
		   [exit] "i"(SYS_exit), [set_seccomp] "i"(PR_SET_SECCOMP),
		   [real] "i"(offsetof(struct shim_real, syscall)),
		   [watched] "i"(watched));
}

__attribute__((naked)) int hook_clone(int (*run)(void *), void *stack, int flags, void *arg,
		void *e, void *f, void *g) {
	__asm__("endbr64\n\t" COPY_AND_GO_ON
		:: [real] "i"(offsetof(struct shim_real, clone)));
}
/* clang-format on */
#else
long hook_syscall(long number, long a, long b, long c, long d, long e, long f) {
	if (number == SYS_clone || number == SYS_clone3) {
		shim_copy_soon();
	}
	if (number == SYS_unshare || number == SYS_setns || number == SYS_capset ||
			number == SYS_seccomp || number == SYS_exit ||
			(number == SYS_prctl && a == PR_SET_SECCOMP)) {
		return watched(number, a, b, c, d, e);
	}
	return shim_real.syscall(number, a, b, c, d, e, f);
}

int hook_clone(int (*run)(void *), void *stack, int flags, void *arg, void *e, void *f,
		void *g) {
	shim_copy_soon();
	return shim_real.clone(run, stack, flags, arg, e, f, g);
}
#endif
