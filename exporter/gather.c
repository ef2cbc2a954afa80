/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "exporter/registry.h"
#include "exporter/utf8.h"

const char *const prom_cause_names[PROM_CAUSE_COUNT] = {
	[PROM_CAUSE_DUPLICATE] = "duplicate",
	[PROM_CAUSE_LABEL] = "label",
	[PROM_CAUSE_TYPE] = "type",
	[PROM_CAUSE_MEMORY] = "memory",
};

/* What one gather knows of a family. */
struct slot {
	struct prom_family family;
	struct prom_sample *last;
	bool unsorted; /* samples did not come in order of their label values */
};

struct prom_gather {
	struct prom_registry *registry;
	struct prom_arena *scratch;
	const struct prom_collector *collector; /* running now */
	struct slot *slots; /* by index of family */
	struct slot *own; /* those of the collector */
};

static int sample_compare(const struct prom_desc *desc, const struct prom_sample *a,
		const struct prom_sample *b) {
	int order = 0;
	for (size_t i = 0; order == 0 && desc->labels != NULL && desc->labels[i] != NULL;
			i++) {
		order = strcmp(a->label_values[i], b->label_values[i]);
	}
	return order;
}

static void drop(struct prom_gather *gather, enum prom_cause cause) {
	gather->registry->errors[cause]++;
}

void *prom_gather_put(struct prom_gather *gather, size_t size_bytes) {
	void *bytes = prom_arena_put(gather->scratch, size_bytes);
	if (bytes == NULL) {
		drop(gather, PROM_CAUSE_MEMORY);
	}
	return bytes;
}

const uint64_t *prom_gather_errors(const struct prom_gather *gather) {
	return gather->registry->errors;
}

/* The slot of a promised family of the right kind, or NULL. */
static struct slot *slot_find(struct prom_gather *gather, const struct prom_desc *desc,
		bool histogram) {
	/* integers: pointers into different arrays must not be compared */
	uintptr_t offset = (uintptr_t)desc - (uintptr_t)gather->collector->descs;
	size_t index = offset / sizeof(*desc);
	if (index >= gather->collector->desc_count ||
			(desc->type == PROM_HISTOGRAM) != histogram) {
		drop(gather, PROM_CAUSE_TYPE);
		return NULL;
	}
	return &gather->own[index];
}

/* Adds a sample without a value yet; NULL when it must be left out. */
static struct prom_sample *sample_add(struct prom_gather *gather, struct slot *slot,
		const char *const *values) {
	const struct prom_desc *desc = slot->family.desc;
	for (size_t i = 0; desc->labels != NULL && desc->labels[i] != NULL; i++) {
		if (values == NULL || values[i] == NULL ||
				!prom_utf8_is_valid(values[i])) {
			drop(gather, PROM_CAUSE_LABEL);
			return NULL;
		}
	}
	struct prom_sample *sample = prom_gather_put(gather, sizeof(*sample));
	if (sample == NULL) {
		return NULL;
	}
	memset(sample, 0, sizeof(*sample));
	for (size_t i = 0; desc->labels != NULL && desc->labels[i] != NULL; i++) {
		sample->label_values[i] = values[i];
	}
	if (slot->last == NULL) {
		slot->family.samples = sample;
	} else {
		slot->unsorted |= sample_compare(desc, slot->last, sample) >= 0;
		slot->last->next = sample;
	}
	slot->last = sample;
	slot->family.sample_count++;
	return sample;
}

static void number_add(struct prom_gather *gather, const struct prom_desc *desc,
		const char *const *values, const struct prom_number *number) {
	struct slot *slot = slot_find(gather, desc, false);
	if (slot != NULL) {
		struct prom_sample *sample = sample_add(gather, slot, values);
		if (sample != NULL) {
			sample->number = *number;
		}
	}
}

void prom_emit_integer(struct prom_gather *gather, const struct prom_desc *desc,
		const char *const *values, uint64_t integer) {
	struct prom_number number = { .integer = integer };
	number_add(gather, desc, values, &number);
}

void prom_emit_real(struct prom_gather *gather, const struct prom_desc *desc,
		const char *const *values, double real) {
	struct prom_number number = { .real = real, .is_real = 1 };
	if (desc->type == PROM_COUNTER && !(real >= 0)) {
		/* below zero, or NaN: OpenMetrics has no such counter */
		drop(gather, PROM_CAUSE_TYPE);
		return;
	}
	number_add(gather, desc, values, &number);
}

void prom_emit_histogram(struct prom_gather *gather, const struct prom_desc *desc,
		const char *const *values, const uint64_t *cumulative, uint64_t count,
		double sum) {
	struct slot *slot = slot_find(gather, desc, true);
	if (slot == NULL) {
		return;
	}
	size_t bounds = 0;
	while (desc->bounds[bounds] != NULL) {
		bounds++;
	}
	uint64_t *copy = prom_gather_put(gather, bounds * sizeof(*copy));
	struct prom_sample *sample =
			copy == NULL ? NULL : sample_add(gather, slot, values);
	if (sample == NULL) {
		return;
	}
	memcpy(copy, cumulative, bounds * sizeof(*copy));
	sample->histogram.cumulative = copy;
	sample->histogram.count = count;
	sample->histogram.sum = sum;
}

/* Merges two sorted lists; of equal samples those of `a` come first. */
static struct prom_sample *samples_merge(const struct prom_desc *desc,
		struct prom_sample *a, struct prom_sample *b) {
	struct prom_sample *head = NULL;
	struct prom_sample **end = &head;
	while (a != NULL && b != NULL) {
		struct prom_sample **lesser = sample_compare(desc, a, b) <= 0 ? &a : &b;
		*end = *lesser;
		end = &(*lesser)->next;
		*lesser = (*lesser)->next;
	}
	*end = a != NULL ? a : b;
	return head;
}

/* Sorts by label values, keeping the order of emission among equals. */
static struct prom_sample *samples_sort(const struct prom_desc *desc,
		struct prom_sample *samples) {
	struct prom_sample *runs[48]; /* runs[i]: 2^i samples, sorted, or none */
	memset(runs, 0, sizeof(runs));
	while (samples != NULL) {
		struct prom_sample *run = samples;
		samples = samples->next;
		run->next = NULL;
		size_t i = 0;
		for (; runs[i] != NULL; i++) {
			run = samples_merge(desc, runs[i], run);
			runs[i] = NULL;
		}
		runs[i] = run;
	}
	struct prom_sample *all = NULL;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		all = samples_merge(desc, runs[i], all);
	}
	return all;
}

static void slot_order(struct prom_gather *gather, struct slot *slot) {
	struct prom_family *family = &slot->family;
	family->samples = samples_sort(family->desc, family->samples);
	struct prom_sample *sample = family->samples;
	while (sample->next != NULL) {
		if (sample_compare(family->desc, sample, sample->next) == 0) {
			sample->next = sample->next->next;
			family->sample_count--;
			drop(gather, PROM_CAUSE_DUPLICATE);
		} else {
			sample = sample->next;
		}
	}
}

size_t prom_registry_gather(struct prom_registry *registry,
		const struct prom_snapshot *snapshot, struct prom_arena *scratch,
		struct prom_family **families) {
	struct prom_gather gather = { .registry = registry, .scratch = scratch };
	size_t count = registry->family_count;
	struct prom_family *result = prom_gather_put(&gather, count * sizeof(*result));
	gather.slots = prom_gather_put(&gather, count * sizeof(*gather.slots));
	*families = result;
	if (result == NULL || gather.slots == NULL) {
		return 0;
	}
	memset(gather.slots, 0, count * sizeof(*gather.slots));
	for (size_t i = 0; i < count; i++) {
		gather.slots[registry->sorted[i].index].family.desc =
				registry->sorted[i].desc;
	}
	gather.own = gather.slots;
	for (size_t i = 0; i < registry->collector_count; i++) {
		gather.collector = registry->collectors[i];
		gather.collector->collect(snapshot, &gather);
		gather.own += gather.collector->desc_count;
	}
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		struct slot *slot = &gather.slots[registry->sorted[i].index];
		if (slot->unsorted) {
			slot_order(&gather, slot);
		}
		if (slot->family.samples != NULL) {
			result[used++] = slot->family;
		}
	}
	return used;
}
