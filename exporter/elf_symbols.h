/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_ELF_SYMBOLS_H
#define EXPORTER_ELF_SYMBOLS_H

/*
 * The few names that matter, looked for in symbol tables of any size: one pass over the
 * names, one over the symbols, both in pieces.
 */

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prom_elf;

struct prom_elf_file { /* an open ELF file of 64 bits and our byte order */
	int fd;
	uint64_t size_bytes; /* when it was opened: it may shrink */
	Elf64_Ehdr header;
};

struct prom_elf_table { /* of bytes in the file */
	uint64_t offset, size_bytes;
};

/* Reads `size_bytes` at `offset`. Returns 0; -EBADMSG past the end; -errno of pread(2). */
int prom_elf_file_read(const struct prom_elf_file *file, uint64_t offset, void *out,
		size_t size_bytes);

/* Tells whether `table` lies in the file and is small enough to be read whole. */
bool prom_elf_table_fits(const struct prom_elf_file *file, struct prom_elf_table table);

/*
 * Looks through `symbols`, whose names are in `strings`; both must fit.
 *
 * is_dynamic  .dynsym: undefined symbols are imports
 * out         imports and own_malloc* are added to
 * Returns     0 or as prom_elf_file_read
 */
int prom_elf_symbols_read(const struct prom_elf_file *file, struct prom_elf_table symbols,
		struct prom_elf_table strings, bool is_dynamic, struct prom_elf *out);

#endif
