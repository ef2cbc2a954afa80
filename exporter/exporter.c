/* SPDX-License-Identifier: MIT */
#include "exporter/exporter.h"

#include <errno.h>
#include <string.h>

#include "exporter/allocator.h"
#include "exporter/base/kernel.h"
#include "exporter/clock.h"
#include "exporter/complaint.h"
#include "exporter/descriptor.h"
#include "exporter/file.h"
#include "exporter/route.h"
#include "exporter/scrape.h"
#include "exporter/server.h"

enum {
	PAGE_BYTES = 256 << 10, /* a page has 10 KiB; this is address space, not memory */
	SCRATCH_BYTES = 512
			<< 10, /* one gather, or the text file's page and its gather */
	TABLE_BYTES = 2 << 20, /* server, connections' input, registry */
	REPLIES_MAX = 64,
	DESCRIPTORS_FEW = 48, /* below this not all of ours find high numbers */
	PATH_BYTES = 512,
	ADDRESS_BYTES = 64,
};

enum { LEVEL_INFO, LEVEL_WARNING, LEVEL_ERROR };

static const uint64_t retry_ns = 30000000000;

/* What is told once, however often it happens; bits of prom_exporter.told. */
enum kind { TOLD_PORT, TOLD_SOCKET = 16, TOLD_PORT_FILE, TOLD_TEXTFILE, TOLD_CLIENT };

struct prom_exporter {
	struct prom_arena arena; /* holds this too */
	struct prom_procfs procfs;
	struct prom_scrape scrape;
	struct prom_allocator allocator;
	struct prom_server *server;
	struct shim_segment *segment;
	void (*report)(int level, const char *line);
	uint32_t told; /* bits by enum kind; a port's failure takes one of 16 by its errno */
	bool is_listening;
	int listen_error;
	uint64_t listen_at_ns; /* not before */
	uint64_t pages_seen; /* the keeper's */
	int port;
	char address[ADDRESS_BYTES];
	char socket_path[PATH_BYTES];
	char port_file[PATH_BYTES];
	char mode[16];
};

static void text_copy(char *out, size_t size_bytes, const char *text) {
	size_t size = strnlen(text, size_bytes - 1);
	memcpy(out, text, size);
	out[size] = '\0';
}

/* Begins a line for the operator; false if one of its kind was told already. */
static bool tell_start(struct prom_exporter *exporter, unsigned kind,
		struct prom_buf *line, char *bytes, size_t size_bytes) {
	if ((exporter->told & 1U << kind) != 0) {
		return false;
	}
	exporter->told |= 1U << kind;
	prom_buf_init(line, bytes, size_bytes - 1);
	return true;
}

static void tell(struct prom_exporter *exporter, int level, struct prom_buf *line) {
	line->bytes[line->used_bytes] = '\0';
	exporter->report(level, line->bytes);
}

static int registry_fill(struct prom_exporter *exporter, const char *collectors) {
	struct prom_scrape *scrape = &exporter->scrape;
	prom_registry_init(&scrape->registry, &exporter->arena);
	int r = prom_scrape_select(scrape, collectors);
	if (r < 0) {
		const char *refusal = scrape->registry.refusal;
		exporter->report(LEVEL_ERROR,
				refusal != NULL ? refusal : "collector refused");
	}
	return r;
}

/*
 * What stays open goes out of the way of what must be opened later: to high numbers, or,
 * where few descriptors are allowed, closed again if it was kept only to be read faster.
 * The memory limit is then what it was at start.
 */
static void procfs_open(struct prom_exporter *exporter) {
	struct prom_procfs *procfs = &exporter->procfs;
	int *const needed[] = { &procfs->proc_fd, &procfs->self_fd };
	int *const kept[] = { &procfs->stat_fd, &procfs->statm_fd, &procfs->netstat_fd,
		&procfs->cgroup_fd };
	struct rlimit limit;
	/* without /proc the figures that do not need it are read all the same */
	(void)prom_procfs_open(procfs, exporter->segment->pid, true);
	bool is_few = kernel_limit(RLIMIT_NOFILE, &limit) == 0 &&
			limit.rlim_cur < DESCRIPTORS_FEW;
	if (is_few) {
		prom_exporter_publish_slow(exporter);
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		*needed[i] = prom_descriptor_raise(*needed[i]);
	}
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (is_few && *kept[i] >= 0) {
			(void)kernel_close(*kept[i]);
			*kept[i] = -1;
		}
		*kept[i] = prom_descriptor_raise(*kept[i]);
	}
}

static int parts_create(struct prom_exporter *exporter,
		const struct prom_exporter_config *config) {
	struct prom_scrape *scrape = &exporter->scrape;
	int r = registry_fill(exporter, config->collectors);
	if (r < 0) {
		return r;
	}
	scrape->fixed_bytes = exporter->arena.used_bytes;
	const struct prom_server_config server = {
		.address = exporter->address,
		.port = exporter->port,
		.socket_path = exporter->socket_path,
		.max_requests = config->max_requests,
		.timeout_ns = config->timeout_ns,
		.page_bytes = PAGE_BYTES,
		.handler = prom_route,
		.user = &exporter->scrape,
	};
	exporter->server = prom_server_create(&exporter->arena, &server);
	if (exporter->server == NULL) {
		return -ENOMEM;
	}
	procfs_open(exporter);
	scrape->segment = config->segment;
	scrape->segment_bytes = config->segment_bytes;
	scrape->arena = &exporter->arena;
	scrape->procfs = &exporter->procfs;
	scrape->server = exporter->server;
	scrape->snapshot.self.version = PROMSHIM_VERSION;
	scrape->snapshot.self.mode = exporter->mode;
	return 0;
}

struct prom_exporter *prom_exporter_create(const struct prom_exporter_config *config) {
	struct prom_arena arena;
	size_t replies = config->max_requests < REPLIES_MAX ? config->max_requests
							    : REPLIES_MAX;
	int r = prom_arena_init(&arena,
			TABLE_BYTES + SCRATCH_BYTES +
					(replies + 1) * (PAGE_BYTES + (8 << 10)));
	struct prom_exporter *exporter =
			r < 0 ? NULL : prom_arena_put(&arena, sizeof(*exporter));
	if (exporter == NULL) {
		goto no_memory;
	}
	memset(exporter, 0, sizeof(*exporter));
	exporter->arena = arena;
	exporter->segment = config->segment;
	exporter->report = config->report;
	exporter->port = config->port;
	exporter->allocator.interval_ns = config->slow_interval_ns;
	text_copy(exporter->address, sizeof(exporter->address), config->address);
	text_copy(exporter->socket_path, sizeof(exporter->socket_path),
			config->socket_path);
	text_copy(exporter->port_file, sizeof(exporter->port_file), config->port_file);
	text_copy(exporter->mode, sizeof(exporter->mode), config->mode);
	if (parts_create(exporter, config) < 0) {
		arena = exporter->arena;
		goto no_memory;
	}
	prom_scrape_counts_restore(&exporter->scrape);
	return exporter;

no_memory:
	prom_arena_finish(&arena);
	config->report(LEVEL_ERROR,
			"no memory for the exporter. Counting goes on, nothing is served. Raise "
			"the limit of address space.");
	return NULL;
}

void prom_exporter_destroy(struct prom_exporter *exporter) {
	if (exporter == NULL) {
		return;
	}
	if (exporter->is_listening) {
		uint32_t serving = SHIM_STATE_SERVING;
		/* relaxed, both: lone numbers; a host that ended meanwhile keeps its state */
		atomic_store_explicit(&exporter->segment->port, 0, memory_order_relaxed);
		atomic_compare_exchange_strong_explicit(&exporter->segment->state,
				&serving, SHIM_STATE_COUNTING, memory_order_relaxed,
				memory_order_relaxed);
	}
	prom_scrape_counts_keep(&exporter->scrape);
	prom_server_close(exporter->server);
	prom_procfs_close(&exporter->procfs);
	struct prom_arena arena = exporter->arena;
	prom_arena_finish(&arena);
}

static void port_file_write(struct prom_exporter *exporter, unsigned port) {
	char bytes[1024];
	struct prom_buf text;
	prom_buf_init(&text, bytes, sizeof(bytes));
	prom_buf_uint(&text, port);
	prom_buf_char(&text, '\n');
	int r = prom_file_write(exporter->port_file, bytes, text.used_bytes);
	if (r < 0 && tell_start(exporter, TOLD_PORT_FILE, &text, bytes, sizeof(bytes))) {
		prom_complaint_file(&text, "PROMSHIM_PORT_FILE", exporter->port_file, r);
		tell(exporter, LEVEL_WARNING, &text);
	}
}

/* Errnos of a port fall into 16 kinds; two that share one are told once together. */
static void port_complain(struct prom_exporter *exporter, int error, bool has_socket) {
	char bytes[512];
	struct prom_buf line;
	unsigned kind = TOLD_PORT + (unsigned)-error % 16;
	if (tell_start(exporter, kind, &line, bytes, sizeof(bytes))) {
		(has_socket ? prom_complaint_socket_only : prom_complaint_port)(&line,
				exporter->address, exporter->port, error);
		tell(exporter, LEVEL_WARNING, &line);
	}
}

static void socket_complain(struct prom_exporter *exporter) {
	char bytes[1024];
	struct prom_buf line;
	int error = prom_server_socket_error(exporter->server);
	if (error < 0 && tell_start(exporter, TOLD_SOCKET, &line, bytes, sizeof(bytes))) {
		prom_complaint_socket(&line, exporter->socket_path, error);
		tell(exporter, LEVEL_WARNING, &line);
	}
}

static void client_complain(struct prom_exporter *exporter) {
	char bytes[512];
	struct prom_buf line;
	int error = prom_server_accept_error(exporter->server);
	if (error < 0 && tell_start(exporter, TOLD_CLIENT, &line, bytes, sizeof(bytes))) {
		prom_complaint_client(&line, error);
		tell(exporter, LEVEL_WARNING, &line);
	}
}

int prom_exporter_listen(struct prom_exporter *exporter) {
	if (exporter->is_listening) {
		return 0;
	}
	uint64_t now = prom_clock_ns(CLOCK_MONOTONIC);
	if (now < exporter->listen_at_ns) {
		return exporter->listen_error;
	}
	/* before the socket opens: the first scrape is complete */
	prom_exporter_publish_slow(exporter);
	prom_exporter_publish_allocator(exporter);
	int r = prom_server_listen(exporter->server);
	int port_error = prom_server_port_error(exporter->server);
	socket_complain(exporter);
	if (port_error < 0) {
		port_complain(exporter, port_error, r == 0);
	} else if (r < 0 && prom_server_socket_error(exporter->server) == 0) {
		port_complain(exporter, r, false);
	}
	if (r < 0) {
		exporter->listen_error = r;
		exporter->listen_at_ns = now + retry_ns;
		return r;
	}
	exporter->is_listening = true;
	unsigned port = prom_server_port(exporter->server);
	if (exporter->port_file[0] != '\0' && port != 0) {
		port_file_write(exporter, port);
	}
	uint32_t counting = SHIM_STATE_COUNTING;
	/* relaxed: a reader that needs it waits for the state */
	atomic_store_explicit(&exporter->segment->port, port, memory_order_relaxed);
	/* release: the port is told; a host that ended meanwhile keeps its state */
	atomic_compare_exchange_strong_explicit(&exporter->segment->state, &counting,
			SHIM_STATE_SERVING, memory_order_release, memory_order_relaxed);
	return 0;
}

void prom_exporter_run(struct prom_exporter *exporter) {
	prom_server_run(exporter->server);
}

void prom_exporter_stop(struct prom_exporter *exporter) {
	prom_server_stop(exporter->server);
}

/* Stores what `known` names, and then `known`, in which other bits stay as they are. */
static void figures_publish(struct shim_segment *segment,
		const struct prom_figures *figures, uint64_t settled) {
	struct shim_figures *out = &segment->figures;
	/* relaxed: the keeper is the only writer */
	uint64_t known = atomic_load_explicit(&out->known, memory_order_relaxed);
	/* relaxed, each: `known` publishes them */
#define SHIM_FIGURE(field, kind, metric, help)                     \
	if ((figures->known >> SHIM_FIGURE_##field & 1) != 0) {    \
		atomic_store_explicit(&out->field, figures->field, \
				memory_order_relaxed);             \
	}
#include "preload/figures.def"
	known = (known & ~settled) | figures->known;
	/* release: who sees a bit sees its figure */
	atomic_store_explicit(&out->known, known, memory_order_release);
}

static const uint64_t limit_bit = UINT64_C(1) << SHIM_FIGURE_memory_limit_bytes;

void prom_exporter_publish(struct prom_exporter *exporter) {
	uint32_t own_tids[SHIM_TID_MAX];
	struct prom_figures figures;
	memset(&figures, 0, sizeof(figures));
	prom_scrape_own_tids(exporter->segment, own_tids);
	prom_procfs_read(&exporter->procfs, own_tids, SHIM_TID_MAX, &figures);
	figures.known &= ~limit_bit;
	/* relaxed: `known` publishes it */
	atomic_store_explicit(&exporter->segment->figures.taken_ns,
			prom_clock_ns(CLOCK_MONOTONIC), memory_order_relaxed);
	figures_publish(exporter->segment, &figures, ~limit_bit);
	client_complain(exporter);
}

void prom_exporter_publish_slow(struct prom_exporter *exporter) {
	struct prom_figures figures = { 0 };
	if (exporter->procfs.cgroup_fd < 0) {
		return;
	}
	figures.memory_limit_bytes = prom_procfs_memory_limit(&exporter->procfs);
	figures.known = figures.memory_limit_bytes == UINT64_MAX ? 0 : limit_bit;
	figures_publish(exporter->segment, &figures, limit_bit);
}

void prom_exporter_publish_allocator(struct prom_exporter *exporter) {
	/* relaxed: a lone number */
	uint64_t pages = atomic_load_explicit(&exporter->scrape.pages,
			memory_order_relaxed);
	if (exporter->scrape.has_allocator &&
			prom_allocator_publish(&exporter->allocator, exporter->segment,
					exporter->scrape.segment_bytes, &exporter->procfs,
					pages != exporter->pages_seen)) {
		exporter->pages_seen = pages;
	}
}

int prom_exporter_write_textfile(struct prom_exporter *exporter, const char *path) {
	char line_bytes[1024];
	struct prom_buf page;
	size_t mark = exporter->arena.used_bytes;
	char *bytes = prom_arena_put(&exporter->arena, PAGE_BYTES);
	int r = -ENOMEM;
	if (bytes != NULL) {
		prom_buf_init(&page, bytes, PAGE_BYTES);
		prom_scrape_write(&exporter->scrape, &page);
		/* where few descriptors are allowed, what is written needs one of these */
		prom_procfs_close(&exporter->procfs);
		r = prom_file_write(path, bytes, page.used_bytes);
		prom_arena_reset(&exporter->arena, mark);
	}
	if (r < 0 &&
			tell_start(exporter, TOLD_TEXTFILE, &page, line_bytes,
					sizeof(line_bytes))) {
		prom_complaint_file(&page, "PROMSHIM_TEXTFILE", path, r);
		tell(exporter, LEVEL_WARNING, &page);
	}
	return r;
}
