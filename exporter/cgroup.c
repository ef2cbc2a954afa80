/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "exporter/procfs.h"

enum { LINES_BYTES = 4096, PATH_BYTES = 1024, FILE_NAME_BYTES = 32 };

/* cgroup v1 says "none" as the largest multiple of a page; no machine has 4 EiB. */
static const uint64_t no_limit_from = 1ULL << 62;

/* Reads one limit; UINT64_MAX when there is none ("max"), or no such file. */
static uint64_t read_limit(int cgroup_fd, const char *path) {
	char text[32];
	uint64_t limit = 0;
	long length = prom_procfs__read_file(cgroup_fd, path, text, sizeof(text));

	if (length <= 0 || text[0] < '0' || text[0] > '9') {
		return UINT64_MAX;
	}
	for (long i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
		if (__builtin_mul_overflow(limit, (uint64_t)10, &limit) ||
				__builtin_add_overflow(limit, (uint64_t)(text[i] - '0'),
						&limit)) {
			return UINT64_MAX;
		}
	}
	return limit >= no_limit_from ? UINT64_MAX : limit;
}

/*
 * The lowest limit from the cgroup up to the mount's root. In a container without cgroup
 * namespace the path is the host's and its folders do not exist here; the root is the
 * container's own then.
 */
static uint64_t lowest_limit(int cgroup_fd, const char *mount, const char *cgroup,
		size_t size, const char *file) {
	char path[PATH_BYTES];
	uint64_t lowest = UINT64_MAX;
	size_t mount_length = strlen(mount), used = mount_length + size;

	if (used + FILE_NAME_BYTES > sizeof(path) ||
			memmem(cgroup, size, "/..", 3) != NULL) {
		return UINT64_MAX; /* "/..": outside of our namespace, nothing to be seen */
	}
	memcpy(path, mount, mount_length);
	memcpy(path + mount_length, cgroup, size);
	for (;;) {
		while (used > mount_length && path[used - 1] == '/') {
			used--;
		}
		path[used] = '/';
		memcpy(path + used + 1, file, strlen(file) + 1);
		uint64_t limit = read_limit(cgroup_fd, path);
		lowest = limit < lowest ? limit : lowest;
		if (used == mount_length) {
			return lowest;
		}
		while (used > mount_length && path[used - 1] != '/') {
			used--;
		}
	}
}

/* Is `controller` one of the comma-separated names? */
static bool has_controller(const char *names, size_t size, const char *controller) {
	size_t length = strlen(controller);

	for (size_t at = 0; at + length <= size; at++) {
		bool is_start = at == 0 || names[at - 1] == ',';
		bool is_end = at + length == size || names[at + length] == ',';
		if (is_start && is_end && memcmp(names + at, controller, length) == 0) {
			return true;
		}
	}
	return false;
}

static uint64_t least(uint64_t a, uint64_t b) {
	return a < b ? a : b;
}

uint64_t prom_procfs__cgroup_limit(int cgroup_fd, const char *lines, size_t size) {
	const char *end = lines + size;
	uint64_t limit = UINT64_MAX;

	/* A line is "hierarchy:controllers:/path"; v2 has no controllers. */
	while (lines < end) {
		const char *feed = memchr(lines, '\n', (size_t)(end - lines));
		const char *line_end = feed == NULL ? end : feed;
		const char *names = memchr(lines, ':', (size_t)(line_end - lines));
		const char *path = names == NULL
				? NULL
				: memchr(names + 1, ':', (size_t)(line_end - names - 1));
		if (path != NULL) {
			size_t names_length = (size_t)(path - names - 1);
			size_t path_length = (size_t)(line_end - path - 1);
			if (names_length == 0) {
				limit = least(limit,
						lowest_limit(cgroup_fd, ".", path + 1,
								path_length,
								"memory.max"));
				limit = least(limit,
						lowest_limit(cgroup_fd, "unified",
								path + 1, path_length,
								"memory.max"));
			} else if (has_controller(names + 1, names_length, "memory")) {
				limit = least(limit,
						lowest_limit(cgroup_fd, "memory",
								path + 1, path_length,
								"memory.limit_in_bytes"));
			}
		}
		lines = line_end + 1;
	}
	return limit;
}

uint64_t prom_procfs_memory_limit(const struct prom_procfs *procfs) {
	char lines[LINES_BYTES];
	long length = -ENOENT;

	if (procfs->cgroup_fd < 0 || procfs->self_fd < 0) {
		return UINT64_MAX;
	}
	/* main's entry is the root's once main has ended; our thread is where the host is */
	length = procfs->own ? prom_procfs__read_file(procfs->proc_fd,
					       "thread-self/cgroup", lines, sizeof(lines))
			     : prom_procfs__read_file(procfs->self_fd, "cgroup", lines,
					       sizeof(lines));
	return length <= 0 ? UINT64_MAX
			   : prom_procfs__cgroup_limit(procfs->cgroup_fd, lines,
					     (size_t)length);
}
