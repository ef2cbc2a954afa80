/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_PROCFS_H
#define EXPORTER_PROCFS_H

/*
 * Process figures from /proc, read with read(2) and getdents64(2) only: no stdio, no heap,
 * no locale.
 *
 * Directories are opened once, early, so that a later chroot or mount namespace of the
 * host does not matter. After main's pthread_exit /proc/self is empty, and the descriptors
 * in a task folder of ours are those of our private table: statm and maps come from our
 * own task, descriptors from a living thread of the host.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporter/snapshot.h"

struct prom_procfs {
	int proc_fd; /* /proc */
	int self_fd; /* /proc/<pid>: later, openat(self_fd, "task/<tid>/...") */
	int pid;
	bool own; /* figures of the process that we live in */
	uint64_t boot_time_ns; /* unix time of boot, by the clocks: /proc/stat may be hidden */

	/* private, constant once open: files that are read again and again, below 0 = none */
	int stat_fd, statm_fd, netstat_fd, cgroup_fd;
	bool is_kernel; /* a real /proc, where the size of a folder fd/ is their number */
	bool shares_table; /* our descriptors are among those of the process */
};

/*
 * Opens the folders for process `pid`.
 *
 * own      true: `pid` is our process; our own threads are left out of the figures
 * Returns  0 or -errno; then prom_procfs_read yields what needs no /proc (own only)
 * Calls    a thread of ours, after its descriptor table is private
 */
int prom_procfs_open(struct prom_procfs *procfs, int pid, bool own);
void prom_procfs_close(struct prom_procfs *procfs);

/*
 * Reads every figure but memory_limit_bytes.
 *
 * own_tids   tids of our threads, `own_count` of them (0 entries ignored): not counted in
 *            `threads`, and skipped when a host thread's task folder is looked for
 * out        figures whose source cannot be read have no bit in `known`
 * Source     proc(5); getrusage(2) (RUSAGE_SELF: all threads, /proc/self/status only main's)
 */
void prom_procfs_read(const struct prom_procfs *procfs, const uint32_t *own_tids,
		unsigned own_count, struct prom_figures *out);

/*
 * CPU time in ns of thread `tid` of this process; 0 if gone.
 *
 * Source   clock_getcpuclockid(3) and the kernel's posix-timers_types.h: (~tid << 3) | 6
 */
uint64_t prom_procfs_thread_cpu_ns(int tid);

/*
 * Returns the lowest memory limit of the cgroups that the process is in, v2 (memory.max up
 * the tree) or v1 (memory.limit_in_bytes); UINT64_MAX when there is none.
 *
 * Source   cgroups(7); Documentation/admin-guide/cgroup-v2.rst
 */
uint64_t prom_procfs_memory_limit(const struct prom_procfs *procfs);

/*
 * Reads from the process's mappings how much its allocator holds from the system, blocks that
 * it has mapped one by one not among them. Nobody asks the allocator: it would take its locks, and
 * walk a heap that the host may have overwritten.
 *
 * allocator  "glibc": the heap by brk and the heaps of further arenas, which equals what its
 *            mallinfo2 calls `arena`; else mappings that carry its name
 * Returns    1; 0 when part of it cannot be seen, above all where the heap by brk cannot grow: glibc
 *            then goes on in mappings that look like the host's own; -1 when /proc could not be
 *            read just now
 * Calls      a thread of the process itself; own procfs
 * Source     proc_pid_maps(5); glibc malloc/arena.c, heap_info; PR_SET_VMA of prctl(2)
 */
int prom_procfs_heap(const struct prom_procfs *procfs, const char *allocator,
		uint64_t *out);

/* For tests, and for each other: the parsers, over text that need not end in NUL. */

struct prom_procfs__stat {
	char state;
	uint64_t faults_minor, faults_major, cpu_ticks, threads, start_ticks;
};

/* As prom_procfs_open, for folders that stand for /proc and /sys/fs/cgroup; takes them over. */
int prom_procfs__open_at(struct prom_procfs *procfs, int proc_fd, int cgroup_fd, int pid,
		bool own);

/* Reads /proc/<pid>/stat; the name in parentheses may hold anything, parentheses too. */
bool prom_procfs__parse_stat(const char *text, size_t size,
		struct prom_procfs__stat *out);

/* Reads a soft limit of /proc/<pid>/limits; UINT64_MAX = unlimited. */
bool prom_procfs__parse_limit(const char *text, size_t size, const char *name,
		uint64_t *out);

/* Reads one value of /proc/<pid>/net/netstat: names on one line, values on the next. */
bool prom_procfs__parse_netstat(const char *text, size_t size, const char *name,
		uint64_t *out);

/* The lowest limit on the way up from where the lines of /proc/<pid>/cgroup say. */
uint64_t prom_procfs__cgroup_limit(int cgroup_fd, const char *lines, size_t size);

/* One line of /proc/<pid>/maps, NUL-terminated; `path` points into it, "" = anonymous. */
struct prom_procfs__mapping {
	uint64_t start, end;
	bool is_writable;
	const char *path;
};
bool prom_procfs__parse_mapping(const char *line, struct prom_procfs__mapping *out);

/* What prom_procfs_heap finds, mapping by mapping, in the order of their addresses. */
struct prom_procfs__heap {
	const struct prom_procfs *procfs;
	const char *allocator;
	bool is_glibc;
	/* Reads memory of the process: 1 read, 0 there is nothing, -1 that cannot be told. */
	int (*read)(struct prom_procfs__heap *heap, uint64_t from, void *out,
			size_t size);
	int pagemap_fd, memory_fd; /* of `read`; below 0: not open */
	uint64_t brk_start, brk_end; /* whole pages */
	uint64_t run_start,
			run_end; /* writable anonymous mappings, one beside the other */
	uint64_t bytes; /* besides brk */
	bool is_found; /* a mapping that carries the allocator's name */
	bool is_lost; /* part of it cannot be seen */
};
void prom_procfs__heap_add(struct prom_procfs__heap *heap,
		const struct prom_procfs__mapping *mapping);
bool prom_procfs__heap_end(struct prom_procfs__heap *heap, uint64_t *out);

enum { PROM_PROCFS__PATH_BYTES = 64 };

/* Puts "<prefix><number><suffix>" together, cut, NUL-terminated. */
void prom_procfs__put_path(char out[PROM_PROCFS__PATH_BYTES], const char *prefix,
		uint64_t number, const char *suffix);

/* Names a file of a host thread other than main: after its pthread_exit main has none. */
bool prom_procfs__find_host_thread(const struct prom_procfs *procfs,
		const uint32_t *own_tids, unsigned own_count, const char *suffix,
		char out[PROM_PROCFS__PATH_BYTES]);

/* Counts the open descriptors, those of `procfs` itself left out. */
bool prom_procfs__count_fds(const struct prom_procfs *procfs, const uint32_t *own_tids,
		unsigned own_count, uint64_t *out);

/* Reads the file `path` in `directory_fd`; Returns its bytes, at most `size`, or -errno. */
long prom_procfs__read_file(int directory_fd, const char *path, char *out, size_t size);

#endif
