/* SPDX-License-Identifier: MIT */
#include "exporter/registry.h"

#include <errno.h>

#include "tests/unit/tap.h"

static const char *const bounds[] = { "1.0", "2.0", NULL };

static struct prom_arena arena;
static struct prom_registry registry;

static void collect_nothing(const struct prom_snapshot *snapshot,
		struct prom_gather *gather) {
	(void)snapshot;
	(void)gather;
}

static void start_over(void) {
	prom_arena_reset(&arena, 0);
	prom_registry_init(&registry, &arena);
}

/* The registry keeps pointers, so collectors of a test live on. */
static int add(const struct prom_desc *descs, size_t count) {
	static struct prom_collector collectors[64];
	static size_t used;
	struct prom_collector *collector = &collectors[used++ % 64];
	collector->name = "test";
	collector->descs = descs;
	collector->desc_count = count;
	collector->collect = collect_nothing;
	return prom_registry_register(&registry, collector);
}

#define GAUGE(metric) \
	{ .name = (metric), .help = "Help.", .unit = "", .type = PROM_GAUGE }
#define COUNTER(metric) \
	{ .name = (metric), .help = "Help.", .unit = "", .type = PROM_COUNTER }
#define HISTOGRAM(metric, list)                                                        \
	{                                                                              \
		.name = (metric), .help = "Help.", .unit = "", .type = PROM_HISTOGRAM, \
		.bounds = (list)                                                       \
	}
#define LABELS(...)               \
	(const char *const[]) {   \
		__VA_ARGS__, NULL \
	}

// clang-format off
static const struct {
	const char *refusal;
	struct prom_desc desc;
} bad[] = {
	{ "bad metric name", GAUGE(NULL) },
	{ "bad metric name", GAUGE("") },
	{ "bad metric name", GAUGE("1st") },
	{ "bad metric name", GAUGE("with-dash") },
	{ "bad metric name", GAUGE("with space") },
	{ "bad metric name", GAUGE("rule:like") },
	{ "bad metric name", GAUGE("gr\xc3\xbc") },
	{ "_total without a counter or the other way round", COUNTER("requests") },
	{ "_total without a counter or the other way round", COUNTER("_total") },
	{ "_total without a counter or the other way round", GAUGE("requests_total") },
	{ "_total without a counter or the other way round",
		HISTOGRAM("requests_total", bounds) },
	{ "no help", { .name = "x", .help = NULL, .type = PROM_GAUGE } },
	{ "no help", { .name = "x", .help = "", .type = PROM_GAUGE } },
	{ "help is not UTF-8", { .name = "x", .help = "\xff", .type = PROM_GAUGE } },
	{ "unit is not the name's suffix", { .name = "x_bytes", .help = "h",
		.unit = "seconds", .type = PROM_GAUGE } },
	{ "unit is not the name's suffix", { .name = "kilobytes", .help = "h",
		.unit = "bytes", .type = PROM_GAUGE } },
	{ "unit is not the name's suffix", { .name = "bytes", .help = "h",
		.unit = "bytes", .type = PROM_GAUGE } },
	{ "unit is not the name's suffix", { .name = "x_total", .help = "h",
		.unit = "total", .type = PROM_COUNTER } },
	{ "bad label name", { .name = "x", .help = "h", .type = PROM_GAUGE,
		.labels = LABELS("") } },
	{ "bad label name", { .name = "x", .help = "h", .type = PROM_GAUGE,
		.labels = LABELS("a.b") } },
	{ "bad label name", { .name = "x", .help = "h", .type = PROM_GAUGE,
		.labels = LABELS("0a") } },
	{ "reserved label name", { .name = "x", .help = "h", .type = PROM_GAUGE,
		.labels = LABELS("__name__") } },
	{ "duplicate label name", { .name = "x", .help = "h", .type = PROM_GAUGE,
		.labels = LABELS("a", "a") } },
	{ "labels not in order", { .name = "x", .help = "h", .type = PROM_GAUGE,
		.labels = LABELS("b", "a") } },
	{ "too many labels", { .name = "x", .help = "h", .type = PROM_GAUGE,
		.labels = LABELS("a", "b", "c", "d", "e") } },
	{ "label le of a histogram", { .name = "x", .help = "h", .type = PROM_HISTOGRAM,
		.bounds = bounds, .labels = LABELS("le") } },
	{ "bounds without a histogram or the other way round", HISTOGRAM("x", NULL) },
	{ "bounds without a histogram or the other way round", { .name = "x", .help = "h",
		.type = PROM_GAUGE, .bounds = bounds } },
};

static const char *const bad_bounds[] = {
	"", "1", "1.", ".5", "01.0", "1.00", "0.50", "0.0", "+1.0", "-1.0", "1e6", "1e+6",
	"1.0e+06", "10e+06", "1e+05", "1e-04", "0.00001", "1000000.0", "1e+006", "+Inf", "NaN",
	"1.0 ", "0x1p3", "1,5", "0e+06", "1.5e+060",
};

static const char *const ascending[] = {
	"1e-05", "0.0001", "0.00025", "0.001", "0.01", "0.25", "0.5", "1.0", "1.5", "2.0", "10.0",
	"10.5", "12.0", "600.0", "262144.0", "999999.0", "1e+06", "1.048576e+06", "1.05e+06",
	"6.7108864e+07", "1e+10", NULL,
};

static const struct {
	struct prom_desc first, second;
	const char *refusal; /* NULL: no clash */
} pairs[] = {
	{ GAUGE("x"), GAUGE("x"), "duplicate family" },
	{ COUNTER("x_total"), COUNTER("x_total"), "duplicate family" },
	{ GAUGE("x"), HISTOGRAM("x", bounds), "duplicate family" },
	{ GAUGE("x"), COUNTER("x_total"), "clash of suffixes" },
	{ GAUGE("x_created"), COUNTER("x_total"), "clash of suffixes" },
	{ HISTOGRAM("x", bounds), COUNTER("x_total"), "clash of suffixes" },
	{ HISTOGRAM("x", bounds), GAUGE("x_bucket"), "clash of suffixes" },
	{ HISTOGRAM("x", bounds), GAUGE("x_count"), "clash of suffixes" },
	{ HISTOGRAM("x", bounds), GAUGE("x_sum"), "clash of suffixes" },
	{ HISTOGRAM("x", bounds), GAUGE("x_created"), "clash of suffixes" },
	{ HISTOGRAM("x", bounds), COUNTER("x_count_total"), "clash of suffixes" },
	{ GAUGE("x_info"), GAUGE("x"), "clash of suffixes" },
	{ GAUGE("x_info"), COUNTER("x_total"), "clash of suffixes" },
	{ GAUGE("x"), GAUGE("x_bytes"), NULL },
	{ GAUGE("x"), GAUGE("x_count"), NULL },
	{ COUNTER("x_total"), COUNTER("x_bytes_total"), NULL },
	{ COUNTER("x_total"), GAUGE("x_sum"), NULL },
	{ HISTOGRAM("x", bounds), GAUGE("x_max"), NULL },
	{ HISTOGRAM("x", bounds), HISTOGRAM("x_bytes", bounds), NULL },
};
// clang-format on

static void test_refusals(void) {
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start_over();
		is(add(&bad[i].desc, 1), -EINVAL, "a bad family is refused");
		is_text(registry.refusal, bad[i].refusal, bad[i].refusal);
		is(registry.family_count, 0, "and not there");
	}
	start_over();
	is(add(NULL, 0), -EINVAL, "a collector without families is refused");
	is_text(registry.refusal, "no families", "in words");
}

static void test_bounds(void) {
	for (size_t i = 0; i < sizeof(bad_bounds) / sizeof(bad_bounds[0]); i++) {
		const char *const list[] = { bad_bounds[i], NULL };
		struct prom_desc desc = HISTOGRAM("x", list);
		start_over();
		is(add(&desc, 1), -EINVAL, bad_bounds[i]);
		is_text(registry.refusal, "bad bound", "is a bad bound");
	}
	static const struct prom_desc good = HISTOGRAM("x", ascending);
	start_over();
	is(add(&good, 1), 0, "canonical bounds in order are taken");
	for (size_t i = 1; ascending[i] != NULL; i++) {
		const char *const swapped[] = { ascending[i], ascending[i - 1], NULL };
		const char *const twice[] = { ascending[i], ascending[i], NULL };
		struct prom_desc falling = HISTOGRAM("x", swapped);
		struct prom_desc level = HISTOGRAM("x", twice);
		start_over();
		add(&falling, 1);
		is_text(registry.refusal, "bounds not in order", ascending[i]);
		add(&level, 1);
		is_text(registry.refusal, "bounds not in order", "a bound twice");
	}
}

static void test_clashes(void) {
	for (size_t i = 0; i < 2 * sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct prom_desc *first =
				i % 2 ? &pairs[i / 2].second : &pairs[i / 2].first;
		const struct prom_desc *second =
				i % 2 ? &pairs[i / 2].first : &pairs[i / 2].second;
		const char *refusal = pairs[i / 2].refusal;
		start_over();
		is(add(first, 1), 0, first->name);
		int r = add(second, 1);
		is(r, refusal == NULL ? 0 : -EEXIST, second->name);
		is_text(registry.refusal == NULL ? "taken" : registry.refusal,
				refusal == NULL ? "taken" : refusal,
				"beside it, either way round");
	}
}

static void test_all_or_none(void) {
	static const struct prom_desc one[] = { GAUGE("b"), GAUGE("a") };
	static const struct prom_desc two[] = { GAUGE("c"), COUNTER("d_total"),
		GAUGE("a") };
	static const struct prom_desc twice[] = { GAUGE("e"), GAUGE("e") };
	static const struct prom_desc three[] = { GAUGE("c"), GAUGE("d"), GAUGE("e") };
	start_over();
	is(add(two, 3), 0, "the first collector comes in");
	start_over();
	is(add(twice, 2), -EEXIST, "a collector that clashes with itself is refused");
	ok(registry.entries == NULL, "and an empty registry is empty again");
	is(add(one, 2), 0, "two families");
	is(add(two, 3), -EEXIST, "the last family of three clashes");
	is(registry.family_count, 2, "so none of them is there");
	is(registry.collector_count, 1, "nor their collector");
	is(add(three, 3), 0, "their names are free");
	is(registry.family_count, 5, "five families");
}

static void test_room(void) {
	static char names[PROM_FAMILIES_MAX + 1][8];
	static struct prom_desc descs[PROM_FAMILIES_MAX + 1];
	for (size_t i = 0; i <= PROM_FAMILIES_MAX; i++) {
		struct prom_desc desc = GAUGE(names[i]);
		snprintf(names[i], sizeof(names[i]), "x%zu", i);
		descs[i] = desc;
	}
	start_over();
	is(add(descs, PROM_FAMILIES_MAX + 1), -ENOSPC, "too many families");
	is(add(descs, PROM_FAMILIES_MAX), 0, "as many as there is room for");
	is(add(descs + PROM_FAMILIES_MAX, 1), -ENOSPC, "and one more");

	size_t refused = 0;
	size_t wrong = 0;
	for (size_t size = 0; size < 40000; size += 16) {
		struct prom_arena small = { .base = arena.base, .size_bytes = size };
		prom_registry_init(&registry, &small);
		int r = add(descs, PROM_FAMILIES_MAX);
		refused += r == -ENOMEM;
		wrong += r != 0 && (r != -ENOMEM || registry.family_count != 0);

		prom_arena_reset(&small, 0);
		prom_registry_init(&registry, &small);
		r = add(descs, 1);
		wrong += r == 0 &&
				registry.entries == NULL; /* no room for uthash's table */
	}
	ok(refused > 100, "a small arena is refused");
	is(wrong, 0, "and leaves nothing behind, however small");

	start_over();
	int r = 0;
	size_t taken = 0;
	for (size_t i = 0; r == 0; i++) {
		r = add(descs + i, 1);
		taken += r == 0;
	}
	is(taken, 16, "16 collectors");
	is(r, -ENOSPC, "the seventeenth is too many");
}

int main(void) {
	if (prom_arena_init(&arena, 1 << 20) < 0) {
		return 1;
	}
	test_refusals();
	test_bounds();
	test_clashes();
	test_all_or_none();
	test_room();
	prom_arena_finish(&arena);
	return tap_done();
}
