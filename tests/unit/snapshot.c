/* SPDX-License-Identifier: MIT */
#include "exporter/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "tests/unit/segment.h"
#include "tests/unit/tap.h"

static struct prom_row row;

static int row_read(const struct shim_segment *segment) {
	memset(&row, 0xa5, sizeof(row));
	return prom_snapshot_read(segment, segment_bytes(), &row);
}

static int row_is_zeroed(void) {
	static const struct prom_row zero;
	return memcmp(&row, &zero, sizeof(row)) == 0;
}

/* Every counter of every block a number of its own, so that no two can be mixed up. */
static void count(struct shim_block *block, uint64_t unit) {
	uint64_t number = 0;
#define SHIM_COUNTER(field, metric, help) put(block->field, ++number *unit);
#include "preload/counters.def"
	for (size_t i = 0; i <= SHIM_LIFETIMES; i++) {
		put(block->lifetime[i], ++number * unit);
	}
	for (size_t i = 0; i < SHIM_SIZE_CLASSES; i++) {
		put(block->size_class[i], ++number * unit);
	}
}

static void test_sums(void) {
	struct shim_segment *segment = segment_make();
	count(&segment->overflow, 1);
	count(segment_block(segment, 0), 1000);
	count(segment_block(segment, 1), 1000000);
	count(segment_block(segment, 2), 1000000000); /* not handed out */
	put(segment->block_count, 2);
	is(row_read(segment), 0, "a good segment is read");
	uint64_t number = 0;
	uint64_t allocations = 0;
#define SHIM_COUNTER(field, metric, help) \
	is(row.totals.field, ++number * 1001001, #field);
#include "preload/counters.def"
	for (size_t i = 0; i <= SHIM_LIFETIMES; i++) {
		is(row.totals.lifetime[i], ++number * 1001001, "lifetime");
	}
	for (size_t i = 0; i < SHIM_SIZE_CLASSES; i++) {
		is(row.totals.size_class[i], ++number * 1001001, "size class");
		allocations += row.totals.size_class[i];
	}
	is(row.totals.allocations, allocations, "allocations are the sum of the classes");
	is(row.live_blocks, allocations - row.totals.frees, "live blocks");
	is(row.live_bytes, row.totals.allocated_bytes - row.totals.freed_bytes,
			"live bytes");
	is(row.threads, 0, "more thread ends than starts: no thread, not minus one");
	free(segment);
}

static void test_live(void) {
	struct shim_segment *segment = segment_make();
	struct shim_block *first = segment_block(segment, 0);
	struct shim_block *second = segment_block(segment, 1);
	put(segment->block_count, 2);
	segment->inherited_bytes = 1000;
	segment->inherited_blocks = 10;
	put(first->size_class[4], 5);
	put(first->size_class[SHIM_SIZE_CLASS_ZERO], 1);
	put(first->allocated_bytes, 96);
	put(second->frees, 9);
	put(second->freed_bytes, 496);
	put(first->thread_starts, 3);
	put(second->thread_ends, 1);
	put(first->stack_reserved_bytes, 3 << 20);
	put(second->stack_released_bytes, 1 << 20);
	is(row_read(segment), 0, "a forked child's segment");
	is(row.live_blocks, 10 + 6 - 9, "inherited blocks may be freed");
	is(row.live_bytes, 1000 + 96 - 496, "inherited bytes too");
	is(row.threads, 2, "threads: one ends what another started");
	is(row.stack_bytes, 2 << 20, "their stacks");

	put(second->frees, 17);
	put(second->freed_bytes, 1097);
	put(second->thread_ends, 4);
	put(second->stack_released_bytes, 4 << 20);
	row_read(segment);
	is(row.live_blocks, 0, "live blocks never below zero");
	is(row.live_bytes, 0, "live bytes never below zero");
	is(row.threads, 0, "threads never below zero");
	is(row.stack_bytes, 0, "stacks never below zero");

	put(second->freed_bytes, 0);
	put(segment->bytes_known, 0);
	row_read(segment);
	ok(!row.bytes_known, "bytes not known");
	is(row.live_bytes, 0, "then no live bytes");
	free(segment);
}

static void test_identity(void) {
	struct shim_segment *segment = segment_make();
	row_read(segment);
	is_text(row.program, "nginx", "program");
	is_text(row.allocator, "glibc", "allocator");
	is_text(row.libc, "glibc 2.36", "libc");
	is(row.hooks_known, 7, "hooks known");
	is(row.hooks_active, 5, "hooks active");
	memset(segment->program, 'x', sizeof(segment->program));
	segment->program[1] = '\xff';
	segment->allocator[0] = '\xc3';
	row_read(segment);
	is(strlen(row.program), SHIM_PROGRAM_BYTES - 1,
			"a program without its NUL is cut");
	is(row.program[1], '?', "and what is not UTF-8 replaced");
	is_text(row.allocator, "?libc", "in every text");

	memset(&row, 0xa5, sizeof(row));
	row.figures.known = 1;
	row.running = 2;
	row.process_starts = 3;
	prom_snapshot_read(segment, segment_bytes(), &row);
	is(row.figures.known + row.running + row.process_starts, 6,
			"the group's fields are kept");
	free(segment);
}

/* Calls prom_snapshot_read with one field of a good segment replaced. */
#define refuse_with(field, value)                                                  \
	do {                                                                       \
		struct shim_segment *refused = segment_make();                     \
		refused->field = (value);                                          \
		is(row_read(refused), -EINVAL, #field " = " #value " is refused"); \
		ok(row_is_zeroed(), "and the row zeroed");                         \
		free(refused);                                                     \
	} while (0)

static void test_untrusted(void) {
	refuse_with(magic, SHIM_MAGIC + 1);
	refuse_with(magic, 0);
	refuse_with(abi_major, SHIM_ABI_MAJOR + 1);
	refuse_with(abi_major, 0);
	refuse_with(segment_bytes, sizeof(struct shim_segment) - 1);
	refuse_with(segment_bytes, UINT32_MAX);
	refuse_with(block_bytes, 0);
	refuse_with(block_bytes, sizeof(struct shim_block) - SHIM_CACHE_LINE);
	refuse_with(block_bytes, sizeof(struct shim_block) + 8);
	refuse_with(blocks_offset, 0);
	refuse_with(blocks_offset, sizeof(struct shim_segment) - SHIM_CACHE_LINE);
	refuse_with(blocks_offset, sizeof(struct shim_segment) + 8);
	refuse_with(blocks_offset, UINT32_MAX - SHIM_CACHE_LINE + 1);
	refuse_with(reserved_bytes, sizeof(struct shim_segment) - 1);

	struct shim_segment *segment = segment_make();
	put(segment->block_count, TEST_BLOCKS_ROOM);
	is(row_read(segment), 0, "as many blocks as there is room for");
	put(segment->block_count, TEST_BLOCKS_ROOM + 1);
	is(row_read(segment), -EINVAL, "one block too many");
	ok(row_is_zeroed(), "zeroes the row");
	put(segment->block_count, UINT32_MAX);
	is(row_read(segment), -EINVAL, "as many as can be said");
	put(segment->block_count, 1);
	segment->reserved_bytes = sizeof(*segment) + sizeof(struct shim_block) - 1;
	is(row_read(segment), -EINVAL, "a block that is not whole in what is reserved");
	segment->reserved_bytes = UINT64_MAX;
	is(row_read(segment), 0, "more reserved than mapped is fine");
	is(prom_snapshot_read(segment, sizeof(*segment) + sizeof(struct shim_block) - 1,
			   &row),
			-EINVAL, "but not a block past the mapping");
	segment->blocks_offset = UINT32_MAX - SHIM_CACHE_LINE + 1;
	put(segment->block_count, 0);
	is(row_read(segment), -EINVAL, "nor blocks that would start past it");
	segment->blocks_offset = sizeof(*segment);
	is(prom_snapshot_read(segment, sizeof(*segment) - 1, &row), -EINVAL,
			"a short mapping");
	is(prom_snapshot_read(segment, 0, &row), -EINVAL, "no mapping");
	segment->abi_minor = SHIM_ABI_MINOR + 1;
	is(row_read(segment), 0, "a newer minor is read on");
	put(segment->state, SHIM_STATE_STARTING);
	is(row_read(segment), -EINVAL, "a process that is still starting is not");
	put(segment->state, SHIM_STATE_ENDED);
	is(row_read(segment), 0, "one that ended is");
	free(segment);
}

/* A newer writer's blocks may be longer: the stride is theirs. */
static void test_stride(void) {
	struct shim_segment *segment = segment_make();
	segment->block_bytes = sizeof(struct shim_block) + SHIM_CACHE_LINE;
	put(segment->block_count, 2);
	put(segment_block(segment, 1)->frees, 7);
	row_read(segment);
	is(row.totals.frees, 7, "the second block is found behind a longer first");
	free(segment);
}

static uint64_t monotonic_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void test_figures(void) {
	struct shim_segment *segment = segment_make();
	struct prom_figures figures;
	uint64_t number = 100;
#define SHIM_FIGURE(field, kind, metric, help) put(segment->figures.field, ++number);
#include "preload/figures.def"
	put(segment->figures.known, 0x5a);
	uint64_t taken_ns = monotonic_ns() - 5000000000U;
	put(segment->figures.taken_ns, taken_ns);
	uint64_t age = prom_snapshot_figures(segment, &figures);
	uint64_t most = monotonic_ns() - taken_ns;
	number = 100;
#define SHIM_FIGURE(field, kind, metric, help) is(figures.field, ++number, #field);
#include "preload/figures.def"
	is(figures.known, 0x5a, "which are known");
	ok(age >= 5000000000U && age <= most, "how old they are");

	row_read(segment);
	ok(!row.allocator_known, "no heap before it was read");
	put(segment->allocator_stats.heap_bytes, 1);
	put(segment->allocator_stats.free_bytes, 2);
	put(segment->allocator_stats.taken_ns, monotonic_ns() - 7000000000U);
	row_read(segment);
	ok(row.allocator_known, "then they are known");
	is(row.heap_bytes * 10 + row.free_bytes, 12, "both");
	ok(row.allocator_age_ns >= 7000000000U && row.allocator_age_ns < 60000000000U,
			"and how old they are");
	put(segment->allocator_stats.taken_ns, 1);
	row_read(segment);
	ok(!row.allocator_known, "what was read long ago is not shown");
	put(segment->allocator_stats.taken_ns, UINT64_MAX);
	row_read(segment);
	is(row.allocator_age_ns, 0, "a time in the future is no age");
	free(segment);
}

/* --- while threads count ------------------------------------------------------------ */

static struct shim_segment *shared;
static _Atomic int stop;

static void add(_Atomic uint64_t *cell, uint64_t amount, memory_order order) {
	uint64_t now = atomic_load_explicit(cell, memory_order_relaxed);
	atomic_store_explicit(cell, now + amount, order);
}

/* Allocates in one block and frees in the next: the reader meets them in either order. */
static void *churn(void *argument) {
	unsigned own = *(const unsigned *)argument;
	struct shim_block *block = segment_block(shared, own);
	struct shim_block *next = segment_block(shared, (own + 1) % TEST_BLOCKS_ROOM);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		add(&block->size_class[6], 1, memory_order_relaxed);
		add(&block->allocated_bytes, 64, memory_order_relaxed);
		/* release: as the hooks do it, pairs with the live fence */
		add(&next->freed_bytes, 64, memory_order_release);
		add(&next->frees, 1, memory_order_release);
	}
	return NULL;
}

static void test_concurrent(void) {
	enum { READS = 200000 };
	pthread_t threads[TEST_BLOCKS_ROOM];
	unsigned own[TEST_BLOCKS_ROOM];
	uint64_t fallen = 0, negative = 0, last = 0;
	shared = segment_make();
	put(shared->block_count, TEST_BLOCKS_ROOM);
	for (unsigned i = 0; i < TEST_BLOCKS_ROOM; i++) {
		own[i] = i;
		pthread_create(&threads[i], NULL, churn, &own[i]);
	}
	for (int i = 0; i < READS; i++) {
		prom_snapshot_read(shared, segment_bytes(), &row);
		negative += row.totals.allocations < row.totals.frees;
		negative += row.totals.allocated_bytes < row.totals.freed_bytes;
		fallen += row.totals.frees < last;
		last = row.totals.frees;
	}
	atomic_store_explicit(&stop, 1, memory_order_relaxed);
	for (unsigned i = 0; i < TEST_BLOCKS_ROOM; i++) {
		pthread_join(threads[i], NULL);
	}
	is(negative, 0, "never more freed than allocated, read while threads count");
	is(fallen, 0, "and totals never fall");
	prom_snapshot_read(shared, segment_bytes(), &row);
	is(row.live_blocks, 0, "in the end nothing is live");
	is(row.live_bytes, 0, "not a byte");
	free(shared);
}

int main(void) {
	test_sums();
	test_live();
	test_identity();
	test_untrusted();
	test_stride();
	test_figures();
	test_concurrent();
	return tap_done();
}
