/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_KEEPER_H
#define PRELOAD_KEEPER_H

/*
 * Our threads in the host: the keeper, which ticks once a second, and the server, which the
 * keeper creates and stops.
 *
 * Manners (design.md section 6): created by the real pthread_create with every signal
 * blocked, on a stack of our own; muted for life, so nothing they make libc allocate comes
 * from the host's heap; a private descriptor table with /dev/null as 0, 1 and 2, so the
 * host sees no descriptor of ours and we hold none of its. The host's side waits only with
 * a deadline.
 *
 * States: none -> running (start) -> none (stop, or a fork's child).
 */

#include <stdbool.h>
#include <stdint.h>

/* What the keeper does, given by lifecycle.c. All run on the keeper's thread but `serve`. */
struct shim_keeper_tasks {
	bool (*open)(void); /* prepares serving, descriptor table private; false: only ticks */
	bool (*listen)(void); /* opens the port; false: again next tick */
	void (*serve)(void); /* the server's thread: until `silence` */
	void (*silence)(void); /* makes `serve` return */
	void (*tick)(void); /* each second, first at once */
	void (*slow_tick)(void); /* each slow interval; first at once and after 1 s */
	void (*close)(void); /* after the server is gone */
};

void shim_keeper_init(const struct shim_keeper_tasks *tasks, uint64_t slow_interval_ns);

/*
 * Starts the keeper if there is none; a refusal is reported, the host goes on.
 *
 * Calls  constructor; allocating hooks and pthread_create hooks when due. Never inside free
 *        or realloc: glibc frees cached stacks under the lock that pthread_create takes.
 */
void shim_keeper_start(void);

bool shim_keeper_is_running(void);

/* The same, or being started or stopped by another host thread. */
bool shim_keeper_exists(void);

/* Wakes the keeper, so that it sees that it is quiet now and looks by itself from here on. */
void shim_keeper_nudge(void);

/*
 * How long the host waits for our threads at most. They need a millisecond, if they get it: where
 * others want the processors it may come seconds later, and the host's call would fail, or its page be
 * missing, by the load of the machine. The deadline is for threads that hang.
 */
enum { SHIM_KEEPER_STOP_MS = 10000 };

/*
 * Stops and joins our threads.
 *
 * Waits for another thread that starts or stops them. Under a filter (quiet.h) it makes no
 * system call but sched_yield in that case.
 *
 * Returns  whether they are gone within `deadline_ms`; if not they go on
 * Calls    a host thread that may block: exit, the last TSD destructor
 */
bool shim_keeper_stop(unsigned deadline_ms);

/*
 * Tells whether our threads run and have other rights than the caller (rights.h), so that they
 * might not follow it.
 */
bool shim_keeper_differs(void);

/*
 * The calling thread is the last that we know of and is leaving: our threads go first, so
 * that glibc sees its own last thread and ends the process. Should others live that were
 * made behind our back, nothing is served from here on: a thread of ours would outlive them.
 * Waits long: were a thread of ours the last, glibc would run the exit handlers on it, which
 * has not the host's descriptors.
 */
void shim_keeper_leave(void);

/* In a forked child: there is no keeper here. Async-signal-safe. */
void shim_keeper_fork(void);

#endif
