/* SPDX-License-Identifier: MIT */
#include "exporter/procfs.h"

#include <elf.h>
#include <errno.h>
#include <linux/magic.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "exporter/base/auxv.h"
#include "exporter/base/kernel.h"
#include "exporter/clock.h"

enum {
	STAT_BYTES = 1024,
	LIMITS_BYTES = 4096,
	NETSTAT_BYTES = 8192,
};

static const uint64_t second_ns = 1000000000;

static void set(struct prom_figures *out, enum shim_figure figure, uint64_t *cell,
		uint64_t value) {
	*cell = value;
	out->known |= 1ULL << figure;
}

#define SET(out, field, value) set((out), SHIM_FIGURE_##field, &(out)->field, (value))

uint64_t prom_procfs_thread_cpu_ns(int tid) {
	enum { PER_THREAD = 4, SCHEDULER = 2 };
	return prom_clock_ns((clockid_t)(~(unsigned)tid << 3 | PER_THREAD | SCHEDULER));
}

static long read_all(int fd, char *out, size_t size) {
	size_t used = 0;

	while (used < size) {
		ssize_t count = kernel_pread64(fd, out + used, size - used, (off_t)used);
		if (count < 0 && count != -EINTR) {
			return count;
		}
		if (count == 0) {
			break;
		}
		used += count > 0 ? (size_t)count : 0;
	}
	return (long)used;
}

static int open_file(int directory_fd, const char *path) {
	return kernel_openat(directory_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
}

long prom_procfs__read_file(int directory_fd, const char *path, char *out, size_t size) {
	int fd = open_file(directory_fd, path);

	if (fd < 0) {
		return fd;
	}
	long length = read_all(fd, out, size);
	(void)kernel_close(fd);
	return length;
}

/* Reads a file that is kept open; when its thread is gone, the one that `path` now means. */
static long read_kept(int fd, int directory_fd, const char *path, char *out,
		size_t size) {
	long length = fd < 0 ? 0 : read_all(fd, out, size);

	return length > 0 ? length
			  : prom_procfs__read_file(directory_fd, path, out, size);
}

static void close_kept(int *fd) {
	if (*fd >= 0) {
		(void)kernel_close(*fd);
	}
	*fd = -1;
}

/* Is our descriptor also one of the process? Not when our thread's table is private. */
static bool has_shared_table(const struct prom_procfs *procfs) {
	struct statx ours, theirs;
	char path[PROM_PROCFS__PATH_BYTES];

	prom_procfs__put_path(path, "fd/", (uint64_t)procfs->proc_fd, "");
	return kernel_statx(procfs->proc_fd, "", AT_EMPTY_PATH, STATX_INO, &ours) == 0 &&
			kernel_statx(procfs->self_fd, path, 0, STATX_INO, &theirs) == 0 &&
			ours.stx_ino == theirs.stx_ino &&
			ours.stx_dev_major == theirs.stx_dev_major &&
			ours.stx_dev_minor == theirs.stx_dev_minor;
}

int prom_procfs__open_at(struct prom_procfs *procfs, int proc_fd, int cgroup_fd, int pid,
		bool own) {
	char path[PROM_PROCFS__PATH_BYTES];
	struct statfs status;

	*procfs = (struct prom_procfs){ .proc_fd = proc_fd,
		.self_fd = -1,
		.pid = pid,
		.own = own,
		.stat_fd = -1,
		.statm_fd = -1,
		.netstat_fd = -1,
		.cgroup_fd = cgroup_fd };
	procfs->boot_time_ns =
			prom_clock_ns(CLOCK_REALTIME) - prom_clock_ns(CLOCK_BOOTTIME);
	prom_procfs__put_path(path, "", (uint64_t)pid, "");
	/* "self" is right in a /proc of another pid namespace, too */
	procfs->self_fd = kernel_openat(proc_fd, own ? "self" : path,
			O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (procfs->self_fd < 0) {
		return procfs->self_fd;
	}
	procfs->is_kernel = kernel_fstatfs(proc_fd, &status) == 0 &&
			status.f_type == PROC_SUPER_MAGIC;
	procfs->shares_table = own && has_shared_table(procfs);
	int folder_fd = own ? proc_fd : procfs->self_fd;
	procfs->stat_fd = open_file(procfs->self_fd, "stat");
	procfs->statm_fd = open_file(folder_fd, own ? "thread-self/statm" : "statm");
	procfs->netstat_fd = open_file(folder_fd,
			own ? "thread-self/net/netstat" : "net/netstat");
	return 0;
}

int prom_procfs_open(struct prom_procfs *procfs, int pid, bool own) {
	int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	int proc_fd = kernel_openat(AT_FDCWD, "/proc", flags, 0);
	/* may be absent: no limit then */
	int cgroup_fd = kernel_openat(AT_FDCWD, "/sys/fs/cgroup", flags, 0);
	int r = prom_procfs__open_at(procfs, proc_fd, cgroup_fd, pid, own);

	return proc_fd < 0 ? proc_fd : r;
}

void prom_procfs_close(struct prom_procfs *procfs) {
	close_kept(&procfs->stat_fd);
	close_kept(&procfs->statm_fd);
	close_kept(&procfs->netstat_fd);
	close_kept(&procfs->cgroup_fd);
	close_kept(&procfs->self_fd);
	close_kept(&procfs->proc_fd);
}

/* Two numbers: pages of address space, pages resident. */
static bool parse_statm(const char *text, long length, uint64_t *ret_size,
		uint64_t *ret_resident) {
	uint64_t numbers[2] = { 0 };
	long at = 0;

	for (int i = 0; i < 2; i++) {
		long start = at;
		for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) {
			numbers[i] = numbers[i] * 10 + (uint64_t)(text[at] - '0');
		}
		if (at == start || at == length || text[at] != ' ') {
			return false;
		}
		at++;
	}
	*ret_size = numbers[0];
	*ret_resident = numbers[1];
	return numbers[0] > 0; /* 0: a thread that has ended */
}

static void read_memory(const struct prom_procfs *procfs, const uint32_t *own_tids,
		unsigned own_count, struct prom_figures *out) {
	char text[256], path[PROM_PROCFS__PATH_BYTES];
	uint64_t page_bytes = auxv_page_bytes(), size, resident;
	long length = read_kept(procfs->statm_fd,
			procfs->own ? procfs->proc_fd : procfs->self_fd,
			procfs->own ? "thread-self/statm" : "statm", text, sizeof(text));

	if (!parse_statm(text, length, &size, &resident)) {
		if (procfs->own ||
				!prom_procfs__find_host_thread(procfs, own_tids,
						own_count, "/statm", path)) {
			return;
		}
		length = prom_procfs__read_file(procfs->self_fd, path, text,
				sizeof(text));
		if (!parse_statm(text, length, &size, &resident)) {
			return;
		}
	}
	SET(out, virtual_bytes, size * page_bytes);
	SET(out, resident_bytes, resident * page_bytes);
}

static void read_stat(const struct prom_procfs *procfs, const uint32_t *own_tids,
		unsigned own_count, struct prom_figures *out) {
	uint64_t ticks = auxv_get(AT_CLKTCK), ours = 0;
	struct prom_procfs__stat stat;
	char text[STAT_BYTES];
	long length = read_kept(procfs->stat_fd, procfs->self_fd, "stat", text,
			sizeof(text));

	if (length < 0 || !prom_procfs__parse_stat(text, (size_t)length, &stat)) {
		return;
	}
	uint64_t tick_ns = second_ns / (ticks == 0 ? 100 : ticks);
	for (unsigned i = 0; procfs->own && i < own_count; i++) {
		ours += own_tids[i] != 0;
	}
	if (stat.state == 'Z' && stat.threads > 1) {
		ours++; /* main has ended, its number stays until the last thread does */
	}
	SET(out, threads, stat.threads > ours ? stat.threads - ours : 0);
	SET(out, start_time_ns, procfs->boot_time_ns + stat.start_ticks * tick_ns);
	if (!procfs->own) {
		SET(out, cpu_ns, stat.cpu_ticks * tick_ns);
		SET(out, page_faults_minor, stat.faults_minor);
		SET(out, page_faults_major, stat.faults_major);
	}
}

static void read_network(const struct prom_procfs *procfs, struct prom_figures *out) {
	char text[NETSTAT_BYTES];
	uint64_t received, sent;
	long length = read_kept(procfs->netstat_fd,
			procfs->own ? procfs->proc_fd : procfs->self_fd,
			procfs->own ? "thread-self/net/netstat" : "net/netstat", text,
			sizeof(text));

	if (length > 0 &&
			prom_procfs__parse_netstat(text, (size_t)length, "InOctets",
					&received) &&
			prom_procfs__parse_netstat(text, (size_t)length, "OutOctets",
					&sent)) {
		SET(out, network_receive_bytes, received);
		SET(out, network_transmit_bytes, sent);
	}
}

static void read_limits(const struct prom_procfs *procfs, struct prom_figures *out) {
	char text[LIMITS_BYTES];
	uint64_t limit;
	long length = prom_procfs__read_file(procfs->self_fd, "limits", text,
			sizeof(text));

	if (length > 0 &&
			prom_procfs__parse_limit(text, (size_t)length, "Max open files",
					&limit)) {
		SET(out, max_fds, limit);
	}
	if (length > 0 &&
			prom_procfs__parse_limit(text, (size_t)length,
					"Max address space", &limit)) {
		SET(out, virtual_max_bytes, limit);
	}
}

/* What the kernel says about ourselves without any file. */
static void read_own(struct prom_figures *out) {
	struct rusage usage;
	struct rlimit limit;

	SET(out, cpu_ns, prom_clock_ns(CLOCK_PROCESS_CPUTIME_ID));
	if (kernel_getrusage(RUSAGE_SELF, &usage) == 0) {
		SET(out, page_faults_minor, (uint64_t)usage.ru_minflt);
		SET(out, page_faults_major, (uint64_t)usage.ru_majflt);
		SET(out, context_switches_voluntary, (uint64_t)usage.ru_nvcsw);
		SET(out, context_switches_involuntary, (uint64_t)usage.ru_nivcsw);
	}
	if (kernel_limit(RLIMIT_NOFILE, &limit) == 0) {
		SET(out, max_fds, limit.rlim_cur);
	}
	if (kernel_limit(RLIMIT_AS, &limit) == 0) {
		SET(out, virtual_max_bytes, limit.rlim_cur);
	}
}

void prom_procfs_read(const struct prom_procfs *procfs, const uint32_t *own_tids,
		unsigned own_count, struct prom_figures *out) {
	uint64_t fds;

	memset(out, 0, sizeof(*out));
	if (procfs->own) {
		read_own(out);
	}
	if (procfs->self_fd < 0) {
		return;
	}
	if (!procfs->own) {
		read_limits(procfs, out);
	}
	read_stat(procfs, own_tids, own_count, out);
	read_memory(procfs, own_tids, own_count, out);
	read_network(procfs, out);
	if (prom_procfs__count_fds(procfs, own_tids, own_count, &fds)) {
		SET(out, open_fds, fds);
	}
}
