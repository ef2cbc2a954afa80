/* SPDX-License-Identifier: MIT */
#include "exporter/scrape.h"

#include <string.h>
#include <time.h>

#include "exporter/clock.h"
#include "exporter/encode.h"

static const uint64_t fresh_ns = 10000000; /* so long what /proc said is shown again */
static const uint64_t stale_ns = 60000000000; /* older published figures are not shown */

void prom_scrape_own_tids(const struct shim_segment *segment,
		uint32_t out[SHIM_TID_MAX]) {
	for (unsigned i = 0; i < SHIM_TID_MAX; i++) {
		/* relaxed: a lone number, publishes nothing */
		out[i] = atomic_load_explicit(&segment->own_tids[i],
				memory_order_relaxed);
	}
}

/* Tells what the last mention of `name` in the list says; `otherwise` if there is none. */
static bool is_selected(const char *selection, const char *name) {
	bool selected = selection[0] == '-' || selection[0] == '\0';
	size_t name_size = strlen(name);
	for (const char *item = selection; *item != '\0';) {
		size_t size = strcspn(item, ",");
		bool is_removal = item[0] == '-';
		const char *word = item + is_removal;
		size_t word_size = size - is_removal;
		if ((word_size == 3 && memcmp(word, "all", 3) == 0) ||
				(word_size == name_size &&
						memcmp(word, name, name_size) == 0)) {
			selected = !is_removal;
		}
		item += size + (item[size] == ',');
	}
	return selected;
}

int prom_scrape_select(struct prom_scrape *scrape, const char *selection) {
	static const struct prom_collector *const collectors[] = { &prom_collector_malloc,
		&prom_collector_threads, &prom_collector_process,
		&prom_collector_allocator };
	int r = prom_registry_register(&scrape->registry, &prom_collector_self);
	for (size_t i = 0; r == 0 && i < sizeof(collectors) / sizeof(collectors[0]);
			i++) {
		if (is_selected(selection, collectors[i]->name)) {
			r = prom_registry_register(&scrape->registry, collectors[i]);
			scrape->has_allocator |=
					collectors[i] == &prom_collector_allocator;
		}
	}
	return r;
}

/* CPU time of our threads; never falls, though a thread may end between two reads. */
static void cpu_read(struct prom_scrape *scrape, const uint32_t own_tids[SHIM_TID_MAX]) {
	/* relaxed: a lone number */
	uint64_t cpu_ns = atomic_load_explicit(&scrape->segment->exporter_cpu_ns,
			memory_order_relaxed);
	for (unsigned i = 0; i < SHIM_TID_MAX; i++) {
		if (own_tids[i] != 0) {
			cpu_ns += prom_procfs_thread_cpu_ns((int)own_tids[i]);
		}
	}
	if (cpu_ns > scrape->cpu_ns) {
		scrape->cpu_ns = cpu_ns;
	}
}

/* Takes from the published figures what was not read; the memory limit always. */
static void figures_merge(const struct shim_segment *segment,
		struct prom_figures *figures) {
	struct prom_figures published;
	uint64_t usable = UINT64_C(1) << SHIM_FIGURE_memory_limit_bytes;
	if (prom_snapshot_figures(segment, &published) <= stale_ns) {
		usable = UINT64_MAX;
	}
	usable &= published.known & ~figures->known;
#define SHIM_FIGURE(field, kind, metric, help)          \
	if ((usable >> SHIM_FIGURE_##field & 1) != 0) { \
		figures->field = published.field;       \
	}
#include "preload/figures.def"
	figures->known |= usable;
}

static void process_read(struct prom_scrape *scrape) {
	uint64_t now = prom_clock_ns(CLOCK_MONOTONIC);
	uint32_t own_tids[SHIM_TID_MAX];
	if (scrape->read_ns != 0 && now - scrape->read_ns < fresh_ns) {
		return;
	}
	scrape->read_ns = now;
	memset(&scrape->figures, 0, sizeof(scrape->figures));
	prom_scrape_own_tids(scrape->segment, own_tids);
	if (scrape->procfs != NULL) {
		prom_procfs_read(scrape->procfs, own_tids, SHIM_TID_MAX,
				&scrape->figures);
	}
	figures_merge(scrape->segment, &scrape->figures);
	cpu_read(scrape, own_tids);
}

static void self_fill(struct prom_scrape *scrape) {
	const struct shim_segment *segment = scrape->segment;
	struct prom_self *self = &scrape->snapshot.self;
	self->cpu_ns = scrape->cpu_ns;
	self->memory_bytes = scrape->fixed_bytes + scrape->scratch_bytes +
			prom_server_touched_bytes(scrape->server);
	/* relaxed, all: lone numbers */
	self->messages = atomic_load_explicit(&segment->messages_written,
			memory_order_relaxed);
	self->invalid_settings = atomic_load_explicit(&segment->invalid_settings,
			memory_order_relaxed);
	self->segment_private_bytes = atomic_load_explicit(&segment->private_bytes,
			memory_order_relaxed);
	self->in_flight = prom_server_in_flight(scrape->server);
	self->start_time_ns = segment->created_ns;
	self->http = prom_server_counts(scrape->server);
}

/* The group of one: this process, which nobody else started. */
static void row_fill(struct prom_scrape *scrape) {
	struct prom_snapshot *snapshot = &scrape->snapshot;
	struct prom_row *row = &snapshot->rows[0];
	snapshot->row_count = 0;
	if (prom_snapshot_read(scrape->segment, scrape->segment_bytes, row) < 0) {
		return;
	}
	row->figures = scrape->figures;
	row->unfreed_bytes = 0;
	row->running = 1;
	row->stopped = 0;
	row->roots = 1;
	row->process_starts = 1;
	row->process_ends = 0;
	snapshot->row_count = 1;
}

/* Of one process: a forked child starts anew. */
static struct {
	int32_t pid; /* 0: nothing kept */
	struct prom_http_counts http;
	uint64_t errors[PROM_CAUSE_COUNT];
} kept;

void prom_scrape_counts_keep(const struct prom_scrape *scrape) {
	kept.pid = scrape->segment->pid;
	kept.http = *prom_server_counts(scrape->server);
	memcpy(kept.errors, scrape->registry.errors, sizeof(kept.errors));
}

void prom_scrape_counts_restore(struct prom_scrape *scrape) {
	if (kept.pid == scrape->segment->pid) {
		prom_server_continue(scrape->server, &kept.http);
		memcpy(scrape->registry.errors, kept.errors, sizeof(kept.errors));
	}
}

void prom_scrape_write(struct prom_scrape *scrape, struct prom_buf *out) {
	struct prom_arena *arena = scrape->arena;
	struct prom_family *families = NULL;
	uint64_t start_ns = prom_clock_ns(CLOCK_MONOTONIC);
	size_t mark = arena->used_bytes;
	process_read(scrape);
	row_fill(scrape);
	self_fill(scrape);
	size_t count = prom_registry_gather(&scrape->registry, &scrape->snapshot, arena,
			&families);
	prom_encode_text(families, count, out);
	if (out->failed) {
		scrape->registry.errors[PROM_CAUSE_MEMORY]++;
	}
	if (arena->used_bytes - mark > scrape->scratch_bytes) {
		scrape->scratch_bytes = arena->used_bytes - mark;
	}
	prom_arena_reset(arena, mark);
	scrape->snapshot.self.scrape_ns = prom_clock_ns(CLOCK_MONOTONIC) - start_ns;
	atomic_fetch_add_explicit(&scrape->pages, 1, memory_order_relaxed);
}
