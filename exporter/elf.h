/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_ELF_H
#define EXPORTER_ELF_H

/*
 * What an executable says about itself, as far as it decides whether it can be
 * instrumented.
 *
 * The file is hostile until proved otherwise: it is read by pread(2) in pieces (a mapping
 * would be SIGBUS when the file shrinks), every offset and size is checked, every list is
 * bounded and the time is too. No heap, no stdio; about 10 KiB of stack.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PROM_ELF_NEEDED_MAX = 32,
	PROM_ELF_NAME_BYTES = 64,
	PROM_ELF_INTERPRETER_BYTES = 128
};

enum prom_elf_import { /* bits of prom_elf.imports */
	PROM_ELF_IMPORTS_MALLOC = 1U << 0, /* malloc, calloc, realloc, ... */
	PROM_ELF_IMPORTS_OPERATOR_NEW = 1U << 1, /* _Znwm, _Znam, ... */
	PROM_ELF_IMPORTS_PTHREAD_CREATE = 1U << 2, /* pthread_create, thrd_create */
};

struct prom_elf {
	uint8_t file_class; /* ELFCLASS32, ELFCLASS64 */
	bool is_native; /* class, byte order and machine are those of this build */
	uint16_t machine; /* EM_X86_64, ... */
	uint16_t type; /* ET_EXEC, ET_DYN, ... */

	/* filled for 64-bit files of our byte order only, whatever the machine */
	bool is_static; /* an executable that no dynamic linker loads, static PIE included */
	bool is_go; /* made by the Go linker, with or without cgo */
	bool symbols_known; /* .dynsym was found and read to its end */
	char interpreter[PROM_ELF_INTERPRETER_BYTES]; /* "/lib64/ld-linux-x86-64.so.2"; "" = none */
	unsigned imports; /* bits by enum prom_elf_import, from .dynsym */
	unsigned needed_count; /* entries of needed[]; further ones are left out */
	char needed[PROM_ELF_NEEDED_MAX]
		   [PROM_ELF_NAME_BYTES]; /* DT_NEEDED, cut; printable ASCII */

	/* an allocator inside: the first that .dynsym, then .symtab defines as a function */
	char own_malloc[PROM_ELF_NAME_BYTES]; /* "malloc", "je_malloc", ...; "" = none found */
	uint64_t own_malloc_address; /* as in the file; 0 when none */
	bool own_malloc_exported; /* in .dynsym: it stands before our hooks */
};

/*
 * Reads the open regular file `fd`; its offset is not moved.
 *
 * out      filled whole, also on errors
 * Returns  0; -ENOEXEC no ELF file (a script, text, too short); -EBADMSG an ELF file that
 *          contradicts itself (what came before the contradiction is in `out`); -errno of
 *          pread(2)
 * Calls    any thread
 * Source   elf(5); System V ABI, chapters 4 and 5
 */
int prom_elf_read_fd(int fd, struct prom_elf *out);

/* As prom_elf_read_fd for a path; -ENOEXEC also when it is no regular file; -errno of open(2). */
int prom_elf_read(const char *path, struct prom_elf *out);

#endif
