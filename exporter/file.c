/* SPDX-License-Identifier: MIT */
#include "exporter/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "exporter/base/kernel.h"
#include "exporter/buf.h"

enum { PATH_BYTES = 640 };

/* What the calling thread must get back: SIGXFSZ as it was. */
struct quiet {
	uint64_t mask;
	bool was_pending;
};

static const uint64_t limit_signal = KERNEL_SIGNAL(SIGXFSZ);

static void quiet_start(struct quiet *quiet) {
	uint64_t pending = 0;
	(void)kernel_sigmask(SIG_BLOCK, limit_signal, &quiet->mask);
	(void)kernel_rt_sigpending(&pending, sizeof(pending));
	quiet->was_pending = (pending & limit_signal) != 0;
}

static void quiet_stop(const struct quiet *quiet) {
	const struct timespec at_once = { 0 };
	if (!quiet->was_pending) {
		while (kernel_rt_sigtimedwait(&limit_signal, NULL, &at_once,
				       sizeof(limit_signal)) == -EINTR) {
		}
	}
	(void)kernel_sigmask(SIG_SETMASK, quiet->mask, NULL);
}

static int write_all(int fd, const char *bytes, size_t size_bytes) {
	while (size_bytes > 0) {
		ssize_t n = kernel_write(fd, bytes, size_bytes);
		if (n < 0 && n != -EINTR) {
			return (int)n;
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
	int fd = kernel_openat(AT_FDCWD, path, flags, 0644);
	if (fd == -EEXIST && kernel_unlinkat(AT_FDCWD, path, 0) == 0) {
		fd = kernel_openat(AT_FDCWD, path, flags, 0644);
	}
	return fd;
}

static int temporary_write(const char *path, const char *bytes, size_t size_bytes) {
	struct rlimit limit;
	if (kernel_limit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size_bytes) {
		return -EFBIG;
	}
	int fd = temporary_open(path);
	if (fd < 0) {
		return fd;
	}
	int r = write_all(fd, bytes, size_bytes);
	int closed = kernel_close(fd);
	r = r < 0 ? r : closed;
	if (r < 0) {
		(void)kernel_unlinkat(AT_FDCWD, path, 0);
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
	return kernel_openat(AT_FDCWD, folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
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
	if (r == 0) {
		r = kernel_linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
	}
	(void)kernel_close(fd);
	return r;
}

/* A device or a FIFO, by its own name or through a link like /dev/stdout: not to be replaced. */
static bool is_special(const char *path) {
	struct statx status;
	return kernel_statx(AT_FDCWD, path, 0, STATX_TYPE, &status) == 0 &&
			!S_ISREG(status.stx_mode);
}

int prom_file_write(const char *path, const char *bytes, size_t size_bytes) {
	char temporary[PATH_BYTES];
	struct prom_buf name;
	struct quiet quiet;
	prom_buf_init(&name, temporary, sizeof(temporary));
	prom_buf_text(&name, path);
	prom_buf_char(&name, '.');
	prom_buf_uint(&name, (uint64_t)kernel_getpid());
	prom_buf_put(&name, ".tmp", sizeof(".tmp"));
	if (name.failed) {
		return -ENAMETOOLONG;
	}
	if (is_special(path)) {
		return -EINVAL;
	}
	quiet_start(&quiet);
	int r = nameless_write(path, bytes, size_bytes);
	if (r == 0) {
		goto out;
	}
	r = temporary_write(temporary, bytes, size_bytes);
	if (r == 0) {
		r = kernel_renameat2(AT_FDCWD, temporary, AT_FDCWD, path, 0);
		if (r < 0) {
			(void)kernel_unlinkat(AT_FDCWD, temporary, 0);
		}
	}
out:
	quiet_stop(&quiet);
	return r;
}
