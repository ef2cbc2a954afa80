/* SPDX-License-Identifier: MIT */
/*
 * A preloaded object that stands in for open and close, and looks for the real ones under a lock
 * of its own; on the way the loader allocates. Whoever calls it from inside malloc hangs.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
static int (*real_open)(const char *path, int flags, ...);
static int (*real_close)(int fd);

static void find(void) {
	(void)pthread_mutex_lock(&once);
	if (real_close == NULL) {
		(void)dlvsym(RTLD_NEXT, "chown",
				"GLIBC_9"); /* nobody's: a text, from malloc */
		*(void **)&real_open = dlsym(RTLD_NEXT, "open64");
		*(void **)&real_close = dlsym(RTLD_NEXT, "close");
	}
	(void)pthread_mutex_unlock(&once);
}

int open64(const char *path, int flags, ...) {
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = va_arg(arguments, mode_t);
	va_end(arguments);
	find();
	return real_open(path, flags, mode);
}

int close(int fd) {
	find();
	return real_close(fd);
}

__attribute__((constructor)) static void come(void) {
	find();
}
