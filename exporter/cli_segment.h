/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_CLI_SEGMENT_H
#define EXPORTER_CLI_SEGMENT_H

/*
 * The segment of another process, copied out of its memory.
 *
 * The copy is what some process wrote: sizes are checked and every text is terminated, but
 * its words mean what their writer wants them to mean.
 */

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "preload/layout.h"

enum { PROM_CANDIDATES_MAX = 16 };

/* What was seen on the way to a segment, also when there is none. */
struct prom_segment_search {
	int error; /* -errno of reading maps or memory; 0 = all was looked at */
	bool is_mapped; /* a file libpromshim.so is mapped */
	char object[512]; /* its path as mapped */
	int foreign_pid; /* only segments of this pid were found: inherited by a fork; 0 = none */
	bool is_damaged; /* the magic was found, but sizes that cannot be */
	unsigned abi_major; /* a segment of this other version was found; 0 = none */
};

/*
 * Finds the segment of process `pid` by its magic and copies what we know of it.
 *
 * namespace_pid  the pid that the process has for itself
 * search         filled whole
 * out            valid only when true is returned
 * Returns        whether a segment that belongs to the process was found
 * Source         process_vm_readv(2), proc(5) on maps and mem; ptrace(2), "Ptrace access mode"
 */
bool prom_segment_find(pid_t pid, int namespace_pid, struct prom_segment_search *search,
		struct shim_segment *out);

/* Copies the value of `name` from the settings in force; "" when it is not there. */
void prom_segment_setting(const struct shim_segment *segment, const char *name, char *out,
		size_t size_bytes);

/* Prints program, state, hooks, settings and messages, a line each. */
void prom_segment_print(const struct shim_segment *segment, FILE *file);

/* "malloc", ... by enum shim_hook. */
const char *prom_segment_hook_name(unsigned hook);

#endif
