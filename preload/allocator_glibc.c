/* SPDX-License-Identifier: MIT */
#include "preload/allocator_glibc.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "preload/layout.h"
#include "preload/real.h"

enum { STACK_BYTES = 16 << 10 };

static _Alignas(16) char stack[STACK_BYTES]; /* one caller at a time */

struct question {
	pid_t host;
	struct mallinfo2 info;
	bool answered;
};

static void give_up(int number) {
	(void)number;
	syscall(SYS_exit_group, 1);
}

/* In the process that asks: handlers are its own, everything else is the host's. */
static int ask(void *arg) {
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT };
	struct question *question = arg;
	struct sigaction action = { .sa_handler = give_up };
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		sigaction(fatal[i], &action, NULL);
		sigaddset(&set, fatal[i]);
	}
	/* the host may end while we wait for an arena, or may have ended just now */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != question->host) {
		syscall(SYS_exit_group, 1);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	question->info = shim_libc.mallinfo2();
	question->answered = true;
	syscall(SYS_exit_group, 0);
	return 0;
}

/* Exit signal 0: the host gets no SIGCHLD, and its own wait does not see the process. */
static bool ask_apart(struct question *question) {
	pid_t pid = clone(ask, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, question);
	if (pid < 0) {
		return true; /* no process to be had: no answer, but no damage either */
	}
	while (waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR) {
	}
	return question->answered;
}

void shim_allocator_glibc_prepare(void) {
	if (shim_real.is_glibc && shim_libc.mallinfo2 != NULL) {
		(void)shim_libc.mallinfo2();
	}
}

bool shim_allocator_glibc_take(struct shim_allocator_stats *stats) {
	static bool is_damaged;
	if (!shim_real.is_glibc || shim_libc.mallinfo2 == NULL || is_damaged) {
		return true;
	}
	struct question question;
	memset(&question, 0, sizeof(question));
	question.host = getpid();
	is_damaged = !ask_apart(&question);
	if (!question.answered) {
		return !is_damaged;
	}
	struct timespec now = { 0, 0 };
	clock_gettime(CLOCK_MONOTONIC, &now);
	const struct mallinfo2 *info = &question.info;
	/* relaxed: lone numbers, published by taken_ns; mmapped blocks are not in `arena` */
	atomic_store_explicit(&stats->heap_bytes, info->arena + info->hblkhd,
			memory_order_relaxed);
	atomic_store_explicit(&stats->in_use_bytes, info->uordblks + info->hblkhd,
			memory_order_relaxed);
	atomic_store_explicit(&stats->free_bytes, info->fordblks, memory_order_relaxed);
	atomic_store_explicit(&stats->releasable_bytes, info->keepcost,
			memory_order_relaxed);
	/* release: pairs with the acquire of readers */
	atomic_store_explicit(&stats->taken_ns,
			(uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec,
			memory_order_release);
	return true;
}
