/* SPDX-License-Identifier: MIT */
#include "preload/quiet.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>

#include "exporter/base/kernel.h"

/* Filters in force or about to be. Relaxed: who installs one stores it before it calls. */
static _Atomic uint32_t filters;

/* What was found at the first look. Relaxed: two threads that look at once find the same. */
enum { NOT_LOOKED, FREE, FILTERED };
static _Atomic uint32_t at_start;

bool shim_quiet(void) {
	return atomic_load_explicit(&filters, memory_order_relaxed) != 0;
}

void shim_quiet_begin(void) {
	atomic_fetch_add_explicit(&filters, 1, memory_order_relaxed);
	/* seq_cst: with the fence in shim_keeper_start, one of the two sees the other */
	atomic_thread_fence(memory_order_seq_cst);
}

void shim_quiet_cancel(void) {
	atomic_fetch_sub_explicit(&filters, 1, memory_order_relaxed);
}

/* The decimal number at `p`; -1 if there is none. */
static long number_at(const char *p) {
	long number = 0;
	if (*p < '0' || *p > '9') {
		return -1;
	}
	for (; *p >= '0' && *p <= '9' && number < 1000000; p++) {
		number = number * 10 + (*p - '0');
	}
	return number;
}

/*
 * Reads mode and filters of a status file, -1 for what it does not tell. A line is looked at
 * when it is whole; the lines before may be long (groups), those of interest are not.
 *
 * Returns  whether the file could be read
 */
static bool read_status(const char *path, long *mode, long *count) {
	static const char mode_key[] = "\nSeccomp:\t",
			  count_key[] = "\nSeccomp_filters:\t";
	enum { KEPT = 40 }; /* more than a key and its number */
	char text[1024 + KEPT];
	size_t used = 0;
	*mode = *count = -1;
	int fd = kernel_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) {
		return false;
	}
	for (;;) {
		ssize_t r = kernel_read(fd, text + used, sizeof(text) - 1 - used);
		size_t end = used + (r > 0 ? (size_t)r : 0);
		text[end] = '\0';
		const char *found = strstr(text, mode_key);
		if (found != NULL && *mode < 0) {
			*mode = number_at(found + sizeof(mode_key) - 1);
		}
		found = strstr(text, count_key);
		if (found != NULL && strchr(found + 1, '\n') != NULL) {
			*count = number_at(found + sizeof(count_key) - 1);
		}
		if (r <= 0 || *count >= 0) {
			break;
		}
		used = end < KEPT ? end : KEPT;
		memmove(text, text + end - used, used);
	}
	kernel_close(fd);
	return true;
}

static bool look(void) {
	long mode, count, first_mode, first_count;
	if (!read_status("/proc/self/status", &mode, &count)) {
		/* no /proc: the filter that forbids this question is the rarer misfortune */
		return kernel_prctl(PR_GET_SECCOMP, 0, 0, 0, 0) > 0;
	}
	if (mode <= 0) { /* none, or a kernel without seccomp */
		return false;
	}
	return count < 0 || !read_status("/proc/1/status", &first_mode, &first_count) ||
			count != first_count;
}

bool shim_quiet_was_filtered(void) {
	uint32_t found = atomic_load_explicit(&at_start, memory_order_relaxed);
	if (found == NOT_LOOKED) {
		found = look() ? FILTERED : FREE;
		atomic_store_explicit(&at_start, found, memory_order_relaxed);
	}
	return found == FILTERED;
}

void shim_quiet_trust(void) {
	atomic_store_explicit(&at_start, FREE, memory_order_relaxed);
}
