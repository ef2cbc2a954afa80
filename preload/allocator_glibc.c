/* SPDX-License-Identifier: MIT */
#include "preload/allocator_glibc.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "exporter/base/kernel.h"
#include "preload/clock.h"
#include "preload/copy.h"
#include "preload/keeper.h"
#include "preload/layout.h"
#include "preload/real.h"

enum {
	STACK_BYTES = 16 << 10,
	COPY_MAX_BYTES = 64
			<< 20, /* what a copy of the process may cost: 16,384 page table entries */
	PATIENCE_MS = 200,
	CRASHES = 8, /* of copies in succession, each a slow interval after the last */
	CRASHED = 3, /* status of a process that asked and had a fault of its own */
};

static _Alignas(16) char stack[STACK_BYTES]; /* one caller at a time */

struct question {
	pid_t host;
	struct mallinfo2 info;
	_Atomic bool answered; /* release by who answers, acquire by who asked */
};

/*
 * The process that is asking: none, one about to be made, its pid; or no more, ever. Writers:
 * the keeper, and who ends the process. Relaxed: a lone state.
 */
enum { NOBODY = 0, BEGINNING = -1, NO_MORE = -2 };
static _Atomic int32_t asker;

/* Source: struct sigaction of the kernel's asm/signal.h, the same on x86-64 and aarch64. */
struct action {
	void (*handler)(int number);
	unsigned long flags;
	void (*restorer)(int number); /* without one x86-64 runs no handler */
	uint64_t mask;
};
enum { RESTORER = 0x04000000 }; /* SA_RESTORER, which libc's headers keep back */

static void give_up(int number) {
	(void)number;
	kernel_exit_group(CRASHED);
}

/* In the process that asks: handlers are its own, and nothing of ours. */
static int ask(void *arg) {
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT };
	struct question *question = arg;
	/* nobody returns from the handler */
	const struct action action = { give_up, RESTORER, give_up, 0 };
	uint64_t set = 0;
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		kernel_rt_sigaction(fatal[i], &action, NULL, sizeof(action.mask));
		set |= KERNEL_SIGNAL(fatal[i]);
	}
	/* the host may end while we wait for an arena, or may have ended just now */
	kernel_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (kernel_getppid() != question->host) {
		kernel_exit_group(0);
	}
	kernel_sigmask(SIG_UNBLOCK, set, NULL);
	question->info = shim_libc.mallinfo2();
	atomic_store_explicit(&question->answered, true, memory_order_release);
	kernel_exit_group(0);
	return 0;
}

/*
 * Only a fault of its own says something of the heap: anybody may kill the process, and who waits
 * for every child (__WALL) may have taken its status.
 */
static bool has_crashed(pid_t pid, int status) {
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == CRASHED;
}

/* Returns the pid, or -errno when who waits for every child was there first. */
static pid_t reap(pid_t pid, int *status) {
	pid_t r;
	do {
		r = kernel_wait4(pid, status, (int)__WCLONE, NULL);
	} while (r == -EINTR);
	return r;
}

static void end(pid_t pid) {
	kernel_kill(pid, SIGKILL);
	(void)reap(pid, NULL);
}

/*
 * Waits for the copy; one whose arena was locked when it was made waits for ever, and goes. So
 * it does when the host wants our threads to stop: a host thread waits for that.
 *
 * Returns  whether it crashed
 */
static bool await(pid_t pid) {
	const struct timespec step = { 0, 1000000 };
	int status = 0;
	for (int i = 0; i < PATIENCE_MS && !shim_keeper_is_stopping(); i++) {
		pid_t r = kernel_wait4(pid, &status, (int)__WCLONE | WNOHANG, NULL);
		if (r == pid || (r < 0 && r != -EINTR)) {
			return has_crashed(r, status);
		}
		kernel_nanosleep(&step, NULL);
	}
	end(pid);
	return false;
}

/*
 * The kernel copies page after page while the other threads go on: a lock may be copied before
 * it was taken, and what it guards in the middle of a change. So one crash of a copy proves
 * nothing; a damaged heap crashes all of them.
 */
static bool has_crashed_often(bool has_crashed) {
	static int crashes;
	crashes = has_crashed ? crashes + 1 : 0;
	return crashes >= CRASHES;
}

static void forget(pid_t pid) {
	atomic_compare_exchange_strong_explicit(&asker, &pid, NOBODY,
			memory_order_relaxed, memory_order_relaxed);
}

/*
 * Exit signal 0: the host gets no SIGCHLD, and its own wait does not see the process.
 *
 * Returns  false when the heap is damaged: the process died of the question
 */
static bool ask_apart(struct question *question, bool in_copy) {
	int flags = in_copy ? 0 : CLONE_VM | CLONE_VFORK;
	if (!in_copy && !shim_copy_hold()) {
		return true; /* a child of the host's would have the arena locked for ever */
	}
	int32_t nobody = NOBODY;
	if (!atomic_compare_exchange_strong_explicit(&asker, &nobody, BEGINNING,
			    memory_order_relaxed, memory_order_relaxed)) {
		shim_copy_release();
		return true;
	}
	pid_t pid = shim_real.clone(ask, stack + STACK_BYTES, flags, question, NULL, NULL,
			NULL);
	atomic_store_explicit(&asker, pid < 0 ? NOBODY : pid, memory_order_relaxed);
	if (pid < 0) {
		shim_copy_release();
		return true; /* no process to be had: no answer, but no damage either */
	}
	if (in_copy) {
		bool crashed = await(pid);
		forget(pid);
		return !has_crashed_often(crashed);
	}
	int status = 0;
	pid_t ended = reap(pid, &status);
	forget(pid);
	shim_copy_release();
	return !has_crashed(ended, status);
}

void shim_allocator_glibc_fork(void) {
	atomic_store_explicit(&asker, NOBODY, memory_order_relaxed);
}

void shim_allocator_glibc_end(void) {
	int32_t seen = NOBODY;
	while (!atomic_compare_exchange_weak_explicit(&asker, &seen, NO_MORE,
			memory_order_relaxed, memory_order_relaxed)) {
		if (seen == BEGINNING) { /* for a moment: our thread is in clone */
			kernel_sched_yield();
			seen = NOBODY;
		}
	}
	if (seen > 0) {
		end(seen);
	}
}

void shim_allocator_glibc_prepare(void) {
	if (shim_real.is_glibc && shim_libc.mallinfo2 != NULL) {
		(void)shim_libc.mallinfo2();
	}
}

static void publish(struct shim_allocator_stats *stats, const struct mallinfo2 *info) {
	/* relaxed: lone numbers, published by taken_ns; mmapped blocks are not in `arena` */
	atomic_store_explicit(&stats->heap_bytes, info->arena + info->hblkhd,
			memory_order_relaxed);
	atomic_store_explicit(&stats->in_use_bytes, info->uordblks + info->hblkhd,
			memory_order_relaxed);
	atomic_store_explicit(&stats->free_bytes, info->fordblks, memory_order_relaxed);
	atomic_store_explicit(&stats->releasable_bytes, info->keepcost,
			memory_order_relaxed);
	/* release: pairs with the acquire of readers */
	atomic_store_explicit(&stats->taken_ns, shim_clock_ns(CLOCK_MONOTONIC),
			memory_order_release);
}

bool shim_allocator_glibc_take(struct shim_allocator_stats *stats,
		uint64_t resident_bytes) {
	static bool is_damaged;
	if (!shim_real.is_glibc || shim_libc.mallinfo2 == NULL || is_damaged) {
		return true;
	}
	struct question *question =
			kernel_map(sizeof(*question), PROT_READ | PROT_WRITE, MAP_SHARED);
	if (question == NULL) {
		return true;
	}
	question->host = kernel_getpid();
	is_damaged = !ask_apart(question, resident_bytes <= COPY_MAX_BYTES);
	/* a torn copy may answer what cannot be */
	const struct mallinfo2 *info = &question->info;
	if (atomic_load_explicit(&question->answered, memory_order_acquire) &&
			info->fordblks <= info->arena && info->uordblks <= info->arena) {
		publish(stats, info);
	}
	kernel_munmap(question, sizeof(*question));
	return !is_damaged;
}
