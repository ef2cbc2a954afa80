/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "exporter/base/auxv.h"
#include "exporter/base/kernel.h"
#include "exporter/procfs.h"

enum {
	TEXT_BYTES = 2048,
	LINE_BYTES = 256, /* of a longer line the beginning: the rest is of a path */
	STAT_BYTES = 1024,
	WORD_BYTES = 8,
};

/*
 * A heap of an arena begins at a multiple of its largest size: 64 MiB, or four huge pages where glibc was
 * told to use them, of which 2 MiB are the least. Source: glibc malloc/arena.c, heap_max_size.
 */
static const uint64_t heap_step = UINT64_C(8) << 20;

/*
 * The most that glibc asks of brk for one block; where it is refused, it takes mappings that nobody can tell
 * from the host's own. Source: glibc malloc/malloc.c, DEFAULT_MMAP_THRESHOLD_MAX; sysmalloc.
 */
static const uint64_t growth_max = UINT64_C(33) << 20;

/* Source: glibc malloc/arena.c, struct _heap_info: the words since 2.3; the arena follows in its first heap. */
struct heap_info {
	uint64_t arena, before, size_bytes, writable_bytes;
};

static bool is_hex(char c, unsigned *ret_digit) {
	if (c >= '0' && c <= '9') {
		*ret_digit = (unsigned)(c - '0');
		return true;
	}
	*ret_digit = (unsigned)(c - 'a') + 10;
	return c >= 'a' && c <= 'f';
}

static const char *parse_hex(const char *at, uint64_t *out) {
	unsigned digit;
	*out = 0;
	for (; is_hex(*at, &digit); at++) {
		*out = *out << 4 | digit;
	}
	return at;
}

/*
 * Source: proc_pid_maps(5): start-end perms offset device inode, blanks, path. A file's offset and inode are
 * of no use here: what has no path is anonymous.
 */
bool prom_procfs__parse_mapping(const char *line, struct prom_procfs__mapping *out) {
	const char *at = parse_hex(line, &out->start);
	if (at == line || *at != '-') {
		return false;
	}
	const char *end = parse_hex(at + 1, &out->end);
	if (end == at + 1 || *end != ' ' || strnlen(end, 5) < 5) {
		return false;
	}
	out->is_writable = end[2] == 'w';
	at = end;
	for (int field = 0; field < 4; field++) {
		at += strspn(at, " ");
		at += strcspn(at, " ");
	}
	out->path = at + strspn(at, " ");
	return out->end > out->start;
}

static bool is_heap(const struct heap_info *info, uint64_t at, uint64_t rest) {
	enum { INFO_LEAST = 0x20, INFO_MOST = 0x80, PAGE_LEAST = 4096 };
	bool is_first = info->before == 0;
	return info->size_bytes != 0 && info->size_bytes <= info->writable_bytes &&
			info->writable_bytes <= rest &&
			info->size_bytes % PAGE_LEAST == 0 &&
			info->writable_bytes % PAGE_LEAST == 0 &&
			(is_first ? info->arena >= at + INFO_LEAST && info->arena <= at + INFO_MOST
				  : info->arena != 0 && info->before % heap_step == 0);
}

/* Adds the arenas' heaps in the run of mappings that has just ended. */
static void run_end(struct prom_procfs__heap *heap) {
	uint64_t at = (heap->run_start + heap_step - 1) / heap_step * heap_step;
	while (at < heap->run_end && heap->run_start != 0) {
		struct heap_info info;
		int r = heap->read(heap, at, &info, sizeof(info));
		if (r < 0) {
			heap->is_lost = true;
		}
		uint64_t used = r > 0 && is_heap(&info, at, heap->run_end - at)
				? info.writable_bytes
				: 0;
		heap->bytes += used != 0 ? info.size_bytes : 0;
		at += used > heap_step ? (used + heap_step - 1) / heap_step * heap_step
				       : heap_step;
	}
	heap->run_start = heap->run_end = 0;
}

void prom_procfs__heap_add(struct prom_procfs__heap *heap,
		const struct prom_procfs__mapping *mapping) {
	bool is_named = strncmp(mapping->path, "[anon:", 6) == 0;
	if (!heap->is_glibc) {
		if (is_named && mapping->is_writable &&
				strstr(mapping->path, heap->allocator) != NULL) {
			heap->bytes += mapping->end - mapping->start;
			heap->is_found = true;
		}
		return;
	}
	/* not by brk(2), which who traces the host would see; older kernels also call a bar so */
	if (strcmp(mapping->path, "[heap]") == 0 && mapping->is_writable &&
			mapping->end > heap->brk_start) {
		heap->brk_end = mapping->end;
		run_end(heap);
		return;
	}
	if (heap->brk_end != heap->brk_start && mapping->start >= heap->brk_end &&
			mapping->start - heap->brk_end < growth_max) {
		heap->is_lost = true; /* something in the way of brk */
	}
	if (strncmp(mapping->path, "/anon_hugepage", 14) == 0) {
		heap->is_lost = true; /* it may be glibc's, told to use them */
	}
	bool is_anonymous =
			mapping->is_writable && (mapping->path[0] == '\0' || is_named);
	if (is_anonymous && mapping->start == heap->run_end) {
		heap->run_end = mapping->end;
		return;
	}
	run_end(heap);
	if (is_anonymous) {
		heap->run_start = mapping->start;
		heap->run_end = mapping->end;
	}
}

bool prom_procfs__heap_end(struct prom_procfs__heap *heap, uint64_t *out) {
	run_end(heap);
	*out = heap->bytes + (heap->brk_end - heap->brk_start);
	return !heap->is_lost && (heap->is_glibc || heap->is_found);
}

/* A task of ours: after main's pthread_exit what is the process's own is empty. */
static int open_own(const struct prom_procfs *procfs, const char *path) {
	return kernel_openat(procfs->proc_fd, path, O_RDONLY | O_CLOEXEC, 0);
}

/*
 * Reads memory of ours that the host may have given back by now, and that it may want to fill in itself when it
 * is first touched (userfaultfd): a page that nobody has touched holds nothing. Source: proc_pid_pagemap(5), bits 62
 * and 63.
 *
 * Returns  1 read, 0 there is nothing, -1 it may not be read
 */
static int read_own(struct prom_procfs__heap *heap, uint64_t from, void *out,
		size_t size) {
	uint64_t page;
	if (heap->pagemap_fd < 0 || heap->memory_fd < 0) {
		heap->pagemap_fd = open_own(heap->procfs, "thread-self/pagemap");
		heap->memory_fd = open_own(heap->procfs, "thread-self/mem");
	}
	ssize_t r = kernel_pread64(heap->pagemap_fd, &page, sizeof(page),
			(off_t)(from / auxv_page_bytes() * WORD_BYTES));
	if (r != sizeof(page) || page >> 62 == 0) {
		return r < 0 ? -1 : 0;
	}
	r = kernel_pread64(heap->memory_fd, out, size, (off_t)from);
	return r == (ssize_t)size ? 1 : r == -EIO || r == -EFAULT ? 0 : -1;
}

/* Where the heap by brk begins. Source: proc_pid_stat(5), start_brk (47). */
static bool find_brk(const struct prom_procfs *procfs, struct prom_procfs__heap *heap) {
	enum { STATE = 3, START_BRK = 47 };
	char text[STAT_BYTES];
	long length = prom_procfs__read_file(procfs->proc_fd, "thread-self/stat", text,
			sizeof(text) - 1);
	if (length <= 0) {
		return false;
	}
	text[length] = '\0';
	const char *at = strrchr(text, ')'); /* the name before may hold anything */
	for (int field = STATE - 1; at != NULL && field < START_BRK; field++) {
		at = strchr(at + 1, ' ');
	}
	if (at == NULL) {
		return false;
	}
	for (at++; *at >= '0' && *at <= '9'; at++) {
		heap->brk_start = heap->brk_start * 10 + (uint64_t)(*at - '0');
	}
	heap->brk_end = heap->brk_start;
	return heap->brk_start != 0;
}

static void take_line(struct prom_procfs__heap *heap, char *line, char *end) {
	struct prom_procfs__mapping mapping;
	*end = '\0';
	if (prom_procfs__parse_mapping(line, &mapping)) {
		prom_procfs__heap_add(heap, &mapping);
	}
}

/* Takes whole lines, and the beginnings of long ones, off the text; returns how much is left. */
static size_t take_lines(struct prom_procfs__heap *heap, char *text, size_t used,
		bool *is_cut) {
	char *at = text, *end;
	while ((end = memchr(at, '\n', used - (size_t)(at - text))) != NULL) {
		if (!*is_cut) {
			take_line(heap, at, end);
		}
		*is_cut = false;
		at = end + 1;
	}
	used -= (size_t)(at - text);
	if (used >= LINE_BYTES) {
		if (!*is_cut) {
			take_line(heap, at, at + LINE_BYTES - 1);
		}
		*is_cut = true;
		used = 0;
	}
	memmove(text, at, used);
	return used;
}

int prom_procfs_heap(const struct prom_procfs *procfs, const char *allocator,
		uint64_t *out) {
	struct prom_procfs__heap heap = { .procfs = procfs,
		.allocator = allocator,
		.is_glibc = strcmp(allocator, "glibc") == 0,
		.read = read_own,
		.pagemap_fd = -1,
		.memory_fd = -1 };
	char text[TEXT_BYTES];
	size_t used = 0;
	bool is_cut = false;
	ssize_t count;
	int fd = open_own(procfs, "thread-self/maps");
	if (fd < 0 || (heap.is_glibc && !find_brk(procfs, &heap))) {
		count = -1;
		goto close;
	}
	do {
		count = kernel_read(fd, text + used, sizeof(text) - used);
		used = take_lines(&heap, text, used + (count > 0 ? (size_t)count : 0),
				&is_cut);
	} while (count > 0 || count == -EINTR);

close:
	for (size_t i = 0; i < 3; i++) {
		int opened = i == 0 ? fd : i == 1 ? heap.pagemap_fd : heap.memory_fd;
		if (opened >= 0) {
			(void)kernel_close(opened);
		}
	}
	if (count != 0) {
		return -1;
	}
	return prom_procfs__heap_end(&heap, out) ? 1 : 0;
}
