/* SPDX-License-Identifier: MIT */
#include "preload/own_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "exporter/base/auxv.h"
#include "exporter/base/kernel.h"
#include "preload/control.h"
#include "preload/real.h"

enum {
	STACK_BYTES = 64 << 10,
	STACK_BYTES_MAX = 8
			<< 20, /* hosts with large static TLS: it lies on the stack too */
	CLOSE_MAX = 65536, /* descriptors closed by hand where close_range is missing */
};

/* Maps a stack of our own: glibc's cache of stacks belongs to the host. */
static int create_on(struct shim_own_thread *own, size_t bytes) {
	size_t guard = auxv_page_bytes();
	char *stack = kernel_map(bytes + guard, PROT_NONE,
			MAP_PRIVATE | MAP_NORESERVE | MAP_STACK);
	if (stack == NULL) {
		return ENOMEM;
	}
	pthread_attr_t attr;
	int r = -kernel_mprotect(stack + guard, bytes, PROT_READ | PROT_WRITE);
	if (r == 0) {
		r = shim_libc.pthread_attr_init(&attr);
	}
	if (r == 0) {
		r = shim_libc.pthread_attr_setstack(&attr, stack + guard, bytes);
		if (r == 0) {
			r = shim_libc.pthread_create(&own->thread, &attr, own->body,
					NULL);
		}
		shim_libc.pthread_attr_destroy(&attr);
	}
	if (r != 0) {
		kernel_munmap(stack, bytes + guard);
		return r;
	}
	own->stack = stack;
	own->stack_bytes = bytes + guard;
	return 0;
}

/*
 * All signals blocked from the first instruction, but for glibc's own two: with the second it has
 * each thread follow a setuid. Source: glibc's internal-signals.h, SIGCANCEL and SIGSETXID.
 */
int shim_own_thread_create(struct shim_own_thread *own) {
	if (shim_libc.pthread_create == NULL || shim_libc.pthread_attr_init == NULL ||
			shim_libc.pthread_attr_setstack == NULL ||
			shim_libc.pthread_attr_destroy == NULL ||
			shim_libc.pthread_join == NULL) {
		return ENOSYS;
	}
	const uint64_t all = ~(KERNEL_SIGNAL(32) | KERNEL_SIGNAL(33));
	uint64_t before;
	kernel_sigmask(SIG_SETMASK, all, &before);
	shim_mute();
	int r = EINVAL;
	/* static TLS lies on the stack too: glibc knows how much, under a private name */
	size_t least = shim_libc.minstack != NULL ? shim_libc.minstack(NULL) : 0;
	for (size_t bytes = (STACK_BYTES + least + 4095) & ~(size_t)4095;
			r == EINVAL && bytes <= STACK_BYTES_MAX; bytes *= 2) {
		r = create_on(own, bytes);
	}
	shim_unmute();
	kernel_sigmask(SIG_SETMASK, before, NULL);
	return r;
}

/* What a refused thread means. Source: clone(2); EINVAL after unshare(CLONE_NEWPID). */
const char *shim_own_thread_refused(int error) {
	return error == EINVAL
			? "Counting goes on, nothing is served: after its call for a new pid "
			  "namespace the process can have no more threads."
			: "Counting goes on, nothing is served. Raise the limit of threads.";
}

void shim_own_thread_bury(struct shim_own_thread *own) {
	kernel_munmap(own->stack, own->stack_bytes);
	own->stack = NULL;
}

/*
 * Leaves the host's descriptor table. Before Linux 5.9 the copy is emptied by hand.
 *
 * Returns  0, or the errno: then nothing may be opened
 */
int shim_own_table(void) {
	enum { UNSHARE = 2 }; /* CLOSE_RANGE_UNSHARE of linux/close_range.h */
	if (kernel_close_range(0, ~0U, UNSHARE) != 0) {
		int r = kernel_unshare(CLONE_FILES);
		if (r != 0) {
			return -r;
		}
		struct rlimit limit = { 0, 0 };
		kernel_limit(RLIMIT_NOFILE, &limit);
		int end = limit.rlim_cur < CLOSE_MAX ? (int)limit.rlim_cur : CLOSE_MAX;
		for (int fd = 0; fd < end; fd++) {
			kernel_close(fd);
		}
	}
	int null = kernel_openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
	if (null < 0) { /* in a bare chroot; what cannot be read or written will do, too */
		null = kernel_openat(AT_FDCWD, "/", O_PATH | O_CLOEXEC, 0);
	}
	if (null < 0) {
		return -null;
	}
	return null != 0 || kernel_dup(0) != 1 || kernel_dup(0) != 2 ? EMFILE : 0;
}
