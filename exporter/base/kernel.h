/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_BASE_KERNEL_H
#define EXPORTER_BASE_KERNEL_H

/*
 * System calls by number, for everything that runs inside a host. A function of libc's is a name
 * that the host, a plug-in or another preloaded object may define, and many of them set errno,
 * are points where a thread is cancelled, or read the clock without the kernel (PR_SET_TSC makes
 * that a fault); a number is none of it.
 *
 * Each returns what the kernel returns: a result, or -errno. Nothing else is touched: async-signal-safe,
 * any thread, no lock. Meanings are those of the calls in section 2 of the manual.
 *
 * Source  x86-64: System V ABI, AMD64 supplement, A.2.1; aarch64: syscall(2), "Architecture calling
 *         conventions"
 */

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

#ifdef __clang_analyzer__
/* It does not know that an assembler's line writes to memory; of an unknown function it does. */
long kernel_call(long number, long a, long b, long c, long d, long e, long f);
#else
static inline long kernel_call(long number, long a, long b, long c, long d, long e,
		long f) {
#	if defined(__x86_64__)
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#	elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#	else
#		error "no system calls for this architecture"
#	endif
}
#endif

/* clang-format off */
#define KERNEL_OTHER(group, name)
#define KERNEL_CALL0(group, result, name) \
	static inline result kernel_##name(void) { \
		return (result)kernel_call(SYS_##name, 0, 0, 0, 0, 0, 0); \
	}
#define KERNEL_CALL1(group, result, name, A, a) \
	static inline result kernel_##name(A a) { \
		return (result)kernel_call(SYS_##name, (long)a, 0, 0, 0, 0, 0); \
	}
#define KERNEL_CALL2(group, result, name, A, a, B, b) \
	static inline result kernel_##name(A a, B b) { \
		return (result)kernel_call(SYS_##name, (long)a, (long)b, 0, 0, 0, 0); \
	}
#define KERNEL_CALL3(group, result, name, A, a, B, b, C, c) \
	static inline result kernel_##name(A a, B b, C c) { \
		return (result)kernel_call(SYS_##name, (long)a, (long)b, (long)c, 0, 0, 0); \
	}
#define KERNEL_CALL4(group, result, name, A, a, B, b, C, c, D, d) \
	static inline result kernel_##name(A a, B b, C c, D d) { \
		return (result)kernel_call(SYS_##name, (long)a, (long)b, (long)c, (long)d, 0, 0); \
	}
#define KERNEL_CALL5(group, result, name, A, a, B, b, C, c, D, d, E, e) \
	static inline result kernel_##name(A a, B b, C c, D d, E e) { \
		return (result)kernel_call(SYS_##name, (long)a, (long)b, (long)c, (long)d, (long)e, 0); \
	}
#define KERNEL_CALL6(group, result, name, A, a, B, b, C, c, D, d, E, e, F, f) \
	static inline result kernel_##name(A a, B b, C c, D d, E e, F f) { \
		return (result)kernel_call(SYS_##name, (long)a, (long)b, (long)c, (long)d, (long)e, (long)f); \
	}
/* clang-format on */
#include "exporter/base/kernel.def"

/* Anonymous memory; NULL when there is none. */
static inline void *kernel_map(size_t bytes, int protection, int flags) {
	long result = kernel_mmap(NULL, bytes, protection, flags | MAP_ANONYMOUS, -1, 0);
	return result < 0 && result > -4096 ? NULL : (void *)result;
}

/* A kernel's set of signals has a bit each; libc's is longer, and made by functions of libc's. */
#define KERNEL_SIGNAL(number) (UINT64_C(1) << ((number)-1))

/* Changes the calling thread's mask: how is SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK. before may be NULL. */
static inline int kernel_sigmask(int how, uint64_t set, uint64_t *before) {
	return (int)kernel_call(SYS_rt_sigprocmask, how, (long)&set, (long)before,
			sizeof(set), 0, 0);
}

/*
 * As poll(2): wait_ms below 0 waits for ever. polls is of struct pollfd. The kernel counts the
 * time down where it was told it, so that is our own.
 */
static inline int kernel_poll(void *polls, size_t count, int wait_ms) {
	struct timespec wait = { wait_ms / 1000, wait_ms % 1000 * 1000000L };
	return kernel_ppoll(polls, count, wait_ms < 0 ? NULL : &wait, NULL, 0);
}

static inline int kernel_limit(int resource, struct rlimit *out) {
	return kernel_prlimit64(0, resource, NULL, out);
}

#endif
