/* SPDX-License-Identifier: MIT */
/*
 * What making one page costs: 50 threads' blocks read, gathered, encoded as text 0.0.4.
 * Prints `name value unit`, medians of many rounds.
 */

#include "exporter/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exporter/registry.h"
#include "exporter/server.h"

enum { THREADS = 50, ROUNDS = 5000, PAGE_BYTES = 64 * 1024 };

static uint64_t now_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b) {
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static void print_median(const char *name, uint64_t *values) {
	qsort(values, ROUNDS, sizeof(values[0]), by_value);
	printf("%s %.2f us\n", name, (double)values[ROUNDS / 2] / 1e3);
}

/* A segment in which every cell of every block counted something. */
static struct shim_segment *segment_make(uint64_t *size) {
	uint64_t offset = sizeof(struct shim_segment);
	*size = offset + THREADS * sizeof(struct shim_block);
	struct shim_segment *segment = aligned_alloc(SHIM_CACHE_LINE, *size);
	if (segment == NULL) {
		exit(1);
	}
	memset(segment, 0, *size);
	segment->magic = SHIM_MAGIC;
	segment->abi_major = SHIM_ABI_MAJOR;
	segment->segment_bytes = sizeof(*segment);
	segment->block_bytes = sizeof(struct shim_block);
	segment->blocks_offset = (uint32_t)offset;
	segment->reserved_bytes = *size;
	strcpy(segment->program, "nginx");
	strcpy(segment->allocator, "glibc");
	strcpy(segment->libc, "glibc 2.36");
	atomic_store_explicit(&segment->state, SHIM_STATE_SERVING, memory_order_relaxed);
	atomic_store_explicit(&segment->hooks_known, 7, memory_order_relaxed);
	atomic_store_explicit(&segment->hooks_active, 7, memory_order_relaxed);
	atomic_store_explicit(&segment->bytes_known, 1, memory_order_relaxed);
	atomic_store_explicit(&segment->block_count, THREADS, memory_order_relaxed);
	atomic_store_explicit(&segment->allocator_stats.taken_ns, 1,
			memory_order_relaxed);
	_Atomic uint64_t *words = (void *)((char *)segment + offset);
	for (size_t i = 0; i < THREADS * sizeof(struct shim_block) / sizeof(*words);
			i++) {
		atomic_store_explicit(&words[i], 123456789 + i, memory_order_relaxed);
	}
	_Atomic uint64_t *figures = (void *)&segment->figures;
	for (size_t i = 0; i < sizeof(segment->figures) / sizeof(*figures); i++) {
		atomic_store_explicit(&figures[i], 1700000000123456789,
				memory_order_relaxed);
	}
	atomic_store_explicit(&segment->figures.known, UINT64_MAX, memory_order_relaxed);
	return segment;
}

static const struct prom_http_counts http = {
	.status = { 200, 400, 404, 405, 408, 413, 414, 421, 431, 500, 503, 505 },
	.answers = { 4711 },
};

int main(void) {
	static const struct prom_collector *const all[] = {
		&prom_collector_malloc,
		&prom_collector_threads,
		&prom_collector_process,
		&prom_collector_allocator,
		&prom_collector_self,
	};
	static struct prom_snapshot snapshot;
	static uint64_t read_ns[ROUNDS], gather_ns[ROUNDS], encode_ns[ROUNDS],
			page_ns[ROUNDS];
	static char page[PAGE_BYTES];
	struct prom_arena arena, scratch;
	struct prom_registry registry;
	struct prom_buf out;
	uint64_t size;
	struct shim_segment *segment = segment_make(&size);

	if (prom_arena_init(&arena, 1 << 20) < 0 ||
			prom_arena_init(&scratch, 1 << 20) < 0) {
		return 1;
	}
	prom_registry_init(&registry, &arena);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (prom_registry_register(&registry, all[i]) < 0) {
			fprintf(stderr, "%s: %s\n", all[i]->name, registry.refusal);
			return 1;
		}
	}
	snapshot.row_count = 1;
	snapshot.self.http = &http;
	snapshot.self.version = PROMSHIM_VERSION;
	snapshot.self.mode = "serve";
	snapshot.self.start_time_ns = 1700000000123456789;
	snapshot.self.scrape_ns = 12345;
	snapshot.self.cpu_ns = 123456789;
	prom_buf_init(&out, page, sizeof(page));
	for (size_t i = 0; i < ROUNDS; i++) {
		struct prom_family *families;
		uint64_t start = now_ns();
		prom_arena_reset(&scratch, 0);
		prom_buf_clear(&out);
		if (prom_snapshot_read(segment, size, &snapshot.rows[0]) < 0) {
			return 1;
		}
		prom_snapshot_figures(segment, &snapshot.rows[0].figures);
		uint64_t read = now_ns();
		size_t count = prom_registry_gather(&registry, &snapshot, &scratch,
				&families);
		uint64_t gathered = now_ns();
		prom_encode_text(families, count, &out);
		uint64_t encoded = now_ns();
		read_ns[i] = read - start;
		gather_ns[i] = gathered - read;
		encode_ns[i] = encoded - gathered;
		page_ns[i] = encoded - start;
	}
	if (out.failed) {
		return 1;
	}
	if (getenv("PRINT_PAGE") != NULL) {
		fwrite(page, 1, out.used_bytes, stderr);
	}
	print_median("encode_snapshot_read", read_ns);
	print_median("encode_gather", gather_ns);
	print_median("encode_text", encode_ns);
	print_median("encode_page", page_ns);
	printf("encode_page_size %zu bytes\n", out.used_bytes);
	printf("encode_scratch %zu bytes\n", scratch.used_bytes);
	free(segment);
	prom_arena_finish(&scratch);
	prom_arena_finish(&arena);
	return 0;
}
