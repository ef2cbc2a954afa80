/* SPDX-License-Identifier: MIT */
/* What is read from the lines of /proc/<pid>/maps, made up or our own. */

#include <string.h>
#include <unistd.h>

#include "exporter/procfs.h"
#include "tests/unit/tap.h"

static void test_mapping(void) {
	struct prom_procfs__mapping mapping;
	ok(prom_procfs__parse_mapping("7f0004000000-7f0004021000 rw-p 00000000 00:00 0 ",
			   &mapping),
			"an anonymous mapping");
	ok(mapping.start == 0x7f0004000000 && mapping.end == 0x7f0004021000,
			"... from, to");
	ok(mapping.is_writable && mapping.path[0] == '\0',
			"... writable, without a path");
	ok(prom_procfs__parse_mapping(
			   "5f0000-5f1000 r--s 00001000 fd:01 42      /a b (deleted)",
			   &mapping),
			"a file");
	ok(!mapping.is_writable && strcmp(mapping.path, "/a b (deleted)") == 0,
			"... read only, whatever its name");
	static const char *const nonsense[] = { "", "-", "5f0000", "5f0000-",
		"5f0000-5f1000", "5f0000-5f1000 r", "x-y rw-p 0 0 0",
		"5f1000-5f1000 rw-p 00000000 00:00 0" };
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		ok(!prom_procfs__parse_mapping(nonsense[i], &mapping), nonsense[i]);
	}
}

/* What lies at the beginning of a made-up heap: arena, heap before, size, writable size. */
static uint64_t heap_words[2][4];
static const uint64_t heap_starts[2] = { 0x7f0004000000, 0x7f0008000000 };

static int read_heap(struct prom_procfs__heap *heap, uint64_t from, void *out,
		size_t size) {
	for (size_t i = 0; i < 2; i++) {
		if (from == heap_starts[i]) {
			memcpy(out, heap_words[i], size);
			return 1;
		}
	}
	return heap->memory_fd; /* 0: nothing there */
}

static uint64_t heap_of(const char *allocator, const char *const *lines,
		bool *ret_is_known) {
	struct prom_procfs__heap heap = { .allocator = allocator,
		.is_glibc = strcmp(allocator, "glibc") == 0,
		.brk_start = 0x55000000,
		.brk_end = 0x55000000,
		.memory_fd = lines[0][0] == '!' ? -1 : 0,
		.read = read_heap };
	struct prom_procfs__mapping mapping;
	uint64_t bytes;
	for (; *lines != NULL; lines++) {
		if (prom_procfs__parse_mapping(*lines, &mapping)) {
			prom_procfs__heap_add(&heap, &mapping);
		}
	}
	*ret_is_known = prom_procfs__heap_end(&heap, &bytes);
	return bytes;
}

static void heap_put(unsigned which, uint64_t arena, uint64_t before, uint64_t size,
		uint64_t writable) {
	memcpy(heap_words[which], (uint64_t[]){ arena, before, size, writable },
			sizeof(heap_words[which]));
}

/* A heap by brk of 0x21000, and heaps of arenas at multiples of 64 MiB. */
static void test_heap(void) {
	static const char brk[] = "55000000-55021000 rw-p 00000000 00:00 0 [heap]";
	static const char one[] = "7f0004000000-7f0004021000 rw-p 00000000 00:00 0 ";
	static const char both[] = "7f0004000000-7f0008030000 rw-p 00000000 00:00 0 ";
	const uint64_t full = UINT64_C(64) << 20, by_brk = 0x21000;
	bool is_known;

	heap_put(0, 0x7f0004000030, 0, 0x20000, 0x21000);
	is(heap_of("glibc", (const char *[]){ brk, one, NULL }, &is_known),
			by_brk + 0x20000,
			"the heap by brk, and that of an arena as far as it goes");
	ok(is_known, "... known");
	is(heap_of("glibc",
			   (const char *[]){ brk,
					   "7f0003ff0000-7f0004021000 rw-p 00000000 00:00 0 ",
					   NULL },
			   &is_known),
			by_brk + 0x20000, "... that a mapping below has grown into");
	is(heap_of("glibc",
			   (const char *[]){ brk,
					   "7f0004000000-7f0004010000 rw-p 00000000 00:00 0 ",
					   "7f0004010000-7f0004021000 rw-p 00000000 00:00 0 ",
					   NULL },
			   &is_known),
			by_brk + 0x20000, "... or that the program has split");
	is(heap_of("glibc",
			   (const char *[]){ brk,
					   "7f0004000000-7f0004021000 r--p 00000000 00:00 0 ",
					   NULL },
			   &is_known),
			by_brk, "what cannot be written is no heap");
	heap_put(0, 0x1234, 0, 0x20000, 0x21000);
	is(heap_of("glibc", (const char *[]){ brk, one, NULL }, &is_known), by_brk,
			"nor is what has its arena elsewhere");
	heap_put(0, 0x7f0004000030, 0, 0x22000, 0x21000);
	is(heap_of("glibc", (const char *[]){ brk, one, NULL }, &is_known), by_brk,
			"nor what is larger than what can be written");
	heap_put(0, 0x7f0004000030, 0, 0x20000, 0x22000);
	is(heap_of("glibc", (const char *[]){ brk, one, NULL }, &is_known), by_brk,
			"nor what goes past its mapping");
	heap_put(0, 0x7f0004000030, 0, full, full);
	heap_put(1, 0x7f0004000030, 0x7f0004000000, 0x2f000, 0x30000);
	is(heap_of("glibc", (const char *[]){ brk, both, NULL }, &is_known),
			by_brk + full + 0x2f000, "two that have grown together");
	ok(is_known, "... known");
	heap_put(0, 0x7f0004000030, 0, 0x20000, 0x21000);
	(void)heap_of("glibc",
			(const char *[]){ "!", brk,
					"7f0010000000-7f0010021000 rw-p 00000000 00:00 0 ",
					NULL },
			&is_known);
	ok(!is_known, "what may not be read may be one");
	(void)heap_of("glibc",
			(const char *[]){ brk, "55021000-55022000 ---p 00000000 00:00 0 ",
					NULL },
			&is_known);
	ok(!is_known, "a mapping in the way of brk: it goes on elsewhere");
	(void)heap_of("glibc",
			(const char *[]){ brk,
					"7f0-7f1 rw-p 00000000 00:0f 3 /anon_hugepage (deleted)",
					NULL },
			&is_known);
	ok(!is_known, "huge pages may be heaps");
}

static void test_named(void) {
	bool is_known;
	static const char mine[] =
			"7f0000-7f8000 rw-p 00000000 00:00 0 [anon:jemalloc_pg]";
	(void)heap_of("jemalloc",
			(const char *[]){ "1000-2000 rw-p 00000000 00:00 0 ", NULL },
			&is_known);
	ok(!is_known, "of another allocator nothing is known");
	is(heap_of("jemalloc",
			   (const char *[]){ mine,
					   "7f8000-7f9000 ---p 00000000 00:00 0 [anon:jemalloc_pg]",
					   NULL },
			   &is_known),
			0x8000, "but mappings that carry its name");
	ok(is_known, "... which are all of it");
}

/* What is ours here is valgrind's or a sanitizer's elsewhere: tests/heap.bats compares it with glibc's. */
static void test_own(void) {
	struct prom_procfs procfs;
	uint64_t bytes = 0;
	is(prom_procfs_open(&procfs, (int)getpid(), true), 0, "our own /proc");
	is(prom_procfs_heap(&procfs, "tcmalloc", &bytes), 0,
			"no heap of an allocator that is not here");
	prom_procfs_close(&procfs);
	is(prom_procfs_heap(&procfs, "glibc", &bytes), -1, "nor of any without /proc");
}

int main(void) {
	test_mapping();
	test_heap();
	test_named();
	test_own();
	return tap_done();
}
