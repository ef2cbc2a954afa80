/* SPDX-License-Identifier: MIT */
#include "preload/loader.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "exporter/base/auxv.h"

enum { VERSION_HIDDEN = 0x8000, VERSION_LOCAL = 0 };

/* Weak: glibc's loader has the first, as every debugger wants it, musl's the second. */
extern struct r_debug _r_debug __attribute__((weak));
extern struct r_debug *_dl_debug_addr __attribute__((weak));

extern Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));

/*
 * The list that we are in, ourselves, and the last object of the start. Written by the first event,
 * which is before any object came late: to load one takes memory. Relaxed: who comes at the same
 * time finds the same.
 */
static _Atomic(const struct link_map *) first_of_all, self_in_list, last_at_start;

/* What an object's dynamic section says that a lookup needs. */
struct tables {
	const Elf64_Sym *symbols;
	const char *strings;
	const Elf64_Half *versions; /* NULL: it has none */
	const uint32_t *gnu_hash;
	const uint32_t *sysv_hash;
	uintptr_t soname; /* offset in `strings`; 0: none */
};

static const struct link_map *self(void) {
	return atomic_load_explicit(&self_in_list, memory_order_relaxed);
}

/* A program may have a function of that name: a list of the loader's begins with nothing before. */
static bool is_list(const struct r_debug *debug) {
	enum { VERSION_MAX = 9 };
	return debug != NULL && debug->r_version >= 1 &&
			debug->r_version <= VERSION_MAX && debug->r_map != NULL &&
			debug->r_map->l_prev == NULL;
}

/* Takes the list if we are in it. */
static bool take_list(const struct link_map *first) {
	const struct link_map *map = first, *end = first;
	while (map != NULL && map->l_ld != _DYNAMIC) {
		map = map->l_next;
	}
	if (map == NULL) {
		return false;
	}
	while (end->l_next != NULL) {
		end = end->l_next;
	}
	atomic_store_explicit(&first_of_all, first, memory_order_relaxed);
	atomic_store_explicit(&last_at_start, end, memory_order_relaxed);
	atomic_store_explicit(&self_in_list, map, memory_order_relaxed);
	return true;
}

/* Source: glibc elf/link.h, struct r_debug_extended: since version 2 a list for each namespace. */
static bool take_list_of_namespace(const struct r_debug *debug) {
	struct extended {
		struct r_debug base;
		const struct extended *next;
	};
	while (is_list(debug) && !take_list(debug->r_map)) {
		debug = debug->r_version >= 2
				? (const void *)((const struct extended *)(const void *)
								  debug)
						  ->next
				: NULL;
	}
	return self() != NULL;
}

void shim_loader_init(void) {
	if (self() == NULL && !take_list_of_namespace(&_r_debug) &&
			&_dl_debug_addr != NULL) {
		(void)take_list_of_namespace(_dl_debug_addr);
	}
}

/*
 * glibc writes addresses over the offsets of a dynamic section, where it may; others do not. What an
 * object has lies near its dynamic section.
 */
static const void *table(const struct link_map *map, const Elf64_Dyn *entry) {
	const uintptr_t here = (uintptr_t)map->l_ld, value = entry->d_un.d_ptr,
			moved = value + map->l_addr;
	const uintptr_t distance = value > here ? value - here : here - value,
			distance_moved = moved > here ? moved - here : here - moved;
	return (const void *)(distance_moved < distance ? moved : value);
}

static struct tables tables_of(const struct link_map *map) {
	struct tables out = { 0 };
	for (const Elf64_Dyn *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
		switch (entry->d_tag) {
		case DT_SYMTAB:
			out.symbols = table(map, entry);
			break;
		case DT_STRTAB:
			out.strings = table(map, entry);
			break;
		case DT_VERSYM:
			out.versions = table(map, entry);
			break;
		case DT_GNU_HASH:
			out.gnu_hash = table(map, entry);
			break;
		case DT_HASH:
			out.sysv_hash = table(map, entry);
			break;
		case DT_SONAME:
			out.soname = entry->d_un.d_val;
			break;
		default:
			break;
		}
	}
	return out;
}

/* The best definition of a name so far. */
struct best {
	const Elf64_Sym *symbol;
	unsigned version; /* of a hidden one; 0: none, or it is the default version */
	bool is_final;
};

static void consider(struct best *best, const struct tables *in, const char *name,
		uint32_t index) {
	const Elf64_Sym *symbol = &in->symbols[index];
	unsigned binding = ELF64_ST_BIND(symbol->st_info);
	unsigned type = ELF64_ST_TYPE(symbol->st_info);
	unsigned version = in->versions != NULL ? in->versions[index] : VER_NDX_GLOBAL;
	if (symbol->st_shndx == SHN_UNDEF || binding == STB_LOCAL ||
			(symbol->st_value == 0 && symbol->st_shndx != SHN_ABS) ||
			type == STT_TLS || type == STT_SECTION || type == STT_FILE ||
			version == VERSION_LOCAL ||
			strcmp(in->strings + symbol->st_name, name) != 0) {
		return;
	}
	if ((version & VERSION_HIDDEN) == 0) {
		best->symbol = symbol;
		best->is_final = true;
	} else if (version > best->version) {
		best->symbol = symbol;
		best->version = version;
	}
}

static void search_gnu(struct best *best, const struct tables *in, const char *name) {
	uint32_t hash = 5381;
	for (const unsigned char *c = (const void *)name; *c != '\0'; c++) {
		hash = hash * 33 + *c;
	}
	const uint32_t bucket_count = in->gnu_hash[0], first = in->gnu_hash[1],
		       bloom_words = in->gnu_hash[2], shift = in->gnu_hash[3];
	const Elf64_Addr *bloom = (const void *)(in->gnu_hash + 4);
	enum { BITS = sizeof(*bloom) * 8 };
	Elf64_Addr word = bloom_words > 0 ? bloom[hash / BITS % bloom_words] : 0;
	if ((word >> hash % BITS & word >> (hash >> shift) % BITS & 1) == 0) {
		return; /* most objects say no with one word */
	}
	const uint32_t *buckets = (const void *)(bloom + bloom_words);
	const uint32_t *chain = buckets + bucket_count;
	uint32_t index = bucket_count > 0 ? buckets[hash % bucket_count] : 0;
	if (index < first || index == 0) {
		return;
	}
	for (;; index++) {
		uint32_t link = chain[index - first];
		if ((link | 1) == (hash | 1)) {
			consider(best, in, name, index);
		}
		if (best->is_final || (link & 1) != 0) {
			return;
		}
	}
}

static void search_sysv(struct best *best, const struct tables *in, const char *name) {
	uint32_t hash = 0;
	for (const unsigned char *c = (const void *)name; *c != '\0'; c++) {
		hash = (hash << 4) + *c;
		hash ^= hash >> 24 & 0xf0;
		hash &= 0x0fffffff;
	}
	const uint32_t bucket_count = in->sysv_hash[0];
	const uint32_t *buckets = in->sysv_hash + 2, *chain = buckets + bucket_count;
	uint32_t index = bucket_count > 0 ? buckets[hash % bucket_count] : STN_UNDEF;
	for (; index != STN_UNDEF && !best->is_final; index = chain[index]) {
		consider(best, in, name, index);
	}
}

/* Source: resolvers of aarch64 take AT_HWCAP, those of x86-64 nothing. */
static void *indirect(void *resolver) {
	void *(*resolve)(unsigned long hwcap);
	unsigned long hwcap = 0;
	memcpy(&resolve, &resolver, sizeof(resolve));
#if defined(__aarch64__)
	hwcap = auxv_get(AT_HWCAP);
#endif
	return resolve(hwcap);
}

static struct shim_symbol search(const struct link_map *map, const char *name) {
	struct tables tables = tables_of(map);
	struct best best = { 0 };
	struct shim_symbol out = { NULL, NULL };
	if (tables.symbols == NULL || tables.strings == NULL) {
		return out;
	}
	if (tables.gnu_hash != NULL) {
		search_gnu(&best, &tables, name);
	} else if (tables.sysv_hash != NULL) {
		search_sysv(&best, &tables, name);
	}
	if (best.symbol == NULL) {
		return out;
	}
	uintptr_t bias = best.symbol->st_shndx == SHN_ABS ? 0 : map->l_addr;
	out.address = (void *)(bias + best.symbol->st_value);
	if (ELF64_ST_TYPE(best.symbol->st_info) == STT_GNU_IFUNC) {
		out.address = indirect(out.address);
	}
	out.object = map;
	return out;
}

/* The object after `map` among those of the start. */
static const struct link_map *after(const struct link_map *map) {
	bool is_last = map == atomic_load_explicit(&last_at_start, memory_order_relaxed);
	return is_last ? NULL : map->l_next;
}

static const struct link_map *first(void) {
	return atomic_load_explicit(&first_of_all, memory_order_relaxed);
}

static struct shim_symbol search_from(const struct link_map *map, const char *name) {
	struct shim_symbol found = { NULL, NULL };
	for (; map != NULL && found.address == NULL; map = after(map)) {
		found = search(map, name);
	}
	return found;
}

const void *shim_loader_self(void) {
	return self();
}

struct shim_symbol shim_loader_next(const char *name) {
	return search_from(self() != NULL ? after(self()) : NULL, name);
}

struct shim_symbol shim_loader_first(const char *name) {
	return search_from(first(), name);
}

const char *shim_loader_path(const void *object) {
	const struct link_map *map = object;
	return map != NULL && map->l_name != NULL ? map->l_name : "";
}

/* By the name that others need it by, or that of its file. */
static bool is_called(const struct link_map *map, const char *name) {
	struct tables tables = tables_of(map);
	const char *path = shim_loader_path(map), *slash = strrchr(path, '/');
	return (tables.strings != NULL && tables.soname != 0 &&
			       strcmp(tables.strings + tables.soname, name) == 0) ||
			strcmp(slash != NULL ? slash + 1 : path, name) == 0;
}

bool shim_loader_is_behind(const void *object, const void *other) {
	const struct link_map *map = first();
	while (map != NULL && map != other) {
		map = after(map);
	}
	while (map != NULL && map != object) {
		map = after(map);
	}
	return object != other && map != NULL;
}

const void *shim_loader_object(const char *name) {
	const struct link_map *map = first();
	while (map != NULL && !is_called(map, name)) {
		map = after(map);
	}
	return map;
}

struct shim_symbol shim_loader_in(const void *object, const char *name) {
	return object != NULL ? search(object, name) : (struct shim_symbol){ NULL, NULL };
}
