/* SPDX-License-Identifier: MIT */
#include "exporter/arena.h"

#include <errno.h>
#include <stdint.h>

#include "tests/unit/tap.h"

static void test_put(void) {
	struct prom_arena arena;
	is(prom_arena_init(&arena, 4096), 0, "init maps");
	unsigned char *first = prom_arena_put(&arena, 1);
	unsigned char *second = prom_arena_put(&arena, 17);
	unsigned char *third = prom_arena_put(&arena, 16);
	ok(first != NULL && second != NULL && third != NULL, "pieces are handed out");
	is((uintptr_t)first % 16, 0, "the first is aligned");
	is(second - first, 16, "a byte takes 16");
	is(third - second, 32, "17 bytes take 32");
	is(first[0] + second[16] + third[15], 0, "fresh memory is zeroed");
	memset(third, 0xff, 16);

	size_t mark = arena.used_bytes;
	unsigned char *fourth = prom_arena_put(&arena, 100);
	prom_arena_reset(&arena, mark);
	ok(prom_arena_put(&arena, 100) == fourth,
			"reset gives back what came after the mark");
	is(third[15], 0xff, "and nothing before it");
	mark = arena.used_bytes;
	prom_arena_reset(&arena, mark + 64);
	is(arena.used_bytes, mark, "a mark ahead changes nothing");
	prom_arena_finish(&arena);
}

static void test_full(void) {
	struct prom_arena arena;
	is(prom_arena_init(&arena, 100), 0, "a size that is no whole page is fine");
	ok(prom_arena_put(&arena, 101) == NULL, "more than all is refused");
	is(arena.used_bytes, 0, "and takes nothing");
	ok(prom_arena_put(&arena, SIZE_MAX) == NULL, "SIZE_MAX does not wrap round");
	ok(prom_arena_put(&arena, SIZE_MAX - 14) == NULL, "nor does rounding up");
	ok(prom_arena_put(&arena, 96) != NULL, "most of it");
	ok(prom_arena_put(&arena, 4) != NULL, "the rest, though less than the alignment");
	ok(prom_arena_put(&arena, 1) == NULL, "full is full");
	ok(prom_arena_put(&arena, 0) != NULL, "nothing is always there");
	prom_arena_finish(&arena);
	ok(prom_arena_put(&arena, 1) == NULL, "a finished arena yields NULL");
	prom_arena_finish(&arena);
}

static void test_failed_init(void) {
	struct prom_arena arena;
	is(prom_arena_init(&arena, SIZE_MAX / 2), -ENOMEM, "init says why it fails");
	ok(prom_arena_put(&arena, 1) == NULL, "then put yields NULL");
	prom_arena_reset(&arena, 0);
	prom_arena_finish(&arena);
	ok(arena.base == NULL, "and finish accepts it");
	is(prom_arena_init(&arena, 0), -EINVAL, "no memory at all is refused by mmap");
}

int main(void) {
	test_put();
	test_full();
	test_failed_init();
	return tap_done();
}
