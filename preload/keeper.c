/* SPDX-License-Identifier: MIT */
#include "preload/keeper.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

#include "exporter/base/kernel.h"
#include "preload/apart.h"
#include "preload/block.h"
#include "preload/clock.h"
#include "preload/copy.h"
#include "preload/messages.h"
#include "preload/own_thread.h"
#include "preload/quiet.h"
#include "preload/real.h"
#include "preload/rights.h"
#include "preload/segment.h"
#include "preload/start.h"
#include "preload/text.h"
#include "preload/thread.h"

enum {
	TICK_NS = 1000000000,
	QUIET_NS = 50000000,
};

static const struct shim_keeper_tasks *keeper_tasks;
static uint64_t slow_interval;

static struct shim_own_thread keeper, server;

/*
 * NONE -> STARTING -> RUNNING -> STOPPING -> NONE, or back to RUNNING when the deadline passed.
 * Writer: the host thread that starts or stops, by CAS.
 */
enum { NONE, STARTING, RUNNING, STOPPING };
static _Atomic uint32_t running;

/* Futex: the host stores 1 and wakes, the keeper waits. Relaxed: the join orders the rest. */
static _Atomic uint32_t stop_wanted;

void shim_keeper_init(const struct shim_keeper_tasks *tasks, uint64_t slow_interval_ns) {
	keeper_tasks = tasks;
	slow_interval = slow_interval_ns;
}

static void report(const char *what, int error, const char *consequence) {
	char line[SHIM_MESSAGE_BYTES];
	struct shim_text text;
	shim_text_init(&text, line, sizeof(line));
	shim_text_put(&text, what);
	shim_text_put(&text, ": ");
	shim_text_errno(&text, error);
	shim_text_put(&text, ". ");
	shim_text_put(&text, consequence);
	shim_message(SHIM_WARNING, line);
}

/* Tells readers which tids are ours. Relaxed: lone numbers. */
static void announce(uint32_t tid) {
	for (unsigned i = 0; i < SHIM_TID_MAX; i++) {
		uint32_t none = 0;
		if (atomic_compare_exchange_strong_explicit(&shim_segment->own_tids[i],
				    &none, tid, memory_order_relaxed,
				    memory_order_relaxed)) {
			return;
		}
	}
}

static void renounce(uint32_t tid) {
	atomic_fetch_add_explicit(&shim_segment->exporter_cpu_ns,
			shim_clock_ns(CLOCK_THREAD_CPUTIME_ID), memory_order_relaxed);
	for (unsigned i = 0; i < SHIM_TID_MAX; i++) {
		uint32_t mine = tid;
		atomic_compare_exchange_strong_explicit(&shim_segment->own_tids[i], &mine,
				0, memory_order_relaxed, memory_order_relaxed);
	}
}

static void *serve(void *arg) {
	shim_copy_release();
	shim_tls.muted = 1;
	shim_apart_from_traps();
	kernel_prctl(PR_SET_NAME, (unsigned long)"promshim-server", 0, 0, 0);
	uint32_t tid = (uint32_t)kernel_gettid();
	announce(tid);
	keeper_tasks->serve();
	renounce(tid);
	return arg;
}

static bool is_stopping(void) {
	/* relaxed: a lone flag */
	return atomic_load_explicit(&stop_wanted, memory_order_relaxed) != 0;
}

/* Waits until `until_ns` or until the host wants us to stop; Returns true for the latter. */
static bool wait_until(uint64_t until_ns) {
	for (;;) {
		uint64_t now = shim_clock_ns(CLOCK_MONOTONIC);
		if (is_stopping()) {
			return true;
		}
		if (now >= until_ns) {
			return false;
		}
		uint64_t left = until_ns - now;
		if (shim_quiet() && left > QUIET_NS) {
			left = QUIET_NS; /* nobody may wake us */
		}
		struct timespec timeout = { (time_t)(left / TICK_NS),
			(long)(left % TICK_NS) };
		kernel_futex(&stop_wanted, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0);
	}
}

/* Opens the port and starts the server once that works. */
static void try_to_serve(void) {
	static bool was_told;
	if (server.stack != NULL || !keeper_tasks->listen() || !shim_copy_hold()) {
		return;
	}
	int r = shim_own_thread_create(&server);
	if (r == 0) {
		was_told = false;
		return;
	}
	shim_copy_release();
	if (!was_told) {
		was_told = true;
		report("the server's thread cannot be started", r,
				shim_own_thread_refused(r));
	}
}

static void tick_until_stopped(bool can_serve) {
	uint64_t next_slow = 0;
	/* at the first tick the program has hardly begun: what it says then is soon old */
	uint64_t until_slow = slow_interval < TICK_NS ? slow_interval : TICK_NS;
	uint64_t next = shim_clock_ns(CLOCK_MONOTONIC);
	do {
		if (can_serve) {
			try_to_serve();
		}
		keeper_tasks->tick();
		if (shim_clock_ns(CLOCK_MONOTONIC) >= next_slow) {
			keeper_tasks->slow_tick();
			next_slow = shim_clock_ns(CLOCK_MONOTONIC) + until_slow;
			until_slow = slow_interval;
		}
		next += TICK_NS;
		if (next < shim_clock_ns(CLOCK_MONOTONIC)) {
			next = shim_clock_ns(CLOCK_MONOTONIC) +
					TICK_NS; /* the host was stopped meanwhile */
		}
	} while (!wait_until(next));
}

static void *keep(void *arg) {
	shim_copy_release();
	shim_tls.muted = 1;
	shim_apart_from_traps();
	kernel_prctl(PR_SET_NAME, (unsigned long)"promshim-keeper", 0, 0, 0);
	uint32_t tid = (uint32_t)kernel_gettid();
	announce(tid);
	int r = shim_own_table();
	if (r == 0) {
		tick_until_stopped(keeper_tasks->open());
		if (server.stack != NULL) {
			keeper_tasks->silence();
			shim_libc.pthread_join(server.thread, NULL);
			shim_own_thread_bury(&server);
		}
		keeper_tasks->close();
	} else {
		report("no descriptor table of our own", r,
				"Counting goes on, nothing is served. PROMSHIM_TEXTFILE still works. "
				"Allow the process 5 descriptors.");
	}
	renounce(tid);
	return arg;
}

void shim_keeper_start(void) {
	uint32_t none = NONE;
	if (!shim_thread_ends_are_seen()) {
		shim_message(SHIM_WARNING,
				"no thread key is free. Counting goes on, nothing is served: a thread "
				"of ours would keep the process alive after main's pthread_exit.");
		return;
	}
	/* acquire: pairs with the release of who stopped the last one */
	if (keeper_tasks == NULL || shim_quiet() ||
			!atomic_compare_exchange_strong_explicit(&running, &none,
					STARTING, memory_order_acquire,
					memory_order_relaxed)) {
		return;
	}
	/* seq_cst: who is about to install a filter sees that we start, or we see the filter */
	atomic_thread_fence(memory_order_seq_cst);
	if (shim_quiet()) {
		atomic_store_explicit(&running, NONE, memory_order_release);
		return;
	}
	/* relaxed: pthread_create orders it */
	atomic_store_explicit(&stop_wanted, 0, memory_order_relaxed);
	shim_rights_note();
	keeper.body = keep;
	server.body = serve;
	(void)shim_copy_hold(); /* until it runs */
	int r = shim_own_thread_create(&keeper);
	/* release: pairs with the acquire of who stops it */
	atomic_store_explicit(&running, r == 0 ? RUNNING : NONE, memory_order_release);
	if (r != 0) {
		shim_copy_release();
		report("our thread cannot be started", r, shim_own_thread_refused(r));
	}
}

/* Not in a copy of the process; nor, as far as that can be asked, in a vfork child. */
static bool is_ours(void) {
	/* acquire: pairs with the release in segment.c */
	return shim_quiet() ? atomic_load_explicit(&shim_process->alive,
					      memory_order_acquire) != 0
			    : shim_process->pid == kernel_getpid();
}

/*
 * The number of a vfork child or of a raw clone is not the one that the keeper belongs to,
 * though the memory says it runs.
 */
bool shim_keeper_is_running(void) {
	/* acquire: pairs with the release in shim_keeper_stop */
	return atomic_load_explicit(&running, memory_order_acquire) == RUNNING &&
			is_ours();
}

bool shim_keeper_exists(void) {
	/* acquire: as above */
	return atomic_load_explicit(&running, memory_order_acquire) != NONE && is_ours();
}

/* Joins within the deadline; glibc has the timed join since 2.3.3. */
static bool join_by(const struct timespec *at) {
	return shim_libc.pthread_timedjoin_np != NULL &&
			shim_libc.pthread_timedjoin_np(keeper.thread, NULL, at) == 0;
}

/* The same without a system call: that a thread is gone stands in memory. */
static bool join_quietly(uint64_t until_ns) {
	while (shim_libc.pthread_tryjoin_np != NULL) {
		if (shim_libc.pthread_tryjoin_np(keeper.thread, NULL) == 0) {
			return true;
		}
		if (shim_clock_quietly_ns() >= until_ns) {
			break;
		}
	}
	return false;
}

static bool join(unsigned deadline_ms) {
	struct timespec at = { 0, 0 };
	uint64_t wait_ns = deadline_ms * 1000000ULL;
	if (shim_quiet()) {
		return join_quietly(shim_clock_quietly_ns() + wait_ns);
	}
	uint64_t until_ns = shim_clock_ns(CLOCK_REALTIME) + wait_ns;
	at.tv_sec = (time_t)(until_ns / TICK_NS);
	at.tv_nsec = (long)(until_ns % TICK_NS);
	return join_by(&at);
}

void shim_keeper_nudge(void) {
	kernel_futex(&stop_wanted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

bool shim_keeper_stop(unsigned deadline_ms) {
	uint32_t expected = RUNNING;
	const uint64_t until_ns = shim_clock_quietly_ns() + deadline_ms * 1000000ULL;
	/* one host thread stops and joins; relaxed: the join orders the rest */
	while (shim_keeper_exists() &&
			!atomic_compare_exchange_strong_explicit(&running, &expected,
					STOPPING, memory_order_relaxed,
					memory_order_relaxed)) {
		if (shim_clock_quietly_ns() >= until_ns) {
			return false;
		}
		expected = RUNNING;
		kernel_sched_yield(); /* another host thread starts or stops them */
	}
	if (!shim_keeper_exists()) {
		return true;
	}
	atomic_store_explicit(&stop_wanted, 1, memory_order_relaxed);
	if (!shim_quiet()) { /* else it looks by itself, soon */
		shim_keeper_nudge();
	}
	int cancel = 0; /* the host's call may be no cancellation point, a join is one */
	if (shim_libc.pthread_setcancelstate != NULL) {
		shim_libc.pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	}
	shim_mute();
	bool gone = join(deadline_ms);
	shim_unmute();
	if (shim_libc.pthread_setcancelstate != NULL) {
		shim_libc.pthread_setcancelstate(cancel, NULL);
	}
	if (gone && !shim_quiet()) {
		shim_own_thread_bury(&keeper);
	}
	/* release: pairs with the acquire of who starts the next, or asks */
	atomic_store_explicit(&running, gone ? NONE : RUNNING, memory_order_release);
	return gone;
}

bool shim_keeper_differs(void) {
	if (!shim_keeper_is_running()) {
		return false;
	}
	if (shim_quiet()) {
		return true; /* asking is a system call: they go, by the futex alone */
	}
	/* relaxed: a lone number */
	uint32_t tid = atomic_load_explicit(&shim_segment->own_tids[0],
			memory_order_relaxed);
	return shim_rights_differ(tid);
}

void shim_keeper_leave(void) {
	(void)shim_keeper_stop(SHIM_KEEPER_STOP_MS);
}

void shim_keeper_fork(void) {
	/* relaxed: the one thread there is. Stacks of the parent's threads stay mapped. */
	atomic_store_explicit(&running, NONE, memory_order_relaxed);
	atomic_store_explicit(&stop_wanted, 0, memory_order_relaxed);
	shim_copy_release();
	memset(&keeper, 0, sizeof(keeper));
	memset(&server, 0, sizeof(server));
}
