/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_EXPORTER_H
#define EXPORTER_EXPORTER_H

/*
 * The exporter put together: snapshot -> registry -> encoder -> server, over one arena.
 *
 * The preload object calls nothing else of exporter/. The keeper's thread creates, listens
 * and publishes; the server's thread runs. All memory comes from mmap.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shim_segment;
struct prom_exporter;

struct prom_exporter_config {
	struct shim_segment *segment; /* of this process; outlives the exporter */
	uint64_t segment_bytes;
	const char *address; /* as prom_server_config */
	int port;
	const char *socket_path;
	const char *port_file; /* "" = none; %p and %n expanded by the caller */
	const char *collectors; /* PROMSHIM_COLLECTORS as in force: "all", "all,-allocator", "malloc" */
	const char *mode; /* "serve", "count" */
	unsigned max_requests;
	uint64_t timeout_ns;
	uint64_t slow_interval_ns; /* between two readings of what is costly to read */
	/*
	 * Takes one line for the host's operator: "what. Consequence. What to do." Copies it.
	 * level is 0 info, 1 warning, 2 error.
	 */
	void (*report)(int level, const char *line);
};

/*
 * Registers every collector and prepares the server; opens no socket.
 *
 * Returns  NULL when no memory can be mapped; reported
 * Calls    keeper's thread, private descriptor table in place (or the exiting thread, for
 *          the text file only)
 */
struct prom_exporter *prom_exporter_create(const struct prom_exporter_config *config);

/* Gives back memory and descriptors; NULL is accepted. The server must have returned. */
void prom_exporter_destroy(struct prom_exporter *exporter);

/*
 * Opens the listening sockets, writes the port file, sets segment->port and state SERVING.
 *
 * Returns  0, or -errno; the reason is reported once per kind of failure, not per try
 */
int prom_exporter_listen(struct prom_exporter *exporter);

void prom_exporter_run(struct prom_exporter *exporter); /* server's thread; until stop */
void prom_exporter_stop(struct prom_exporter *exporter); /* keeper's thread */

/* Reads /proc and publishes the process figures in the segment. Keeper: each tick. */
void prom_exporter_publish(struct prom_exporter *exporter);

/* Publishes what the host's allocator holds, when it is due (allocator.h). Keeper: each tick. */
void prom_exporter_publish_allocator(struct prom_exporter *exporter);

/* Publishes what is costly and changes seldom: the memory limit. Keeper: each slow tick. */
void prom_exporter_publish_slow(struct prom_exporter *exporter);

/*
 * Writes the page as text 0.0.4 to `path`: a temporary file beside it, then rename. The last
 * page: what was open to read process figures is closed.
 *
 * Returns  0 or -errno; reported
 * Calls    any one thread at a time, none of ours running on this exporter
 */
int prom_exporter_write_textfile(struct prom_exporter *exporter, const char *path);

/*
 * Tells whether the executable at `path` brings an allocator of its own that our hooks
 * cannot see (a function malloc, je_malloc, ... defined inside it).
 *
 * Returns  1 yes, 0 no, -errno cannot be told
 */
int prom_exporter_has_own_malloc(const char *path);

#endif
