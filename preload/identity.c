/* SPDX-License-Identifier: MIT */
#include "preload/identity.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "exporter/base/auxv.h"
#include "exporter/base/kernel.h"

static const char *base_name(const char *path) {
	const char *slash = strrchr(path, '/');
	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static bool starts_with(const char *text, const char *start) {
	return strncmp(text, start, strlen(start)) == 0;
}

static bool is_among(const char *name, const char *const *names) {
	while (*names != NULL && strcmp(name, *names) != 0) {
		names++;
	}
	return *names != NULL;
}

static bool is_shell(const char *name) {
	static const char *const names[] = { "sh", "bash", "dash", "zsh", "ksh", "ash",
		NULL };
	return is_among(name, names);
}

/* Interpreters by the start of their name, so that python3.11 and php8.2 are among them. */
static bool is_interpreter(const char *name) {
	static const char *const names[] = { "node", "nodejs", NULL };
	return is_shell(name) || is_among(name, names) || starts_with(name, "python") ||
			starts_with(name, "perl") || starts_with(name, "ruby") ||
			starts_with(name, "lua") ||
			/* php-fpm is a server: its arguments are its configuration */
			(starts_with(name, "php") && !starts_with(name, "php-fpm"));
}

static bool is_regular_file(const char *path) {
	struct statx status;
	return kernel_statx(AT_FDCWD, path, 0, STATX_TYPE, &status) == 0 &&
			S_ISREG(status.stx_mode);
}

/*
 * Tells whether the option is followed by a program, or there is one on standard input: it has
 * no name. Short options come in one word: bash -lc, perl -lane.
 */
static bool is_program_text(const char *name, const char *option) {
	static const char *const node[] = { "-e", "-p", "-pe", "--eval", "--print",
		NULL };
	static const char *const php[] = { "-r", "-R", "-B", "-E", NULL };
	char last = option[strlen(option) - 1];
	if (strcmp(option, "-") == 0) {
		return true;
	}
	if (starts_with(name, "node")) {
		return is_among(option, node);
	}
	if (starts_with(name, "php")) {
		return is_among(option, php);
	}
	if (option[1] == '-') {
		return false;
	}
	if (starts_with(name, "perl") || starts_with(name, "ruby")) {
		return last == 'e' || last == 'E';
	}
	return last == 'c' || (is_shell(name) && last == 's');
}

/*
 * The script or module among the arguments of an interpreter; NULL if it runs none. Options
 * may have values of their own: a script is the first argument that is a file.
 */
static const char *script_of(const char *name, int argc, char *const *argv) {
	for (int i = 1; i < argc; i++) {
		const char *argument = argv[i];
		if (argument[0] != '-') {
			if (is_regular_file(argument)) {
				return base_name(argument);
			}
		} else if (starts_with(name, "python") && strcmp(argument, "-m") == 0) {
			return i + 1 < argc ? argv[i + 1] : NULL;
		} else if (is_program_text(name, argument)) {
			return NULL;
		}
	}
	return NULL;
}

static bool is_same_file(const char *a, const char *b) {
	struct statx x, y;
	return kernel_statx(AT_FDCWD, a, 0, STATX_INO, &x) == 0 &&
			kernel_statx(AT_FDCWD, b, 0, STATX_INO, &y) == 0 &&
			x.stx_ino == y.stx_ino && x.stx_dev_major == y.stx_dev_major &&
			x.stx_dev_minor == y.stx_dev_minor;
}

/*
 * What the executable was called by: redis-server is a link to redis-check-rdb, and ls may be
 * one to busybox. For a script the kernel tells its path, which is another file.
 */
static const char *called_by(const char *executable) {
	const char *path = (const char *)auxv_get(
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
	if (strcmp(name, "busybox") == 0 && argc > 1 && argv[1][0] != '-') {
		name = base_name(argv[1]); /* the applet */
		argc--;
		argv++;
	}
	if (is_interpreter(name)) {
		const char *script = script_of(name, argc, argv);
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
	ssize_t length = kernel_readlinkat(AT_FDCWD, "/proc/self/exe", out,
			size_bytes - 1);
	out[length > 0 ? length : 0] = '\0';
}

unsigned long long shim_identity_pid_namespace(void) {
	char link[64]; /* "pid:[4026531836]" */
	unsigned long long inode = 0;
	ssize_t length = kernel_readlinkat(AT_FDCWD, "/proc/self/ns/pid", link,
			sizeof(link));
	for (ssize_t i = 0; i < length; i++) {
		if (link[i] >= '0' && link[i] <= '9') {
			inode = inode * 10 + (unsigned long long)(link[i] - '0');
		}
	}
	return inode;
}
