/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/cli.h"

/* Returns the bytes of the UTF-8 character at `s`, 0 when there is none or it is a control. */
static size_t character_size(const unsigned char *s) {
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t size = s[0] < 0x80     ? 1
			: s[0] < 0xc0 ? 0
			: s[0] < 0xe0 ? 2
			: s[0] < 0xf0 ? 3
				      : 4;
	uint32_t code;

	if (size == 1) {
		return s[0] >= 0x20 && s[0] != 0x7f;
	}
	if (size == 0 || s[0] > 0xf4) {
		return 0;
	}
	code = s[0] & (0x7fU >> size);
	for (size_t i = 1; i < size; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			return 0;
		}
		code = code << 6 | (s[i] & 0x3fU);
	}
	/* U+0080 to U+009F are controls too: some terminals take U+009B as ESC [ */
	if (code < smallest[size] || code < 0xa0 || (code >= 0xd800 && code < 0xe000) ||
			code > 0x10ffff) {
		return 0;
	}
	return size;
}

void prom_cli_clean(char *text) {
	unsigned char *s = (unsigned char *)text;

	while (*s != '\0') {
		size_t size = character_size(s);
		if (size == 0) {
			*s = '?';
			size = 1;
		}
		s += size;
	}
}

void prom_cli_line(FILE *file, const char *format, ...) {
	char line[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	prom_cli_clean(line);
	fprintf(file, "%s\n", line);
}

const char *prom_cli_basename(const char *path) {
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

const char *prom_cli_setting(const char *name) {
	const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */
	return value != NULL && value[0] != '\0' ? value : NULL;
}

int prom_cli_set(const char *name, const char *value) {
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	int r = value != NULL ? setenv(name, value, 1) : unsetenv(name);
	return r < 0 ? -errno : 0;
}

const char *prom_cli_error(int error) {
	return strerror(error); /* NOLINT(concurrency-mt-unsafe): one thread */
}

/* Returns 0 when `path` can be executed, else -errno. */
static int is_executable(const char *path) {
	struct stat status;

	if (stat(path, &status) < 0) {
		return -errno;
	}
	if (!S_ISREG(status.st_mode) || access(path, X_OK) < 0) {
		return -EACCES;
	}
	return 0;
}

static int copy_path(char *out, size_t size_bytes, const char *folder,
		size_t folder_bytes, const char *name) {
	int n;

	/* an empty entry of PATH is the current folder */
	n = snprintf(out, size_bytes, "%.*s%s%s", (int)folder_bytes, folder,
			folder_bytes > 0 ? "/" : "", name);
	return n < 0 || (size_t)n >= size_bytes ? -ENAMETOOLONG : 0;
}

int prom_cli_find(const char *name, char *out, size_t size_bytes) {
	const char *path = prom_cli_setting("PATH");
	int found = -ENOENT;

	if (size_bytes > 0) {
		out[0] = '\0';
	}
	if (name[0] == '\0') {
		return -ENOENT;
	}
	if (strchr(name, '/') != NULL) {
		int r = copy_path(out, size_bytes, "", 0, name);
		return r < 0 ? r : is_executable(out);
	}
	if (path == NULL) {
		path = "/bin:/usr/bin"; /* confstr(_CS_PATH), as execvp(3) takes it */
	}
	for (;;) {
		size_t folder_bytes = strcspn(path, ":");
		if (folder_bytes < PATH_MAX &&
				copy_path(out, size_bytes, path, folder_bytes, name) ==
						0) {
			int r = is_executable(out);
			if (r == 0) {
				return 0;
			}
			if (r == -EACCES) {
				found = r;
			}
		}
		if (path[folder_bytes] == '\0') {
			break;
		}
		path += folder_bytes + 1;
	}
	return found;
}
