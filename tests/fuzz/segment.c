/* SPDX-License-Identifier: MIT */
/*
 * A segment that lies: a good one, in which the input changes words, and which is as large as the
 * input says. Read as a scrape reads it, put on a page, and printed as `promshim check` prints it.
 *
 * The input is a size (2 bytes) and then changes: where (2 bytes, in words), what (8 bytes).
 */
#include <errno.h>
#include <string.h>

#include "exporter/cli_segment.h"
#include "exporter/encode.h"
#include "exporter/page_index.h"
#include "exporter/registry.h"
#include "exporter/scrape.h"
#include "exporter/utf8.h"
#include "preload/layout.h"
#include "tests/fuzz/fuzz.h"

enum { BLOCKS = 3, PAGE_BYTES = 256 << 10, SCRATCH_BYTES = 1 << 20, CHANGE_BYTES = 10 };

static const size_t most_bytes =
		sizeof(struct shim_segment) + BLOCKS * sizeof(struct shim_block);
static char page[PAGE_BYTES];
static struct prom_arena arena;
static struct prom_scrape scrape;

static void segment_fill(struct shim_segment *segment) {
	memset(segment, 0, sizeof(*segment));
	segment->magic = SHIM_MAGIC;
	segment->abi_major = SHIM_ABI_MAJOR;
	segment->segment_bytes = sizeof(*segment);
	segment->block_bytes = sizeof(struct shim_block);
	segment->blocks_offset = sizeof(*segment);
	segment->reserved_bytes = most_bytes;
	strcpy(segment->program, "nginx");
	strcpy(segment->executable, "/usr/sbin/nginx");
	strcpy(segment->allocator, "glibc");
	strcpy(segment->libc, "glibc 2.36");
	strcpy(segment->settings, "PROMSHIM_MODE=serve\nPROMSHIM_PORT=0\n");
	/* relaxed, all: one thread */
	atomic_store_explicit(&segment->state, SHIM_STATE_SERVING, memory_order_relaxed);
	atomic_store_explicit(&segment->block_count, 1, memory_order_relaxed);
}

/* In memory of exactly `*ret_size` bytes, which may end anywhere. */
static struct shim_segment *segment_make(const uint8_t *data, size_t size,
		size_t *ret_size) {
	static _Alignas(SHIM_CACHE_LINE) uint8_t whole[1 << 17];
	uint16_t word;
	memcpy(&word, data, sizeof(word));
	memset(whole, 0, sizeof(whole));
	segment_fill((void *)whole);
	for (size_t at = 2; at + CHANGE_BYTES <= size; at += CHANGE_BYTES) {
		uint16_t where;
		memcpy(&where, data + at, sizeof(where));
		memcpy(whole + (size_t)where % (most_bytes / 8) * 8, data + at + 2, 8);
	}
	/* whole by default; what is cut off is counted from the end */
	*ret_size = most_bytes - word % most_bytes;
	char *memory = aligned_alloc(SHIM_CACHE_LINE,
			(*ret_size + SHIM_CACHE_LINE - 1) / SHIM_CACHE_LINE *
					SHIM_CACHE_LINE);
	if (memory == NULL) {
		abort();
	}
	memcpy(memory, whole, *ret_size);
	return (void *)memory;
}

/* Only what a reader of text expects: UTF-8, and of control characters the line end alone. */
static void text_check(const char *bytes, size_t size, bool is_plain) {
	for (size_t at = 0; at < size;) {
		size_t length = prom_utf8_sequence(bytes + at, size - at);
		unsigned char c = (unsigned char)bytes[at];
		REQUIRE(length > 0);
		REQUIRE(c != '\0');
		REQUIRE(!is_plain || c == '\n' || (c >= ' ' && c != 0x7f));
		REQUIRE(!is_plain || c != 0xc2 || (unsigned char)bytes[at + 1] >= 0xa0);
		at += length;
	}
	REQUIRE(size == 0 || bytes[size - 1] == '\n');
}

static void page_check(const struct shim_segment *segment, const struct prom_row *row) {
	static struct prom_http_counts counts;
	struct prom_family *families = NULL;
	struct prom_buf out;

	if (arena.base == NULL) {
		REQUIRE(prom_arena_init(&arena, SCRATCH_BYTES) == 0);
		prom_registry_init(&scrape.registry, &arena);
		REQUIRE(prom_scrape_select(&scrape, "all") == 0);
	}
	size_t mark = arena.used_bytes;
	scrape.snapshot.row_count = 1;
	scrape.snapshot.rows[0] = *row;
	(void)prom_snapshot_figures(segment, &scrape.snapshot.rows[0].figures);
	scrape.snapshot.self.http = &counts;
	scrape.snapshot.self.version = "0";
	scrape.snapshot.self.mode = "serve";
	size_t count = prom_registry_gather(&scrape.registry, &scrape.snapshot, &arena,
			&families);
	prom_buf_init(&out, page, sizeof(page));
	prom_encode_text(families, count, &out);
	REQUIRE(!out.failed);
	text_check(page, out.used_bytes, false);
	prom_arena_reset(&arena, mark);
}

static void row_check(const struct prom_row *row) {
	const struct prom_totals *totals = &row->totals;
	REQUIRE(memchr(row->program, '\0', sizeof(row->program)) != NULL);
	REQUIRE(prom_utf8_is_valid(row->program));
	REQUIRE(prom_utf8_is_valid(row->allocator) && prom_utf8_is_valid(row->libc));
	/* a gauge is never "minus one": at most half of the range, unless what counts up is there too */
	REQUIRE(row->threads <= totals->thread_starts);
	REQUIRE(row->stack_bytes <= totals->stack_reserved_bytes);
}

/* As cli_segment.c does with its copy: whole, and each text with an end. */
static void print_check(const struct shim_segment *segment) {
	static struct shim_segment copy;
	char *text = NULL;
	char value[64];
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	REQUIRE(file != NULL);
	memcpy(&copy, segment, sizeof(copy));
	copy.program[sizeof(copy.program) - 1] = '\0';
	copy.executable[sizeof(copy.executable) - 1] = '\0';
	copy.allocator[sizeof(copy.allocator) - 1] = '\0';
	copy.libc[sizeof(copy.libc) - 1] = '\0';
	copy.version[sizeof(copy.version) - 1] = '\0';
	copy.settings[sizeof(copy.settings) - 1] = '\0';
	prom_segment_print(&copy, file);
	fclose(file);
	text_check(text, size, true);
	free(text);
	prom_segment_setting(&copy, "PROMSHIM_PORT", value, sizeof(value));
	REQUIRE(memchr(value, '\0', sizeof(value)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static struct prom_row row;
	static const struct prom_row zero;
	struct prom_buf index;
	size_t mapped;

	if (size < 2) {
		return 0;
	}
	struct shim_segment *segment = segment_make(data, size, &mapped);
	memset(&row, 0xa5, sizeof(row));
	int r = prom_snapshot_read(segment, mapped, &row);
	REQUIRE(r == 0 || (r == -EINVAL && memcmp(&row, &zero, sizeof(row)) == 0));
	if (mapped >= sizeof(*segment)) {
		if (r == 0) {
			row_check(&row);
		}
		page_check(segment, &row);
		prom_buf_init(&index, page, sizeof(page));
		prom_page_index(segment, &scrape.registry, &index);
		REQUIRE(!index.failed);
		text_check(page, index.used_bytes, true);
		print_check(segment);
	}
	free(segment);
	return 0;
}
