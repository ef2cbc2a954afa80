/* SPDX-License-Identifier: MIT */
#include <stdalign.h>
#include <sys/stat.h>

#include "exporter/base/kernel.h"
#include "exporter/buf.h"
#include "exporter/procfs.h"

enum { DIRECTORY_BYTES = 4096 };

/* Source: getdents64(2), struct linux_dirent64 */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes; /* of this entry; the next one follows */
	uint8_t type;
	char name[];
};

void prom_procfs__put_path(char out[PROM_PROCFS__PATH_BYTES], const char *prefix,
		uint64_t number, const char *suffix) {
	struct prom_buf buf;

	prom_buf_init(&buf, out, PROM_PROCFS__PATH_BYTES - 1);
	prom_buf_text(&buf, prefix);
	prom_buf_uint(&buf, number);
	prom_buf_text(&buf, suffix);
	out[buf.used_bytes] = '\0';
}

/* Calls `take` with the number of each entry that is one; stops when it returns false. */
static int for_each_number(int directory_fd, const char *path,
		bool (*take)(void *user, uint64_t number), void *user) {
	alignas(struct entry) char bytes[DIRECTORY_BYTES];
	int fd = kernel_openat(directory_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	ssize_t length;

	if (fd < 0) {
		return fd;
	}
	while ((length = kernel_getdents64(fd, bytes, sizeof(bytes))) > 0) {
		for (ssize_t at = 0; at < length;) {
			const struct entry *entry =
					(const struct entry *)(const void *)(bytes + at);
			uint64_t number = 0;
			const char *c = entry->name;
			for (; *c >= '0' && *c <= '9'; c++) {
				number = number * 10 + (uint64_t)(*c - '0');
			}
			if (c != entry->name && *c == '\0' && !take(user, number)) {
				(void)kernel_close(fd);
				return 0;
			}
			at += entry->bytes;
		}
	}
	(void)kernel_close(fd);
	return (int)length;
}

static bool count_one(void *user, uint64_t number) {
	uint64_t *count = user;
	(void)number;
	(*count)++;
	return true;
}

/* Counts the descriptors in the folder `path`. */
static int count_fds(const struct prom_procfs *procfs, const char *path, uint64_t *out) {
	struct statx status;

	*out = 0;
	/* Linux 6.2 and later tell it as the folder's size; 0 = none, or an older kernel. */
	if (procfs->is_kernel &&
			kernel_statx(procfs->self_fd, path, 0, STATX_SIZE, &status) ==
					0 &&
			status.stx_size > 0) {
		*out = status.stx_size;
		return 0;
	}
	int r = for_each_number(procfs->self_fd, path, count_one, out);
	if (r == 0 && procfs->shares_table && *out > 0) {
		(*out)--; /* the folder itself, while it was read */
	}
	return r;
}

struct search { /* for a thread of the host other than main */
	const struct prom_procfs *procfs;
	const uint32_t *own_tids;
	unsigned own_count;
	uint64_t tid;
};

static bool take_host_thread(void *user, uint64_t number) {
	struct search *search = user;

	for (unsigned i = 0; i < search->own_count; i++) {
		if (search->own_tids[i] == number) {
			return true;
		}
	}
	if (number == (uint64_t)search->procfs->pid) {
		return true;
	}
	search->tid = number;
	return false;
}

bool prom_procfs__find_host_thread(const struct prom_procfs *procfs,
		const uint32_t *own_tids, unsigned own_count, const char *suffix,
		char out[PROM_PROCFS__PATH_BYTES]) {
	struct search search = { procfs, own_tids, own_count, 0 };

	if (for_each_number(procfs->self_fd, "task", take_host_thread, &search) < 0 ||
			search.tid == 0) {
		return false;
	}
	prom_procfs__put_path(out, "task/", search.tid, suffix);
	return true;
}

bool prom_procfs__count_fds(const struct prom_procfs *procfs, const uint32_t *own_tids,
		unsigned own_count, uint64_t *out) {
	const int ours[] = { procfs->proc_fd, procfs->self_fd, procfs->stat_fd,
		procfs->statm_fd, procfs->netstat_fd, procfs->cgroup_fd };
	char path[PROM_PROCFS__PATH_BYTES];
	uint64_t held = 0;
	int r = count_fds(procfs, "fd", out);

	if ((r < 0 || *out == 0) &&
			prom_procfs__find_host_thread(procfs, own_tids, own_count, "/fd",
					path)) {
		r = count_fds(procfs, path, out);
	}
	for (size_t i = 0; procfs->shares_table && i < sizeof(ours) / sizeof(ours[0]);
			i++) {
		held += ours[i] >= 0;
	}
	*out = *out > held ? *out - held : 0;
	return r == 0;
}
