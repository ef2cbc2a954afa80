/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_REGISTRY_H
#define EXPORTER_REGISTRY_H

/*
 * Families by name, and the collectors that fill them.
 *
 * Names, labels, help, types and clashes are checked once, when a collector is registered;
 * values (label values, duplicates) at every gather. What fails is dropped and counted by
 * cause; the rest is served. One thread at a time uses a registry; it has no lock.
 */

#include <stdint.h>

#include "exporter/arena.h"
#include "exporter/metric.h"
#include "exporter/snapshot.h"

enum { PROM_FAMILIES_MAX = 128 };

/* Why a sample was left out: label `cause` of promshim_exporter_gather_errors_total. */
enum prom_cause {
	PROM_CAUSE_DUPLICATE, /* two samples with the same labels */
	PROM_CAUSE_LABEL, /* a label value is not UTF-8 */
	PROM_CAUSE_TYPE, /* a histogram for a number, a counter below 0, a strange family */
	PROM_CAUSE_MEMORY, /* the arena or the page is full */
	PROM_CAUSE_COUNT
};
extern const char *const prom_cause_names[PROM_CAUSE_COUNT]; /* "duplicate", ... */

struct prom_gather; /* one gather: where a collector emits to */

/*
 * A collector: what it promises, and how it fills that from one snapshot.
 *
 * collect  emits samples of `descs` only; must not block, allocate or keep pointers into
 *          the snapshot past the gather
 */
struct prom_collector {
	const char *name; /* as in PROMSHIM_COLLECTORS; "self" cannot be removed */
	const struct prom_desc *descs;
	size_t desc_count;
	void (*collect)(const struct prom_snapshot *snapshot, struct prom_gather *gather);
};

struct prom_registered { /* a family */
	const struct prom_desc *desc;
	size_t index; /* in order of registration */
};

struct prom_registry {
	struct prom_arena *arena;
	struct prom_entry *entries; /* uthash by every name that a family claims */
	const struct prom_collector *collectors[16];
	size_t collector_count;
	struct prom_registered sorted[PROM_FAMILIES_MAX]; /* by family name */
	size_t family_count;
	uint64_t errors[PROM_CAUSE_COUNT]; /* since start */
	const char *refusal; /* why the last registration was refused: "duplicate family", ... */
};

/* Prepares an empty registry that allocates from `arena`, which must outlive it. */
void prom_registry_init(struct prom_registry *registry, struct prom_arena *arena);

/*
 * Adds all families of `collector`, or none.
 *
 * Returns  0; -EINVAL bad name, label, help, unit, bounds; -EEXIST duplicate family or a
 *          clash of suffixes (`x` beside `x_total`, `x_bucket` beside histogram `x`);
 *          -ENOMEM; -ENOSPC too many. registry->refusal then says which in words
 * Source   client_golang registry.go and desc.go; OpenMetrics 1.0, "MetricFamily" (clashes)
 */
int prom_registry_register(struct prom_registry *registry,
		const struct prom_collector *collector);

/*
 * Runs every collector against `snapshot`.
 *
 * scratch   takes samples and the result; the caller resets it afterwards
 * families  out: families in order of name, those without a sample left out; samples in
 *           order of label values. Lives in `scratch`
 * Returns   number of families
 */
size_t prom_registry_gather(struct prom_registry *registry,
		const struct prom_snapshot *snapshot, struct prom_arena *scratch,
		struct prom_family **families);

/*
 * For collectors: adds a sample of `desc`, one of the collector's own.
 *
 * values  label values in the order of desc->labels, copied as pointers; must live as long
 *         as the snapshot; NULL when the family has no labels
 */
void prom_emit_integer(struct prom_gather *gather, const struct prom_desc *desc,
		const char *const *values, uint64_t integer);
void prom_emit_real(struct prom_gather *gather, const struct prom_desc *desc,
		const char *const *values, double real);

/* Adds a histogram; `cumulative` is copied. */
void prom_emit_histogram(struct prom_gather *gather, const struct prom_desc *desc,
		const char *const *values, const uint64_t *cumulative, uint64_t count,
		double sum);

/*
 * For collectors: takes memory that lives as long as the gather, for label values that
 * are made up on the way; NULL when the arena is full (then emit nothing).
 */
void *prom_gather_put(struct prom_gather *gather, size_t size_bytes);

/* For the self collector: registry->errors, those of this gather so far included. */
const uint64_t *prom_gather_errors(const struct prom_gather *gather);

/* The collectors, one a file. */
extern const struct prom_collector prom_collector_malloc;
extern const struct prom_collector prom_collector_threads;
extern const struct prom_collector prom_collector_process;
extern const struct prom_collector prom_collector_allocator;
extern const struct prom_collector prom_collector_self;

#endif
