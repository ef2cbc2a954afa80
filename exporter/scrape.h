/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_SCRAPE_H
#define EXPORTER_SCRAPE_H

/*
 * One page: the segment, /proc and the exporter's own state put into a snapshot, gathered
 * and encoded.
 *
 * /proc is read at most every 10 ms; scrapes in between show what was read. A figure that
 * cannot be read just now (no descriptor left, say) is taken from what the keeper
 * published within the last minute. Used by one thread at a time.
 */

#include "exporter/arena.h"
#include "exporter/buf.h"
#include "exporter/procfs.h"
#include "exporter/registry.h"
#include "exporter/server.h"
#include "exporter/snapshot.h"

struct prom_scrape {
	const struct shim_segment *segment;
	uint64_t segment_bytes;
	struct prom_arena *arena; /* what lies above its mark is scratch */
	struct prom_registry registry;
	struct prom_procfs *procfs; /* the owner's; NULL = not to be read */
	struct prom_server *server;
	size_t fixed_bytes; /* of the arena, touched since start */
	size_t scratch_bytes; /* of the arena, touched by the largest gather */
	uint64_t read_ns; /* when /proc was read; 0 = never */
	struct prom_figures figures;
	uint64_t cpu_ns;
	struct prom_snapshot snapshot;
	bool has_allocator; /* is selected */
	/* Pages written. Writer: the server; reader: the keeper. Relaxed: a lone number. */
	_Atomic uint64_t pages;
};

/* Copies the tids of our own threads, as told by the segment. */
void prom_scrape_own_tids(const struct shim_segment *segment, uint32_t out[SHIM_TID_MAX]);

/*
 * Registers the collectors that `selection` names: "all", "all,-allocator", "-process",
 * "malloc,threads"; self always. Unknown names are ignored.
 *
 * Returns  0 or -errno of prom_registry_register; registry.refusal says why
 */
int prom_scrape_select(struct prom_scrape *scrape, const char *selection);

/*
 * What the exporter counts about itself is kept while its threads make way for the host, and
 * taken up when they come back: counters must not fall. One thread at a time.
 */
void prom_scrape_counts_keep(const struct prom_scrape *scrape);
void prom_scrape_counts_restore(struct prom_scrape *scrape);

/* Appends the whole page; what does not fit is counted as a gather error. */
void prom_scrape_write(struct prom_scrape *scrape, struct prom_buf *out);

#endif
