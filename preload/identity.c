/* SPDX-License-Identifier: MIT */
#include "preload/identity.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *base_name(const char *path) {
	const char *slash = strrchr(path, '/');
	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* Interpreters by the start of their name, so that python3.11 and php8.2 are among them. */
static bool is_interpreter(const char *name) {
	static const char *const starts[] = { "python", "perl", "ruby", "php", "lua" };
	static const char *const names[] = { "sh", "bash", "dash", "zsh", "ksh",
		"busybox", "node", "nodejs" };
	if (strncmp(name, "php-fpm", sizeof("php-fpm") - 1) == 0) {
		return false; /* a server: its arguments are its configuration */
	}
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (strncmp(name, starts[i], strlen(starts[i])) == 0) {
			return true;
		}
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* The script or module among the arguments of an interpreter; NULL if it runs none. */
static const char *script_of(int argc, char *const *argv) {
	for (int i = 1; i < argc; i++) {
		const char *argument = argv[i];
		if (argument[0] != '-') {
			return base_name(argument);
		}
		if (strcmp(argument, "-m") == 0) {
			return i + 1 < argc ? argv[i + 1] : NULL;
		}
		/* a program on the command line or from standard input has no name */
		if (strcmp(argument, "-c") == 0 || strcmp(argument, "-e") == 0 ||
				strcmp(argument, "-") == 0) {
			return NULL;
		}
	}
	return NULL;
}

static bool is_same_file(const char *a, const char *b) {
	struct statx x, y;
	return statx(AT_FDCWD, a, 0, STATX_INO, &x) == 0 &&
			statx(AT_FDCWD, b, 0, STATX_INO, &y) == 0 &&
			x.stx_ino == y.stx_ino && x.stx_dev_major == y.stx_dev_major &&
			x.stx_dev_minor == y.stx_dev_minor;
}

/*
 * What the executable was called by: redis-server is a link to redis-check-rdb, and ls may be
 * one to busybox. For a script the kernel tells its path, which is another file.
 */
static const char *called_by(const char *executable) {
	const char *path = (const char *)getauxval(
			AT_EXECFN); // NOLINT(performance-no-int-to-ptr)
	const char *name = base_name(executable);
	if (path == NULL || strcmp(base_name(path), name) == 0 ||
			!is_same_file(path, "/proc/self/exe")) {
		return name;
	}
	return base_name(path);
}

void shim_identity_program(const char *executable, int argc, char *const *argv, char *out,
		size_t size_bytes) {
	const char *name = executable[0] != '\0'
			? called_by(executable)
			: (argc > 0 ? base_name(argv[0]) : "unknown");
	if (is_interpreter(name)) {
		const char *script = script_of(argc, argv);
		name = script != NULL && script[0] != '\0' ? script : name;
	}
	size_t i = 0;
	for (; i + 1 < size_bytes && name[i] != '\0'; i++) {
		unsigned char c = (unsigned char)name[i];
		out[i] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	out[i] = '\0';
}

bool shim_identity_is_sandboxed(int argc, char *const *argv) {
	static const char *const kinds[] = { "zygote", "renderer", "gpu-process",
		"utility", "ppapi" };
	static const char option[] = "--type=";
	if (argc < 2 || strncmp(argv[1], option, sizeof(option) - 1) != 0) {
		return false;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(argv[1] + sizeof(option) - 1, kinds[i]) == 0) {
			return true;
		}
	}
	return false;
}

void shim_identity_executable(char *out, size_t size_bytes) {
	ssize_t length = readlink("/proc/self/exe", out, size_bytes - 1);
	out[length > 0 ? length : 0] = '\0';
}

unsigned long long shim_identity_pid_namespace(void) {
	char link[64]; /* "pid:[4026531836]" */
	unsigned long long inode = 0;
	ssize_t length = readlink("/proc/self/ns/pid", link, sizeof(link));
	for (ssize_t i = 0; i < length; i++) {
		if (link[i] >= '0' && link[i] <= '9') {
			inode = inode * 10 + (unsigned long long)(link[i] - '0');
		}
	}
	return inode;
}
