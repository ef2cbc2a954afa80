/* SPDX-License-Identifier: MIT */

/*
 * pthread_create, thrd_create and pthread_exit: forwarded, with a trampoline that counts
 * the thread's beginning. thrd_create has its own way into glibc and does not come by
 * pthread_create.
 */

#include "preload/block.h"
#include "preload/host_errno.h"
#include "preload/record.h"
#include "preload/start.h"
#include "preload/thread.h"

SHIM_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
		void *(*start)(void *), void *arg);
SHIM_EXPORT int thrd_create(thrd_t *thread, thrd_start_t start, void *arg);
SHIM_EXPORT void pthread_exit(void *result);

/* Gives the thread a block if it has none, or one that a fork took away. */
static void attach(void) {
	if ((shim_tls.current == NULL || shim_tls.current->home == NULL) &&
			!shim_start_is_off()) {
		(void)shim_block_attach();
	}
}

/* Address space that a thread with `attr` reserves for its stack; NULL: the default's. */
static uint64_t stack_bytes(const pthread_attr_t *attr) {
	size_t bytes = 0;
	if (shim_libc.pthread_attr_getstacksize == NULL) {
		return 0;
	}
	if (attr != NULL) {
		(void)shim_libc.pthread_attr_getstacksize(attr, &bytes);
		return bytes;
	}
	pthread_attr_t by_default;
	if (shim_libc.pthread_attr_init == NULL ||
			shim_libc.pthread_attr_init(&by_default) != 0) {
		return 0;
	}
	(void)shim_libc.pthread_attr_getstacksize(&by_default, &bytes);
	if (shim_libc.pthread_attr_destroy != NULL) {
		(void)shim_libc.pthread_attr_destroy(&by_default);
	}
	return bytes;
}

/* A place for the launch, filled; NULL: start the thread uncounted. */
static struct shim_launch *launch_of(const pthread_attr_t *attr, void *arg) {
	attach(); /* the first event of a program may be this one */
	if (shim_start_is_off() || !shim_start_is_counting()) {
		return NULL;
	}
	struct shim_launch *launch = shim_thread_launch();
	if (launch == NULL) {
		SHIM_RECORD(uncounted_events, 1);
		return NULL;
	}
	*launch = (struct shim_launch){ .arg = arg, .stack_bytes = stack_bytes(attr) };
	return launch;
}

static void failed(struct shim_launch *launch) {
	shim_thread_abandon(launch);
	SHIM_RECORD(thread_start_failures, 1);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
		void *arg) {
	int saved = errno;
	shim_start_wake_create();
	struct shim_launch *launch = launch_of(attr, arg);
	errno = saved;
	if (launch == NULL) {
		return shim_real.pthread_create(thread, attr, start, arg);
	}
	launch->start = start;
	shim_tls.creating++;
	int r = shim_real.pthread_create(thread, attr, shim_thread_main, launch);
	shim_tls.creating--;
	if (r != 0) {
		failed(launch);
	}
	return r;
}

int thrd_create(thrd_t *thread, thrd_start_t start, void *arg) {
	int saved = errno;
	shim_start_wake_create();
	struct shim_launch *launch = launch_of(NULL, arg);
	errno = saved;
	if (launch == NULL) {
		return shim_real.thrd_create(thread, start, arg);
	}
	launch->start_c11 = start;
	shim_tls.creating++;
	int r = shim_real.thrd_create(thread, shim_thread_main_c11, launch);
	shim_tls.creating--;
	if (r != thrd_success) {
		failed(launch);
	}
	return r;
}

/*
 * The end itself is seen by the TSD destructor. This hook only makes sure that a thread
 * without any event so far has one: else main could leave unseen, and the process would
 * wait for our threads for ever.
 */
void pthread_exit(void *result) {
	attach();
	shim_real.pthread_exit(result);
	__builtin_unreachable();
}
