/* SPDX-License-Identifier: MIT */
#include "exporter/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "exporter/base/kernel.h"
#include "exporter/elf_symbols.h"
#include "exporter/exporter.h"

enum {
	HEADERS_MAX = 1024, /* program headers; entries of sections and .dynamic below */
	SECTIONS_MAX = 65536, /* -ffunction-sections objects have many, executables few dozens */
	DYNAMIC_MAX = 4096,
	SYMBOL_SECTIONS_MAX =
			2, /* of a kind; the ABI allows one, and each costs a pass */
};

/* Copies the string at `index` of `strings`, cut; what is not printable ASCII becomes '?'. */
static int read_string(const struct prom_elf_file *file, struct prom_elf_table strings,
		uint64_t index, char *out, size_t size_bytes) {
	out[0] = '\0';
	if (index >= strings.size_bytes) {
		return -EBADMSG;
	}
	uint64_t left = strings.size_bytes - index;
	size_t taken = left < size_bytes - 1 ? (size_t)left : size_bytes - 1;
	int r = prom_elf_file_read(file, strings.offset + index, out, taken);
	out[r < 0 ? 0 : taken] = '\0';
	for (char *c = out; *c != '\0'; c++) {
		if (*c < ' ' || *c > '~') {
			*c = '?';
		}
	}
	return r;
}

static int read_program_header(const struct prom_elf_file *file, size_t index,
		Elf64_Phdr *out) {
	return prom_elf_file_read(file, file->header.e_phoff + index * sizeof(*out), out,
			sizeof(*out));
}

/* Turns an address into an offset by the PT_LOAD that holds it. */
static int offset_of(const struct prom_elf_file *file, uint64_t address,
		uint64_t *ret_offset) {
	for (size_t i = 0; i < file->header.e_phnum; i++) {
		Elf64_Phdr header;
		int r = read_program_header(file, i, &header);
		if (r < 0) {
			return r;
		}
		if (header.p_type == PT_LOAD && address >= header.p_vaddr &&
				address - header.p_vaddr < header.p_filesz &&
				header.p_offset <= file->size_bytes) {
			*ret_offset = header.p_offset + (address - header.p_vaddr);
			return 0;
		}
	}
	return -EBADMSG;
}

/* Reads .dynamic: DT_NEEDED, and whether it is a position-independent executable. */
static int read_dynamic(const struct prom_elf_file *file, struct prom_elf_table dynamic,
		struct prom_elf *out, bool *ret_is_pie) {
	uint64_t needed[PROM_ELF_NEEDED_MAX], address = 0;
	struct prom_elf_table strings = { 0 };
	unsigned needed_count = 0;

	for (size_t i = 0; i < DYNAMIC_MAX &&
			(i + 1) * sizeof(Elf64_Dyn) <= dynamic.size_bytes;
			i++) {
		Elf64_Dyn entry;
		int r = prom_elf_file_read(file, dynamic.offset + i * sizeof(entry),
				&entry, sizeof(entry));
		if (r < 0) {
			return r;
		}
		if (entry.d_tag == DT_NULL) {
			break;
		}
		if (entry.d_tag == DT_NEEDED && needed_count < PROM_ELF_NEEDED_MAX) {
			needed[needed_count++] = entry.d_un.d_val;
		} else if (entry.d_tag == DT_STRTAB) {
			address = entry.d_un.d_ptr;
		} else if (entry.d_tag == DT_STRSZ) {
			strings.size_bytes = entry.d_un.d_val;
		} else if (entry.d_tag == DT_FLAGS_1) {
			*ret_is_pie = (entry.d_un.d_val & DF_1_PIE) != 0;
		}
	}
	if (needed_count == 0) {
		return 0;
	}
	int r = offset_of(file, address, &strings.offset);
	if (r == 0 && !prom_elf_table_fits(file, strings)) {
		r = -EBADMSG;
	}
	for (unsigned i = 0; r == 0 && i < needed_count; i++) {
		r = read_string(file, strings, needed[i], out->needed[i],
				PROM_ELF_NAME_BYTES);
		out->needed_count += r == 0;
	}
	return r;
}

static int read_segments(const struct prom_elf_file *file, struct prom_elf *out) {
	bool is_pie = false, has_interpreter = false;
	struct prom_elf_table dynamic = { 0 };

	if (file->header.e_phnum > HEADERS_MAX ||
			(file->header.e_phnum > 0 &&
					file->header.e_phentsize != sizeof(Elf64_Phdr))) {
		return -EBADMSG;
	}
	for (size_t i = 0; i < file->header.e_phnum; i++) {
		Elf64_Phdr header;
		int r = read_program_header(file, i, &header);
		if (r < 0) {
			return r;
		}
		struct prom_elf_table table = { header.p_offset, header.p_filesz };
		if (header.p_type == PT_INTERP) {
			has_interpreter = true;
			r = prom_elf_table_fits(file, table)
					? read_string(file, table, 0, out->interpreter,
							  PROM_ELF_INTERPRETER_BYTES)
					: -EBADMSG;
		} else if (header.p_type == PT_DYNAMIC) {
			dynamic = table;
		}
		if (r < 0) {
			return r;
		}
	}
	int r = dynamic.size_bytes == 0 ? 0 : read_dynamic(file, dynamic, out, &is_pie);
	out->is_static = !has_interpreter && (out->type == ET_EXEC || is_pie);
	return r;
}

static int read_section(const struct prom_elf_file *file, uint64_t index,
		Elf64_Shdr *out) {
	return prom_elf_file_read(file, file->header.e_shoff + index * sizeof(*out), out,
			sizeof(*out));
}

static int read_symbol_section(const struct prom_elf_file *file,
		const Elf64_Shdr *section, uint64_t count, struct prom_elf *out) {
	Elf64_Shdr names;
	int r = section->sh_link < count && section->sh_entsize == sizeof(Elf64_Sym)
			? read_section(file, section->sh_link, &names)
			: -EBADMSG;
	if (r < 0) {
		return r;
	}
	struct prom_elf_table symbols = { section->sh_offset, section->sh_size };
	struct prom_elf_table strings = { names.sh_offset, names.sh_size };
	if (!prom_elf_table_fits(file, symbols) || !prom_elf_table_fits(file, strings)) {
		return -EBADMSG;
	}
	r = prom_elf_symbols_read(file, symbols, strings, section->sh_type == SHT_DYNSYM,
			out);
	out->symbols_known |= r == 0 && section->sh_type == SHT_DYNSYM;
	return r;
}

/* Reads all sections, symbols of kind `type` (SHT_DYNSYM, SHT_SYMTAB). */
static int read_sections(const struct prom_elf_file *file, uint64_t count,
		struct prom_elf_table names, uint32_t type, struct prom_elf *out) {
	unsigned found = 0;

	for (uint64_t i = 0; i < count; i++) {
		Elf64_Shdr section;
		char name[PROM_ELF_NAME_BYTES];
		int r = read_section(file, i, &section);
		if (r == 0 && section.sh_type == type) {
			r = ++found > SYMBOL_SECTIONS_MAX
					? -EBADMSG
					: read_symbol_section(file, &section, count, out);
		}
		if (r < 0) {
			return r;
		}
		if (type == SHT_DYNSYM &&
				read_string(file, names, section.sh_name, name,
						sizeof(name)) == 0 &&
				(strcmp(name, ".go.buildinfo") == 0 ||
						strcmp(name, ".note.go.buildid") == 0)) {
			out->is_go = true;
		}
	}
	return 0;
}

static int read_all_sections(const struct prom_elf_file *file, struct prom_elf *out) {
	uint64_t count = file->header.e_shnum;
	uint64_t names_index = file->header.e_shstrndx;
	struct prom_elf_table names = { 0 };
	Elf64_Shdr first, section;

	if (file->header.e_shoff == 0) {
		return 0; /* stripped of its section headers, which is legal */
	}
	if (file->header.e_shentsize != sizeof(Elf64_Shdr) ||
			file->header.e_shoff > INT64_MAX) {
		return -EBADMSG;
	}
	int r = read_section(file, 0, &first);
	if (r < 0) {
		return r;
	}
	count = count == 0 ? first.sh_size : count;
	names_index = names_index == SHN_XINDEX ? first.sh_link : names_index;
	if (count > SECTIONS_MAX) {
		return -EBADMSG;
	}
	if (names_index < count && read_section(file, names_index, &section) == 0) {
		names = (struct prom_elf_table){ section.sh_offset, section.sh_size };
		if (!prom_elf_table_fits(file, names)) {
			names = (struct prom_elf_table){ 0 };
		}
	}
	r = read_sections(file, count, names, SHT_DYNSYM, out);
	return r < 0 ? r : read_sections(file, count, names, SHT_SYMTAB, out);
}

static bool is_host_machine(uint16_t machine) {
#if defined(__x86_64__)
	return machine == EM_X86_64;
#elif defined(__aarch64__)
	return machine == EM_AARCH64;
#else
#	error "name the ELF machine of this architecture"
#endif
}

int prom_elf_read_fd(int fd, struct prom_elf *out) {
	struct prom_elf_file file = { .fd = fd };
	struct statx status;
	unsigned char *ident = file.header.e_ident;

	memset(out, 0, sizeof(*out));
	int r = kernel_statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &status);
	if (r < 0) {
		return r;
	}
	if (!S_ISREG(status.stx_mode)) {
		return -ENOEXEC;
	}
	file.size_bytes = status.stx_size;
	r = prom_elf_file_read(&file, 0, &file.header, sizeof(Elf32_Ehdr));
	if (r < 0 || memcmp(ident, ELFMAG, SELFMAG) != 0) {
		return r == 0 || r == -EBADMSG ? -ENOEXEC : r;
	}
	out->file_class = ident[EI_CLASS];
	bool is_ours = ident[EI_DATA] ==
			(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB
								   : ELFDATA2MSB);
	if (ident[EI_DATA] != ELFDATA2LSB && ident[EI_DATA] != ELFDATA2MSB) {
		return -EBADMSG;
	}
	out->type = is_ours ? file.header.e_type : __builtin_bswap16(file.header.e_type);
	out->machine = is_ours ? file.header.e_machine
			       : __builtin_bswap16(file.header.e_machine);
	if (!is_ours || out->file_class != ELFCLASS64) {
		return out->file_class == ELFCLASS32 || out->file_class == ELFCLASS64
				? 0
				: -EBADMSG;
	}
	out->is_native = is_host_machine(out->machine);

	r = prom_elf_file_read(&file, 0, &file.header, sizeof(file.header));
	if (r == 0) {
		r = read_segments(&file, out);
	}
	return r < 0 ? r : read_all_sections(&file, out);
}

int prom_elf_read(const char *path, struct prom_elf *out) {
	int fd = kernel_openat(AT_FDCWD, path,
			O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);

	if (fd < 0) {
		memset(out, 0, sizeof(*out));
		return fd;
	}
	int r = prom_elf_read_fd(fd, out);
	(void)kernel_close(fd);
	return r;
}

int prom_exporter_has_own_malloc(const char *path) {
	struct prom_elf elf;
	int r = prom_elf_read(path, &elf);

	if (elf.own_malloc[0] != '\0') {
		return 1;
	}
	return r < 0 ? r : elf.symbols_known ? 0 : -ENODATA;
}
