/* SPDX-License-Identifier: MIT */
#include "exporter/elf_symbols.h"

#include <errno.h>
#include <string.h>

#include "exporter/base/kernel.h"
#include "exporter/elf.h"

enum {
	STRING_PIECE = 4096,
	SYMBOL_PIECE = 128,
	CANDIDATES_MAX = 512,
	FILTER_BITS = 4096,
	TARGET_BYTES = 16, /* longest name that is looked for, its NUL included */
	DEFINES = 1 << 30, /* beside the bits of enum prom_elf_import */
};

static const uint64_t table_max_bytes = 1ULL << 29; /* bounds the time, too */

/* clang-format off */
#define TARGET(name, kinds) { name, sizeof(name) - 1, (unsigned)(kinds) }
static const struct target {
	char name[TARGET_BYTES];
	size_t length;
	unsigned kinds;
} targets[] = {
	TARGET("malloc", DEFINES | PROM_ELF_IMPORTS_MALLOC),
	TARGET("je_malloc", DEFINES),
	TARGET("_rjem_malloc", DEFINES),
	TARGET("mi_malloc", DEFINES),
	TARGET("tc_malloc", DEFINES),
	TARGET("rpmalloc", DEFINES),
	TARGET("calloc", PROM_ELF_IMPORTS_MALLOC),
	TARGET("realloc", PROM_ELF_IMPORTS_MALLOC),
	TARGET("reallocarray", PROM_ELF_IMPORTS_MALLOC),
	TARGET("posix_memalign", PROM_ELF_IMPORTS_MALLOC),
	TARGET("aligned_alloc", PROM_ELF_IMPORTS_MALLOC),
	TARGET("memalign", PROM_ELF_IMPORTS_MALLOC),
	TARGET("_Znwm", PROM_ELF_IMPORTS_OPERATOR_NEW),
	TARGET("_Znam", PROM_ELF_IMPORTS_OPERATOR_NEW),
	TARGET("pthread_create", PROM_ELF_IMPORTS_PTHREAD_CREATE),
	TARGET("thrd_create", PROM_ELF_IMPORTS_PTHREAD_CREATE),
};
#undef TARGET
/* clang-format on */

enum { TARGET_COUNT = sizeof(targets) / sizeof(targets[0]) };

/* Where in a string table the names stand that are looked for. */
struct candidates {
	size_t count;
	struct {
		uint32_t offset;
		uint32_t target;
	} list[CANDIDATES_MAX];
	uint64_t filter[FILTER_BITS /
			64]; /* by offset: most symbols are told by one bit */
};

int prom_elf_file_read(const struct prom_elf_file *file, uint64_t offset, void *out,
		size_t size_bytes) {
	if (offset > file->size_bytes || size_bytes > file->size_bytes - offset) {
		return -EBADMSG;
	}
	for (size_t done = 0; done < size_bytes;) {
		ssize_t count = kernel_pread64(file->fd, (char *)out + done,
				size_bytes - done, (off_t)(offset + done));
		if (count < 0 && count != -EINTR) {
			return (int)count;
		}
		if (count == 0) { /* it shrank meanwhile */
			return -EBADMSG;
		}
		done += count > 0 ? (size_t)count : 0;
	}
	return 0;
}

bool prom_elf_table_fits(const struct prom_elf_file *file, struct prom_elf_table table) {
	return table.size_bytes <= table_max_bytes && table.offset <= file->size_bytes &&
			table.size_bytes <= file->size_bytes - table.offset;
}

static void candidates_put(struct candidates *candidates, uint64_t offset,
		uint32_t target) {
	if (candidates->count < CANDIDATES_MAX) {
		size_t bit = offset % FILTER_BITS;
		candidates->list[candidates->count].offset = (uint32_t)offset;
		candidates->list[candidates->count++].target = target;
		candidates->filter[bit / 64] |= 1ULL << bit % 64;
	}
}

/*
 * Finds the places of all targets in a string table by one pass over it. Linkers let a name
 * share the end of a longer one, so each end of a string is compared with each target.
 */
static int candidates_find(const struct prom_elf_file *file,
		struct prom_elf_table strings, struct candidates *candidates) {
	/* The end of the piece before, then a piece. */
	char window[TARGET_BYTES + STRING_PIECE] = { 0 };

	memset(candidates, 0, sizeof(*candidates));
	for (uint64_t base = 0; base < strings.size_bytes; base += STRING_PIECE) {
		uint64_t left = strings.size_bytes - base;
		size_t taken = left < STRING_PIECE ? (size_t)left : STRING_PIECE;
		const char *end = window + TARGET_BYTES;
		const char *limit = end + taken;
		int r = prom_elf_file_read(file, strings.offset + base,
				window + TARGET_BYTES, taken);
		if (r < 0) {
			return r;
		}
		for (; (end = memchr(end, '\0', (size_t)(limit - end))) != NULL; end++) {
			uint64_t position =
					base + (uint64_t)(end - window) - TARGET_BYTES;
			for (uint32_t i = 0; i < TARGET_COUNT; i++) {
				size_t length = targets[i].length;
				if (length <= position &&
						end[-1] == targets[i].name[length - 1] &&
						memcmp(end - length, targets[i].name,
								length) == 0) {
					candidates_put(candidates, position - length, i);
				}
			}
		}
		memcpy(window, window + STRING_PIECE, TARGET_BYTES);
	}
	return 0;
}

static void take_symbol(const Elf64_Sym *symbol, const struct target *target,
		bool is_dynamic, struct prom_elf *out) {
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	if (symbol->st_shndx == SHN_UNDEF) {
		if (is_dynamic && (type == STT_FUNC || type == STT_NOTYPE)) {
			out->imports |= target->kinds & ~(unsigned)DEFINES;
		}
		return;
	}
	if ((target->kinds & DEFINES) != 0 && out->own_malloc[0] == '\0' &&
			(type == STT_FUNC || type == STT_GNU_IFUNC)) {
		memcpy(out->own_malloc, target->name, sizeof(target->name));
		out->own_malloc_address = symbol->st_value;
		out->own_malloc_exported = is_dynamic;
	}
}

int prom_elf_symbols_read(const struct prom_elf_file *file, struct prom_elf_table symbols,
		struct prom_elf_table strings, bool is_dynamic, struct prom_elf *out) {
	struct candidates candidates;
	int r = candidates_find(file, strings, &candidates);

	for (uint64_t i = 0; r == 0 && i < symbols.size_bytes / sizeof(Elf64_Sym);
			i += SYMBOL_PIECE) {
		Elf64_Sym piece[SYMBOL_PIECE] = { 0 };
		uint64_t left = symbols.size_bytes / sizeof(Elf64_Sym) - i;
		size_t count = left < SYMBOL_PIECE ? (size_t)left : SYMBOL_PIECE;
		r = prom_elf_file_read(file, symbols.offset + i * sizeof(Elf64_Sym),
				piece, count * sizeof(Elf64_Sym));
		for (size_t k = 0; r == 0 && k < count; k++) {
			/* NOLINTNEXTLINE(clang-analyzer-core.*): filled by the read above, as r is 0 */
			size_t bit = piece[k].st_name % FILTER_BITS;
			if ((candidates.filter[bit / 64] >> bit % 64 & 1) == 0) {
				continue;
			}
			for (size_t c = 0; c < candidates.count; c++) {
				if (candidates.list[c].offset == piece[k].st_name) {
					take_symbol(&piece[k],
							&targets[candidates.list[c].target],
							is_dynamic, out);
				}
			}
		}
	}
	return r;
}
