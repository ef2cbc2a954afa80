/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "exporter/encode.h"
#include "exporter/registry.h"
#include "tests/unit/tap.h"

static const char *const program[] = { "program", NULL };
static const char *const bounds[] = { "1.0", "2.0", NULL };

static struct prom_arena arena;
static struct prom_registry registry;
static struct prom_arena scratch;
static struct prom_snapshot snapshot;
static char page[65536];

enum { BEFORE, GAUGE_A, COUNTER_B, HISTOGRAM_C, EMPTY_D, AFTER, DESCS };
static const struct prom_desc gathered[DESCS] = {
	[BEFORE] = { .name = "before",
			.help = "B.",
			.type = PROM_GAUGE }, /* not the collector's, nor is AFTER */
	[GAUGE_A] = { .name = "z", .help = "Z.", .type = PROM_GAUGE, .labels = program },
	[COUNTER_B] = { .name = "b_total", .help = "B.", .type = PROM_COUNTER },
	[HISTOGRAM_C] = { .name = "c",
			.help = "C.",
			.type = PROM_HISTOGRAM,
			.bounds = bounds },
	[EMPTY_D] = { .name = "d", .help = "D.", .type = PROM_GAUGE },
	[AFTER] = { .name = "after", .help = "A.", .type = PROM_GAUGE },
};
static const struct prom_desc stranger = { .name = "stranger",
	.help = "S.",
	.type = PROM_GAUGE };

static void collect_nothing(const struct prom_snapshot *unused,
		struct prom_gather *gather) {
	(void)unused;
	(void)gather;
}

static const char *gather_page(void (*collect)(const struct prom_snapshot *snapshot,
		struct prom_gather *gather)) {
	static struct prom_collector collector = {
		.name = "test",
		.descs = &gathered[GAUGE_A],
		.desc_count = AFTER - GAUGE_A,
	};
	struct prom_family *families;
	struct prom_buf out;
	collector.collect = collect;
	prom_arena_reset(&arena, 0);
	prom_registry_init(&registry, &arena);
	prom_registry_register(&registry, &collector);
	prom_arena_reset(&scratch, 0);
	size_t count = prom_registry_gather(&registry, &snapshot, &scratch, &families);
	prom_buf_init(&out, page, sizeof(page) - 1);
	prom_encode_text(families, count, &out);
	page[out.used_bytes] = '\0';
	return page;
}

static void emit(struct prom_gather *gather, const char *value, uint64_t number) {
	const char *const values[] = { value };
	prom_emit_integer(gather, &gathered[GAUGE_A], values, number);
}

static void collect_in_disorder(const struct prom_snapshot *unused,
		struct prom_gather *gather) {
	uint64_t cumulative[] = { 1, 3 };
	(void)unused;
	emit(gather, "c", 3);
	emit(gather, "a", 1);
	emit(gather, "b", 2);
	prom_emit_histogram(gather, &gathered[HISTOGRAM_C], NULL, cumulative, 4, 7.5);
	cumulative[0] = 99; /* the registry has its own copy */
	prom_emit_real(gather, &gathered[COUNTER_B], NULL, 0.5);
}

static void collect_badly(const struct prom_snapshot *unused,
		struct prom_gather *gather) {
	static const uint64_t cumulative[] = { 1, 3 };
	(void)unused;
	emit(gather, "same", 1);
	emit(gather, "other", 2);
	emit(gather, "same", 3);
	emit(gather, "same", 4);
	emit(gather, "\xff", 5);
	emit(gather, NULL, 6);
	prom_emit_integer(gather, &gathered[GAUGE_A], NULL, 7);
	prom_emit_integer(gather, &gathered[HISTOGRAM_C], NULL, 8);
	prom_emit_histogram(gather, &gathered[EMPTY_D], NULL, cumulative, 4, 7.5);
	prom_emit_integer(gather, &stranger, NULL, 9);
	prom_emit_integer(gather, &gathered[BEFORE], NULL, 10);
	prom_emit_integer(gather, &gathered[AFTER], NULL, 11);
	prom_emit_real(gather, &gathered[COUNTER_B], NULL, NAN);
	prom_emit_real(gather, &gathered[COUNTER_B], NULL, -1);
	is(prom_gather_errors(gather)[PROM_CAUSE_LABEL], 3,
			"a collector sees the errors so far");
}

static void test_gather(void) {
	is_text(gather_page(collect_in_disorder),
			"# HELP b_total B.\n# TYPE b_total counter\nb_total 0.5\n"
			"# HELP c C.\n# TYPE c histogram\n"
			"c_bucket{le=\"1.0\"} 1\nc_bucket{le=\"2.0\"} 3\nc_bucket{le=\"+Inf\"} 4\n"
			"c_sum 7.5\nc_count 4\n"
			"# HELP z Z.\n# TYPE z gauge\n"
			"z{program=\"a\"} 1\nz{program=\"b\"} 2\nz{program=\"c\"} 3\n",
			"families by name, samples by label values, none without a sample");
	is_text(gather_page(collect_badly),
			"# HELP z Z.\n# TYPE z gauge\nz{program=\"other\"} 2\nz{program=\"same\"} 1\n",
			"what fails is left out, the first of equals stays");
	is(registry.errors[PROM_CAUSE_DUPLICATE], 2, "two duplicates counted");
	is(registry.errors[PROM_CAUSE_LABEL], 3, "three bad label values");
	is(registry.errors[PROM_CAUSE_TYPE], 7, "seven of another type or not promised");
	is(registry.errors[PROM_CAUSE_MEMORY], 0, "memory was enough");
	is_text(prom_cause_names[PROM_CAUSE_DUPLICATE], "duplicate", "causes have names");
	is_text(prom_cause_names[PROM_CAUSE_MEMORY], "memory", "up to the last");
	is_text(gather_page(collect_nothing), "", "nothing collected, no family");
}

enum { MANY = 1000 };

static void collect_many(const struct prom_snapshot *unused, struct prom_gather *gather) {
	(void)unused;
	for (unsigned i = 0; i < MANY; i++) {
		char *text = prom_gather_put(gather, 8);
		if (text != NULL) {
			snprintf(text, 8, "%03u", i * 7919U % MANY);
			emit(gather, text, i * 7919U % MANY);
		}
	}
}

static void test_many(void) {
	gather_page(collect_many);
	const char *line = strstr(page, "z{");
	unsigned wrong = 0;
	for (unsigned i = 0; i < MANY; i++) {
		char want[32];
		snprintf(want, sizeof(want), "z{program=\"%03u\"} %u\n", i, i);
		wrong += strncmp(line, want, strlen(want)) != 0;
		line = strchr(line, '\n') + 1;
	}
	is(wrong, 0, "a thousand samples in disorder come in order");
}

static void test_scratch(void) {
	struct prom_arena whole = scratch;
	size_t odd = 0;
	size_t failed = 0;
	for (size_t size = 0; size < 4096; size += 8) {
		scratch.size_bytes = size;
		gather_page(collect_in_disorder);
		failed += registry.errors[PROM_CAUSE_MEMORY] > 0;
		odd += page[0] != '\0' && strncmp(page, "# HELP ", 7) != 0;
		odd += registry.errors[PROM_CAUSE_MEMORY] == 0 &&
				strstr(page, "z{") == NULL;
	}
	scratch = whole;
	ok(failed > 10, "a full scratch arena is counted");
	is(odd, 0, "and what fits is served");
}

int main(void) {
	if (prom_arena_init(&arena, 1 << 20) < 0 ||
			prom_arena_init(&scratch, 1 << 20) < 0) {
		return 1;
	}
	test_gather();
	test_many();
	test_scratch();
	prom_arena_finish(&scratch);
	prom_arena_finish(&arena);
	return tap_done();
}
