/* SPDX-License-Identifier: MIT */
#include "exporter/registry.h"
#include "exporter/server.h"

/*
 * What is true of every page whatever else is switched off: who is counted, which hooks
 * count, and how the exporter itself does.
 */

static const char *const program[] = { "program", NULL };
static const char *const state_program[] = { "program", "state", NULL };
static const char *const hook_program[] = { "hook", "program", NULL };
static const char *const program_facts[] = { "allocator", "libc", "program", NULL };
static const char *const build_facts[] = { "mode", "version", NULL };
static const char *const state[] = { "state", NULL };
static const char *const code[] = { "code", NULL };
static const char *const cause[] = { "cause", NULL };

// clang-format off
/* FAMILY(id, type, unit, labels, name, help) */
#define FAMILY_LIST \
	FAMILY(UNCOUNTED, PROM_COUNTER, "", program, "promshim_uncounted_events_total", \
		"Events seen that could not be counted.") \
	FAMILY(PROCESSES, PROM_GAUGE, "", state_program, "promshim_processes", \
		"Living processes behind this page.") \
	FAMILY(ROOTS, PROM_GAUGE, "", program, "promshim_roots", \
		"Living processes that no other process behind this page started.") \
	FAMILY(STARTS, PROM_COUNTER, "", program, "promshim_process_starts_total", \
		"Processes that joined.") \
	FAMILY(ENDS, PROM_COUNTER, "", program, "promshim_process_ends_total", \
		"Processes that left, by any death.") \
	FAMILY(HOOKS, PROM_GAUGE, "", hook_program, "promshim_hooks_active", \
		"1 if the calls of every living process reach the hook.") \
	FAMILY(PROGRAM_INFO, PROM_GAUGE, "", program_facts, "promshim_program_info", \
		"Allocator and C library of the program, always 1.") \
	FAMILY(BUILD_INFO, PROM_GAUGE, "", build_facts, "promshim_build_info", \
		"Version and mode of promshim, always 1.") \
	FAMILY(START_TIME, PROM_GAUGE, "seconds", NULL, "promshim_start_time_seconds", \
		"When the totals on this page began, since unix epoch in seconds.") \
	FAMILY(LEADER_CHANGES, PROM_COUNTER, "", NULL, "promshim_leader_changes_total", \
		"How often another process took over serving this page.") \
	FAMILY(SEGMENT, PROM_GAUGE, "bytes", state, "promshim_segment_bytes", \
		"Memory that holds the counters.") \
	FAMILY(HTTP_REQUESTS, PROM_COUNTER, "", code, "promshim_exporter_http_requests_total", \
		"HTTP requests answered.") \
	FAMILY(IN_FLIGHT, PROM_GAUGE, "", NULL, "promshim_exporter_requests_in_flight", \
		"Replies being written, this one included.") \
	FAMILY(SCRAPE_DURATION, PROM_GAUGE, "seconds", NULL, \
		"promshim_exporter_scrape_duration_seconds", \
		"How long the page before this one took to make, 0 for the first.") \
	FAMILY(MEMORY, PROM_GAUGE, "bytes", NULL, "promshim_exporter_memory_bytes", \
		"Memory that the exporter mapped and touched.") \
	FAMILY(INVALID_SETTINGS, PROM_GAUGE, "", NULL, "promshim_exporter_invalid_settings", \
		"Settings that were refused or are unknown.") \
	FAMILY(GATHER_ERRORS, PROM_COUNTER, "", cause, \
		"promshim_exporter_gather_errors_total", \
		"Families and samples left out of a page.") \
	FAMILY(CPU, PROM_COUNTER, "seconds", NULL, "promshim_exporter_cpu_seconds_total", \
		"CPU time of the threads of promshim.") \
	FAMILY(MESSAGES, PROM_COUNTER, "", NULL, "promshim_exporter_messages_total", \
		"Messages for the operator, warnings and errors.")

enum {
#define FAMILY(id, kind, suffix, names, metric, text) id,
	FAMILY_LIST
#undef FAMILY
	FAMILIES
};

static const struct prom_desc descs[FAMILIES] = {
#define FAMILY(id, kind, suffix, names, metric, text) \
	[id] = { .name = (metric), .help = (text), .unit = (suffix), .type = (kind), \
		.labels = (names) },
	FAMILY_LIST
#undef FAMILY
};
// clang-format on

static const char *const hook_names[SHIM_HOOK_COUNT] = {
	[SHIM_HOOK_MALLOC] = "malloc",
	[SHIM_HOOK_OPERATOR_NEW] = "operator_new",
	[SHIM_HOOK_PTHREAD_CREATE] = "pthread_create",
};

static void emit_hooks(struct prom_gather *gather, const struct prom_row *row) {
	for (unsigned hook = 0; hook < SHIM_HOOK_COUNT; hook++) {
		const char *const values[] = { hook_names[hook], row->program };
		if ((row->hooks_known >> hook & 1) != 0) {
			prom_emit_integer(gather, &descs[HOOKS], values,
					row->hooks_active >> hook & 1);
		}
	}
}

static void emit_row(struct prom_gather *gather, const struct prom_row *row) {
	const char *const values[] = { row->program };
	const char *const running[] = { row->program, "running" };
	const char *const stopped[] = { row->program, "stopped" };
	const char *const facts[] = { row->allocator, row->libc, row->program };
	prom_emit_integer(gather, &descs[UNCOUNTED], values,
			row->totals.uncounted_events);
	prom_emit_integer(gather, &descs[PROCESSES], running, row->running);
	prom_emit_integer(gather, &descs[PROCESSES], stopped, row->stopped);
	prom_emit_integer(gather, &descs[ROOTS], values, row->roots);
	prom_emit_integer(gather, &descs[STARTS], values, row->process_starts);
	prom_emit_integer(gather, &descs[ENDS], values, row->process_ends);
	prom_emit_integer(gather, &descs[PROGRAM_INFO], facts, 1);
	emit_hooks(gather, row);
}

static void emit_http(struct prom_gather *gather, const struct prom_http_counts *http) {
	size_t room = sizeof(http->status) / sizeof(http->status[0]);
	for (size_t i = 0; i < room && http->status[i] != 0; i++) {
		char *text = prom_gather_put(gather, 4);
		if (text == NULL) {
			return;
		}
		int status = http->status[i];
		text[0] = (char)('0' + status / 100 % 10);
		text[1] = (char)('0' + status / 10 % 10);
		text[2] = (char)('0' + status % 10);
		text[3] = '\0';
		const char *const values[] = { text };
		prom_emit_integer(gather, &descs[HTTP_REQUESTS], values,
				http->answers[i]);
	}
}

static void emit_causes(struct prom_gather *gather) {
	const uint64_t *errors = prom_gather_errors(gather);
	for (size_t i = 0; i < PROM_CAUSE_COUNT; i++) {
		const char *const values[] = { prom_cause_names[i] };
		prom_emit_integer(gather, &descs[GATHER_ERRORS], values, errors[i]);
	}
}

static void emit_self(struct prom_gather *gather, const struct prom_self *self) {
	const char *const build[] = { self->mode, self->version };
	const char *const private_bytes[] = { "private" };
	const char *const shared_bytes[] = { "shared" };
	prom_emit_integer(gather, &descs[BUILD_INFO], build, 1);
	prom_emit_real(gather, &descs[START_TIME], NULL,
			(double)self->start_time_ns / 1e9);
	prom_emit_integer(gather, &descs[LEADER_CHANGES], NULL, self->leader_changes);
	prom_emit_integer(gather, &descs[SEGMENT], private_bytes,
			self->segment_private_bytes);
	prom_emit_integer(gather, &descs[SEGMENT], shared_bytes,
			self->segment_shared_bytes);
	prom_emit_integer(gather, &descs[IN_FLIGHT], NULL, self->in_flight);
	prom_emit_real(gather, &descs[SCRAPE_DURATION], NULL,
			(double)self->scrape_ns / 1e9);
	prom_emit_integer(gather, &descs[MEMORY], NULL, self->memory_bytes);
	prom_emit_integer(gather, &descs[INVALID_SETTINGS], NULL, self->invalid_settings);
	prom_emit_real(gather, &descs[CPU], NULL, (double)self->cpu_ns / 1e9);
	prom_emit_integer(gather, &descs[MESSAGES], NULL, self->messages);
}

static void collect(const struct prom_snapshot *snapshot, struct prom_gather *gather) {
	for (size_t i = 0; i < snapshot->row_count; i++) {
		emit_row(gather, &snapshot->rows[i]);
	}
	if (snapshot->self.http != NULL) {
		emit_http(gather, snapshot->self.http);
	}
	emit_self(gather, &snapshot->self);
	emit_causes(gather);
}

const struct prom_collector prom_collector_self = {
	.name = "self",
	.descs = descs,
	.desc_count = FAMILIES,
	.collect = collect,
};
