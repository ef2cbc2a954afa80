/* SPDX-License-Identifier: MIT */
#include "preload/identity.h"

#include <stdbool.h>
#include <string.h>
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

void shim_identity_program(const char *executable, int argc, char *const *argv, char *out,
		size_t size_bytes) {
	const char *name = executable[0] != '\0'
			? base_name(executable)
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
