/* SPDX-License-Identifier: MIT */
#include "exporter/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h> /* rename(2), which is declared there */
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "exporter/buf.h"

enum { PATH_BYTES = 640 };

/* What the calling thread must get back: SIGXFSZ as it was. */
struct quiet {
	sigset_t mask;
	bool was_pending;
};

/* sigprocmask is the calling thread's alone in glibc, and pthread_sigmask too new a symbol. */
static void quiet_start(struct quiet *quiet) {
	sigset_t limit;
	sigset_t pending;
	sigemptyset(&limit);
	sigaddset(&limit, SIGXFSZ);
	sigprocmask(SIG_BLOCK, &limit, &quiet->mask);
	sigemptyset(&pending);
	sigpending(&pending);
	quiet->was_pending = sigismember(&pending, SIGXFSZ) == 1;
}

static void quiet_stop(const struct quiet *quiet) {
	const struct timespec at_once = { 0 };
	sigset_t limit;
	if (!quiet->was_pending) {
		sigemptyset(&limit);
		sigaddset(&limit, SIGXFSZ);
		while (sigtimedwait(&limit, NULL, &at_once) < 0 && errno == EINTR) {
		}
	}
	sigprocmask(SIG_SETMASK, &quiet->mask, NULL);
}

static int write_all(int fd, const char *bytes, size_t size_bytes) {
	while (size_bytes > 0) {
		ssize_t n = write(fd, bytes, size_bytes);
		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		if (n > 0) {
			bytes += n;
			size_bytes -= (size_t)n;
		}
	}
	return 0;
}

/* O_EXCL: what lies there may be a link to elsewhere; a file of a crash makes room. */
static int temporary_open(const char *path) {
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
	int fd = open(path, flags, 0644);
	if (fd < 0 && errno == EEXIST && unlink(path) == 0) {
		fd = open(path, flags, 0644);
	}
	return fd < 0 ? -errno : fd;
}

static int temporary_write(const char *path, const char *bytes, size_t size_bytes) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size_bytes) {
		return -EFBIG;
	}
	int fd = temporary_open(path);
	if (fd < 0) {
		return fd;
	}
	int r = write_all(fd, bytes, size_bytes);
	if (close(fd) < 0 && r == 0) {
		r = -errno;
	}
	if (r < 0) {
		unlink(path);
	}
	return r;
}

/* Opens a file without a name in the folder of `path`. */
static int nameless_open(const char *path) {
	char folder[PATH_BYTES] = ".";
	const char *slash = strrchr(path, '/');
	if (slash != NULL) {
		size_t length = slash == path ? 1 : (size_t)(slash - path);
		if (length >= sizeof(folder)) {
			return -ENAMETOOLONG;
		}
		memcpy(folder, path, length);
		folder[length] = '\0';
	}
	int fd = open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd;
}

/* Writes a file that gets its name when it is whole; fails where there is one of that name. */
static int nameless_write(const char *path, const char *bytes, size_t size_bytes) {
	char self[64];
	struct prom_buf name;
	int fd = nameless_open(path);
	if (fd < 0) {
		return fd;
	}
	prom_buf_init(&name, self, sizeof(self));
	prom_buf_text(&name,
			"/proc/thread-self/fd/"); /* our table is not the process's */
	prom_buf_uint(&name, (uint64_t)fd);
	prom_buf_char(&name, '\0');
	int r = write_all(fd, bytes, size_bytes);
	if (r == 0 && linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0) {
		r = -errno;
	}
	close(fd);
	return r;
}

/* A device or a FIFO, by its own name or through a link like /dev/stdout: not to be replaced. */
static bool is_special(const char *path) {
	struct statx status;
	return syscall(SYS_statx, AT_FDCWD, path, 0, STATX_TYPE, &status) == 0 &&
			!S_ISREG(status.stx_mode);
}

int prom_file_write(const char *path, const char *bytes, size_t size_bytes) {
	char temporary[PATH_BYTES];
	struct prom_buf name;
	struct quiet quiet;
	int saved_errno = errno;
	prom_buf_init(&name, temporary, sizeof(temporary));
	prom_buf_text(&name, path);
	prom_buf_char(&name, '.');
	prom_buf_uint(&name, (uint64_t)getpid());
	prom_buf_put(&name, ".tmp", sizeof(".tmp"));
	if (name.failed) {
		return -ENAMETOOLONG;
	}
	if (is_special(path)) {
		errno = saved_errno;
		return -EINVAL;
	}
	quiet_start(&quiet);
	int r = nameless_write(path, bytes, size_bytes);
	if (r == 0) {
		goto out;
	}
	r = temporary_write(temporary, bytes, size_bytes);
	if (r == 0 && rename(temporary, path) < 0) {
		r = -errno;
		unlink(temporary);
	}
out:
	quiet_stop(&quiet);
	errno = saved_errno;
	return r;
}
