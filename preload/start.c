/* SPDX-License-Identifier: MIT */
#include "preload/start.h"

#include <string.h>

#include "exporter/base/kernel.h"
#include "preload/clock.h"
#include "preload/host_errno.h"
#include "preload/keeper.h"
#include "preload/messages.h"
#include "preload/quiet.h"
#include "preload/real.h"
#include "preload/segment.h"
#include "preload/thread.h"

enum { CHILD_AGE_NS = 200000000, AGAIN_BYTES = 4096 };

SHIM_TLS struct shim_tls shim_tls;

/*
 * NOT_YET -> STARTING (one thread, by CAS) -> COUNTING or OFF; COUNTING -> OFF. Release on
 * the way to COUNTING: pairs with the acquire of readers, the segment is there.
 */
enum { NOT_YET, STARTING, COUNTING, OFF };
static _Atomic int phase;

/* Keeper wanted but not there. Relaxed: who acts on it goes through shim_keeper_start. */
static _Atomic bool waiting;

static void (*when_last)(void);

static void last_left(void) {
	if (when_last != NULL) {
		when_last();
	}
}

void shim_start_when_last(void (*last)(void)) {
	when_last = last;
}

static void describe(const char *allocator) {
	strncpy(shim_segment->allocator, allocator, sizeof(shim_segment->allocator) - 1);
	const char *version = shim_libc.gnu_get_libc_version != NULL
			? shim_libc.gnu_get_libc_version()
			: "";
	size_t used = sizeof("glibc ") - 1;
	memcpy(shim_segment->libc, "glibc ", used);
	strncpy(shim_segment->libc + used, version,
			sizeof(shim_segment->libc) - used - 1);
	/* relaxed: readers wait for `state` */
	atomic_store_explicit(&shim_segment->bytes_known,
			shim_real_usable() != SHIM_USABLE_NONE, memory_order_relaxed);
}

bool shim_start_counting(void) {
	int expected = NOT_YET;
	shim_real_resolve();
	if (shim_real.is_stranger) {
		shim_start_turn_off();
		return false;
	}
	/* not for ever: the settings, which the constructor reads, may trust the filter */
	if (shim_segment == NULL && shim_quiet_was_filtered()) {
		return false;
	}
	/* acquire: pairs with the release below */
	if (!atomic_compare_exchange_strong_explicit(&phase, &expected, STARTING,
			    memory_order_acquire, memory_order_acquire)) {
		return expected == COUNTING;
	}
	int saved = errno;
	shim_mute();
	const char *allocator = "other";
	shim_real_prove(&allocator);
	int r = shim_segment_create();
	if (r == 0) {
		describe(allocator);
		shim_thread_init(last_left);
	}
	shim_unmute();
	errno = saved;
	atomic_store_explicit(&phase, r == 0 ? COUNTING : OFF, memory_order_release);
	return r == 0;
}

bool shim_start_is_counting(void) {
	/* acquire: pairs with the release in shim_start_counting */
	return atomic_load_explicit(&phase, memory_order_acquire) == COUNTING;
}

void shim_start_turn_off(void) {
	/* relaxed: nothing is read because of it */
	atomic_store_explicit(&phase, OFF, memory_order_relaxed);
	if (shim_segment != NULL) {
		/* relaxed: no segment of a counting process any more, whoever looks */
		__atomic_store_n(&shim_segment->magic, 0, __ATOMIC_RELAXED);
	}
	struct shim_control *control = shim_tls.current;
	if (control != NULL) {
		control->block = NULL;
		control->fast = NULL;
		control->home = NULL;
	}
}

bool shim_start_is_off(void) {
	/* relaxed: a lone state; OFF is final */
	return atomic_load_explicit(&phase, memory_order_relaxed) == OFF;
}

static void want_keeper(bool wanted) {
	/* relaxed: a lone flag */
	atomic_store_explicit(&waiting, wanted, memory_order_relaxed);
}

void shim_start_child(void) {
	/* relaxed: the one thread there is */
	if (!shim_start_is_counting() || shim_segment == NULL ||
			atomic_load_explicit(&shim_process->alive,
					memory_order_relaxed) != 0) {
		return;
	}
	int saved = errno;
	uint32_t mode = shim_segment->mode;
	uint64_t before;
	/* a handler that allocates or forks meanwhile would find half a child */
	kernel_sigmask(SIG_SETMASK, ~UINT64_C(0), &before);
	/* a thread of this process may get the wiped control that was the parent's */
	shim_tls.current = NULL;
	shim_thread_fork();
	shim_keeper_fork();
	shim_segment_fork();
	shim_messages_init(shim_segment, NULL);
	want_keeper(mode == SHIM_MODE_SERVE);
	kernel_sigmask(SIG_SETMASK, before, NULL);
	errno = saved;
}

bool shim_start_is_waiting(void) {
	/* relaxed: a lone flag */
	return atomic_load_explicit(&waiting, memory_order_relaxed);
}

/* An orphan is a daemon in the making: who served it before is gone. */
static bool child_is_old_enough(void) {
	if (kernel_getppid() != shim_segment->parent_pid) {
		return true;
	}
	return shim_clock_ns(CLOCK_MONOTONIC) - shim_process->forked_ns >= CHILD_AGE_NS;
}

static bool is_on_signal_stack(void) {
	stack_t stack;
	return kernel_sigaltstack(NULL, &stack) == 0 &&
			(stack.ss_flags & SS_ONSTACK) != 0;
}

/* Returns whether the question is settled: nothing wanted, or started. */
static bool try_keeper(void) {
	if (!shim_start_is_waiting()) {
		return true;
	}
	if (shim_quiet()) {
		want_keeper(false);
		return true;
	}
	if (shim_start_is_off() || shim_tls.muted != 0 || shim_tls.creating != 0 ||
			shim_process->pid != kernel_getpid() || !child_is_old_enough() ||
			is_on_signal_stack()) {
		return false;
	}
	want_keeper(false);
	shim_keeper_start();
	return true;
}

void shim_start_wake(struct shim_control *control, struct shim_block *home) {
	/* relaxed: own cells */
	uint64_t now = atomic_load_explicit(&home->allocated_bytes, memory_order_relaxed);
	atomic_store_explicit(&control->next,
			try_keeper() ? UINT64_MAX : now + AGAIN_BYTES,
			memory_order_relaxed);
}

void shim_start_wake_create(void) {
	if (shim_start_is_waiting()) {
		(void)try_keeper();
	}
}
