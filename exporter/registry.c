/* SPDX-License-Identifier: MIT */
#include "exporter/registry.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "exporter/desc.h"

/*
 * FNV-1a: names are short and ours. Memory is the registry's arena, for good: uthash
 * gives tables back only when it grows or a registration is undone, and both are rare.
 */
#define HASH_NONFATAL_OOM                    1
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = name_hash((keyptr), (keylen)))
#define uthash_malloc(size)                  prom_arena_put(registry->arena, (size))
#define uthash_free(pointer, size)           ((void)0)

static unsigned name_hash(const void *name, size_t size) {
	const unsigned char *bytes = name;
	uint32_t hash = 2166136261U;
	for (size_t i = 0; i < size; i++) {
		hash = (hash ^ bytes[i]) * 16777619U;
	}
	return hash;
}

#include <uthash.h>

/* A name that a family claims: its own, or one that OpenMetrics keeps for its samples. */
struct prom_entry {
	const char *name;
	const struct prom_desc *desc;
	size_t index; /* of the family, in order of registration */
	struct prom_entry *next; /* added before, in the same registration */
	UT_hash_handle hh;
};

void prom_registry_init(struct prom_registry *registry, struct prom_arena *arena) {
	memset(registry, 0, sizeof(*registry));
	registry->arena = arena;
}

/* NOLINTNEXTLINE(readability-function-size): the macro nests, not we */
static struct prom_entry *entry_find(const struct prom_registry *registry,
		const char *name) {
	struct prom_entry *found;
	HASH_FIND_STR(registry->entries, name, found);
	return found;
}

/* NOLINTNEXTLINE(readability-function-size): as above */
static int entry_add(struct prom_registry *registry, struct prom_entry *entry) {
	HASH_ADD_KEYPTR(hh, registry->entries, entry->name, strlen(entry->name), entry);
	return entry->hh.tbl == NULL ? -ENOMEM : 0;
}

static void entry_remove(struct prom_registry *registry, struct prom_entry *entry) {
	HASH_DEL(registry->entries, entry);
}

static bool entry_is_family(const struct prom_entry *entry) {
	return strcmp(entry->name, entry->desc->name) == 0;
}

static int refuse(struct prom_registry *registry, int error, const char *refusal) {
	registry->refusal = refusal;
	return error;
}

/* Adds one name that `desc` claims, and puts it before `*added`. */
static int claim(struct prom_registry *registry, const struct prom_desc *desc,
		size_t index, size_t base_size, const char *suffix,
		struct prom_entry **added) {
	size_t suffix_size = strlen(suffix) + 1;
	struct prom_entry *entry = prom_arena_put(registry->arena, sizeof(*entry));
	char *name = prom_arena_put(registry->arena, base_size + suffix_size);
	if (entry == NULL || name == NULL) {
		return refuse(registry, -ENOMEM, "no memory");
	}
	memcpy(name, desc->name, base_size);
	memcpy(name + base_size, suffix, suffix_size);
	const struct prom_entry *other = entry_find(registry, name);
	if (other != NULL) {
		return refuse(registry, -EEXIST,
				strcmp(other->desc->name, desc->name) == 0
						? "duplicate family"
						: "clash of suffixes");
	}
	memset(entry, 0, sizeof(*entry));
	entry->name = name;
	entry->desc = desc;
	entry->index = index;
	if (entry_add(registry, entry) < 0) {
		return refuse(registry, -ENOMEM, "no memory");
	}
	entry->next = *added;
	*added = entry;
	return 0;
}

static int add_family(struct prom_registry *registry, const struct prom_desc *desc,
		size_t index, struct prom_entry **added) {
	const char *refusal = prom_desc_refusal(desc);
	if (refusal != NULL) {
		return refuse(registry, -EINVAL, refusal);
	}
	const char *suffixes[PROM_CLAIMS_MAX];
	size_t base_size;
	size_t count = prom_desc_claims(desc, &base_size, suffixes);
	for (size_t i = 0; i < count; i++) {
		int r = claim(registry, desc, index, base_size, suffixes[i], added);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static void sort_in(struct prom_registry *registry, const struct prom_entry *entry) {
	struct prom_registered *sorted = registry->sorted;
	size_t at = registry->family_count++;
	for (; at > 0 && strcmp(sorted[at - 1].desc->name, entry->name) > 0; at--) {
		sorted[at] = sorted[at - 1];
	}
	sorted[at].desc = entry->desc;
	sorted[at].index = entry->index;
}

int prom_registry_register(struct prom_registry *registry,
		const struct prom_collector *collector) {
	size_t room = sizeof(registry->collectors) / sizeof(registry->collectors[0]);
	struct prom_entry *added = NULL;
	int r = 0;

	registry->refusal = NULL;
	if (collector->desc_count == 0) {
		return refuse(registry, -EINVAL, "no families");
	}
	if (registry->collector_count == room ||
			collector->desc_count >
					PROM_FAMILIES_MAX - registry->family_count) {
		return refuse(registry, -ENOSPC, "too many families or collectors");
	}
	for (size_t i = 0; i < collector->desc_count && r == 0; i++) {
		r = add_family(registry, &collector->descs[i], registry->family_count + i,
				&added);
	}
	for (struct prom_entry *entry = added; entry != NULL; entry = entry->next) {
		if (r < 0) {
			entry_remove(registry, entry);
		} else if (entry_is_family(entry)) {
			sort_in(registry, entry);
		}
	}
	if (r == 0) {
		registry->collectors[registry->collector_count++] = collector;
	}
	return r;
}
