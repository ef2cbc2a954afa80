/* SPDX-License-Identifier: MIT */
#include "exporter/encode.h"
#include "exporter/registry.h"
#include "exporter/server.h"
#include "tests/unit/golden.h"

static const struct prom_collector *const all[] = {
	&prom_collector_malloc,
	&prom_collector_threads,
	&prom_collector_process,
	&prom_collector_allocator,
	&prom_collector_self,
};
enum { ALL = sizeof(all) / sizeof(all[0]) };

static const struct prom_http_counts http = {
	.status = { 200, 404, 503 },
	.answers = { 12, 0, 1 },
};
static struct prom_snapshot snapshot;
static char page[65536];
static size_t page_size;

/* Numbers that tell every cell apart. */
static void totals_fill(struct prom_totals *totals) {
	uint64_t number = 1000;
#define SHIM_COUNTER(field, metric, help) totals->field = ++number;
#include "preload/counters.def"
	for (size_t i = 0; i <= SHIM_LIFETIMES; i++) {
		totals->lifetime[i] = (uint64_t)1 << i;
	}
	for (size_t i = 0; i < 48; i++) {
		totals->size_class[i] = (uint64_t)1 << i;
	}
	totals->size_class[SHIM_SIZE_CLASS_ZERO] = (uint64_t)1 << 48;
	totals->allocations = ((uint64_t)1 << 49) - 1;
	totals->thread_lifetime_ns = 1500000000;
}

static void snapshot_fill(void) {
	uint64_t number = 2000;
	struct prom_row *row = &snapshot.rows[0];
	memset(&snapshot, 0, sizeof(snapshot));
	snapshot.row_count = 1;
	strcpy(row->program, "a \"b\"");
	strcpy(row->allocator, "glibc");
	strcpy(row->libc, "glibc 2.36");
	totals_fill(&row->totals);
	row->live_bytes = 3001;
	row->live_blocks = 3002;
	row->unfreed_bytes = 3003;
	row->threads = 3004;
	row->stack_bytes = 3005;
	row->hooks_active = 5;
	row->hooks_known = 7;
	row->bytes_known = true;
#define SHIM_FIGURE(field, kind, metric, help) row->figures.field = ++number;
#include "preload/figures.def"
	row->figures.known = UINT64_MAX;
	row->figures.cpu_ns = 12345678901;
	row->figures.start_time_ns = 1700000000120000000;
	row->figures.virtual_max_bytes = UINT64_MAX;
	row->allocator_known = true;
	row->allocator_age_ns = 2500000000;
	row->heap_bytes = 4005;
	row->in_use_bytes = 4002;
	row->free_bytes = 3;
	row->running = 1;
	row->roots = 1;
	row->process_starts = 5001;
	row->process_ends = 5002;
	snapshot.self = (struct prom_self){
		.scrape_ns = 15000,
		.cpu_ns = 250000000,
		.memory_bytes = 6001,
		.messages = 6002,
		.invalid_settings = 6003,
		.in_flight = 6004,
		.leader_changes = 6005,
		.segment_private_bytes = 6006,
		.segment_shared_bytes = 6007,
		.start_time_ns = 1700000001500000000,
		.http = &http,
		.version = "0.1.0",
		.mode = "serve",
	};
}

static void page_make(void) {
	struct prom_arena arena, scratch;
	struct prom_registry registry;
	struct prom_family *families;
	struct prom_buf out;
	prom_arena_init(&arena, 1 << 20);
	prom_arena_init(&scratch, 1 << 20);
	prom_registry_init(&registry, &arena);
	for (size_t i = 0; i < ALL; i++) {
		if (prom_registry_register(&registry, all[i]) < 0) {
			tap_ok(0, registry.refusal, all[i]->name, 0);
		}
	}
	size_t count = prom_registry_gather(&registry, &snapshot, &scratch, &families);
	prom_buf_init(&out, page, sizeof(page) - 1);
	prom_encode_text(families, count, &out);
	page_size = out.used_bytes;
	page[page_size] = '\0';
	for (size_t i = 0; i < PROM_CAUSE_COUNT; i++) {
		is(registry.errors[i], 0, prom_cause_names[i]);
	}
	prom_arena_finish(&scratch);
	prom_arena_finish(&arena);
}

static int has(const char *text) {
	return strstr(page, text) != NULL;
}

/* A registered collector may not be the only one: each works alone. */
static void test_each_alone(void) {
	for (size_t i = 0; i < ALL; i++) {
		struct prom_arena arena;
		struct prom_registry registry;
		prom_arena_init(&arena, 1 << 20);
		prom_registry_init(&registry, &arena);
		is(prom_registry_register(&registry, all[i]), 0, all[i]->name);
		prom_arena_finish(&arena);
	}
}

/* A process that just started: every family is there, with 0. */
static void test_fresh(void) {
	struct prom_row fresh = { .program = "x", .allocator = "glibc", .libc = "glibc" };
	fresh.bytes_known = true;
	fresh.allocator_known = true;
	fresh.hooks_known = 7;
	fresh.figures.known = UINT64_MAX;
	snapshot_fill();
	page_make();
	size_t families = 0;
	for (const char *at = page; (at = strstr(at, "# TYPE ")) != NULL; at++) {
		families++;
	}
	snapshot.rows[0] = fresh;
	page_make();
	size_t fresh_families = 0;
	for (const char *at = page; (at = strstr(at, "# TYPE ")) != NULL; at++) {
		fresh_families++;
	}
	is(fresh_families, families, "as many families as when all has happened");
	ok(has("\npromshim_malloc_frees_total{program=\"x\"} 0\n"), "a counter of 0");
	ok(has("\npromshim_malloc_request_size_bytes_bucket{program=\"x\",le=\"+Inf\"} 0\n"),
			"a histogram of 0");
}

static void test_unknown(void) {
	snapshot_fill();
	snapshot.rows[0].bytes_known = false;
	page_make();
	ok(!has("allocated_bytes") && !has("freed_bytes") && !has("live_bytes") &&
					!has("unfreed_at_exit"),
			"bytes not known: their families are left out");
	ok(has("promshim_malloc_frees_total{") && has("promshim_malloc_live_blocks{") &&
					has("promshim_malloc_request_size_bytes_sum{"),
			"what does not need them stays");

	snapshot_fill();
	snapshot.rows[0].hooks_known = 1 << SHIM_HOOK_PTHREAD_CREATE;
	page_make();
	ok(has("promshim_hooks_active{hook=\"pthread_create\""),
			"a settled hook is shown");
	ok(!has("hook=\"malloc\"") && !has("hook=\"operator_new\""), "the others not");

	snapshot_fill();
	snapshot.rows[0].allocator_known = false;
	page_make();
	ok(!has("promshim_allocator_heap_bytes") &&
					!has("promshim_allocator_free_bytes") &&
					!has("promshim_collector_age_seconds"),
			"a heap that cannot be seen is left out,");
	ok(has("promshim_allocator_in_use_bytes{"), "... what is in use is not");

	snapshot_fill();
	snapshot.rows[0].figures.known = 0;
	page_make();
	ok(!has("\nprocess_") && !has("promshim_process_page_faults") &&
					!has("promshim_process_context_switches") &&
					!has("promshim_memory_limit_bytes"),
			"no figure is known: none is shown");
	ok(has("promshim_process_starts_total"), "what is counted is");
	for (unsigned i = 0; i < SHIM_FIGURE_COUNT; i++) {
		size_t before = page_size;
		snapshot.rows[0].figures.known |= (uint64_t)1 << i;
		page_make();
		ok(page_size > before, "each known figure adds to the page");
	}

	snapshot_fill();
	snapshot.row_count = 0;
	snapshot.self.http = NULL;
	page_make();
	ok(!has("program=") && has("promshim_build_info{"),
			"without a row: the exporter itself");
	ok(!has("http_requests"), "without a server: no requests");
}

int main(void) {
	snapshot_fill();
	page_make();
	golden_is(page, page_size, "page.prom", "the page is the golden one");
	test_each_alone();
	test_fresh();
	test_unknown();
	if (getenv("PRINT_PAGE") != NULL) {
		snapshot_fill();
		page_make();
		fwrite(page, 1, page_size, stderr);
	}
	return tap_done();
}
