/* SPDX-License-Identifier: MIT */
#include "exporter/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/exporter.h"
#include "tests/unit/tap.h"

enum { SECTIONS = 6 };

/* A small executable, put together so that every byte of it is known. */
struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
	Elf64_Shdr sections[SECTIONS];
	Elf64_Dyn dynamic[5];
	Elf64_Sym dynsym[6];
	Elf64_Sym symtab[3];
	char interpreter[28];
	char dynstr[80];
	char strtab[5000]; /* longer than the pieces that are read */
	char shstrtab[32];
};

static const char dynstr[] =
		"\0libc.so.6\0xmalloc\0_Znwm\0pthread_create\0thing\0libm.so.6";

static uint32_t place(const char *table, size_t size_bytes, const char *name) {
	const char *found = memmem(table, size_bytes, name, strlen(name) + 1);
	return found == NULL ? 0 : (uint32_t)(found - table);
}

static Elf64_Sym symbol(uint32_t name, unsigned char type, uint16_t section,
		uint64_t value) {
	return (Elf64_Sym){ .st_name = name,
		.st_info = (unsigned char)ELF64_ST_INFO(STB_GLOBAL, type),
		.st_shndx = section,
		.st_value = value };
}

static Elf64_Shdr section(uint32_t type, size_t offset, size_t size_bytes,
		uint32_t link) {
	return (Elf64_Shdr){ .sh_type = type,
		.sh_offset = offset,
		.sh_size = size_bytes,
		.sh_link = link,
		.sh_entsize = sizeof(Elf64_Sym) };
}

#define PART(part) offsetof(struct image, part), sizeof(((struct image *)NULL)->part)

static void image_fill(struct image *image) {
	memset(image, 0, sizeof(*image));
	image->header = (Elf64_Ehdr){ .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
						      ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_phoff = offsetof(struct image, segments),
		.e_shoff = offsetof(struct image, sections),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = SECTIONS,
		.e_shstrndx = 5 };
	image->segments[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
		.p_vaddr = 0x400000,
		.p_filesz = sizeof(*image) };
	image->segments[1] = (Elf64_Phdr){ .p_type = PT_INTERP,
		.p_offset = offsetof(struct image, interpreter),
		.p_filesz = sizeof(image->interpreter) };
	image->segments[2] = (Elf64_Phdr){ .p_type = PT_DYNAMIC,
		.p_offset = offsetof(struct image, dynamic),
		.p_filesz = sizeof(image->dynamic) };
	memcpy(image->interpreter, "/lib64/ld-linux-x86-64.so.2", 28);
	memcpy(image->dynstr, dynstr, sizeof(dynstr));
	memcpy(image->shstrtab, "\0.text\0.go.buildinfo", 21);
	image->dynamic[0].d_tag = DT_NEEDED;
	image->dynamic[0].d_un.d_val = place(dynstr, sizeof(dynstr), "libm.so.6");
	image->dynamic[1].d_tag = DT_STRTAB;
	image->dynamic[1].d_un.d_val = 0x400000 + offsetof(struct image, dynstr);
	image->dynamic[2].d_tag = DT_STRSZ;
	image->dynamic[2].d_un.d_val = sizeof(dynstr);
	image->dynamic[3].d_tag = DT_NEEDED;
	image->dynamic[3].d_un.d_val = place(dynstr, sizeof(dynstr), "libc.so.6");
	image->sections[1] = section(SHT_DYNSYM, PART(dynsym), 2);
	image->sections[2] = section(SHT_STRTAB, PART(dynstr), 0);
	image->sections[3] = section(SHT_SYMTAB, PART(symtab), 4);
	image->sections[4] = section(SHT_STRTAB, PART(strtab), 0);
	image->sections[5] = section(SHT_STRTAB, PART(shstrtab), 0);
	/* "malloc" is the end of "xmalloc", as linkers do it */
	image->dynsym[1] = symbol(place(dynstr, sizeof(dynstr), "malloc"), STT_FUNC,
			SHN_UNDEF, 0);
	image->dynsym[2] = symbol(place(dynstr, sizeof(dynstr), "pthread_create"),
			STT_NOTYPE, SHN_UNDEF, 0);
	image->dynsym[3] = symbol(place(dynstr, sizeof(dynstr), "thing"), STT_FUNC, 1,
			0x401000);
	image->dynsym[4] = symbol(place(dynstr, sizeof(dynstr), "xmalloc"), STT_FUNC, 1,
			0x402000);
}

/* Puts a name across the border of two pieces and a function of that name behind it. */
static void image_define(struct image *image, const char *name, uint32_t offset,
		uint64_t value) {
	memset(image->strtab, 'f', sizeof(image->strtab));
	image->strtab[offset - 1] = '\0';
	memcpy(image->strtab + offset, name, strlen(name) + 1);
	image->strtab[sizeof(image->strtab) - 1] = '\0';
	image->symtab[1] = symbol(offset, STT_OBJECT, 1, 0x1234); /* not a function */
	image->symtab[2] = symbol(offset, STT_FUNC, 1, value);
}

static int image_read(const void *image, size_t size_bytes, struct prom_elf *out) {
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("image", MFD_CLOEXEC);
	}
	if (ftruncate(fd, 0) < 0 ||
			pwrite(fd, image, size_bytes, 0) != (ssize_t)size_bytes) {
		return -EIO;
	}
	return prom_elf_read_fd(fd, out);
}

static void test_image(void) {
	static struct image image;
	struct prom_elf elf;

	image_fill(&image);
	is(image_read(&image, sizeof(image), &elf), 0, "an executable is read");
	is(elf.file_class, ELFCLASS64, "class");
	is(elf.type, ET_EXEC, "type");
	is(elf.machine, EM_X86_64, "machine");
	is_text(elf.interpreter, "/lib64/ld-linux-x86-64.so.2", "interpreter");
	ok(!elf.is_static && !elf.is_go && elf.symbols_known, "dynamic, no Go, symbols");
	is(elf.needed_count, 2, "both DT_NEEDED");
	is_text(elf.needed[0], "libm.so.6", "in order");
	is_text(elf.needed[1], "libc.so.6", "though names come later");
	is(elf.imports, PROM_ELF_IMPORTS_MALLOC | PROM_ELF_IMPORTS_PTHREAD_CREATE,
			"imports malloc and pthread_create, not operator new");
	is_text(elf.own_malloc, "", "xmalloc is no malloc");

	image.dynsym[5] = symbol(place(dynstr, sizeof(dynstr), "_Znwm"), STT_FUNC,
			SHN_UNDEF, 0);
	image.sections[0].sh_name = 7;
	for (uint32_t offset = 4080; offset < 4100; offset++) {
		image_define(&image, "je_malloc", offset, 0x41f2c0);
		if (image_read(&image, sizeof(image), &elf) != 0 ||
				strcmp(elf.own_malloc, "je_malloc") != 0 ||
				elf.own_malloc_address != 0x41f2c0 ||
				elf.own_malloc_exported) {
			is(offset, -1, "a name is found wherever it stands");
		}
	}
	ok((elf.imports & PROM_ELF_IMPORTS_OPERATOR_NEW) != 0, "imports operator new");
	ok(elf.is_go, "a section of the Go linker");
	image.dynsym[1].st_shndx = 1;
	image.dynsym[1].st_value = 0x401180;
	image_read(&image, sizeof(image), &elf);
	is_text(elf.own_malloc, "malloc", ".dynsym comes first");
	is(elf.own_malloc_address, 0x401180, "with its address");
	ok(elf.own_malloc_exported, "and stands before the hooks");
}

static void test_kinds(void) {
	static struct image image;
	struct prom_elf elf;

	image_fill(&image);
	image.segments[1].p_type = PT_NULL;
	image_read(&image, sizeof(image), &elf);
	ok(elf.is_static, "no interpreter: static");
	image.header.e_type = ET_DYN;
	image_read(&image, sizeof(image), &elf);
	ok(!elf.is_static, "a shared object has none either");
	image.dynamic[4].d_tag = DT_FLAGS_1;
	image.dynamic[4].d_un.d_val = DF_1_PIE;
	image_read(&image, sizeof(image), &elf);
	ok(elf.is_static, "static PIE");

	image.header.e_ident[EI_CLASS] = ELFCLASS32;
	is(image_read(&image, sizeof(image), &elf), 0, "32-bit is told");
	ok(elf.file_class == ELFCLASS32 && !elf.is_native && elf.needed_count == 0,
			"and no more");
	image.header.e_ident[EI_DATA] = ELFDATA2MSB;
	image.header.e_machine = 0x1500;
	is(image_read(&image, sizeof(image), &elf), 0, "foreign byte order is told");
	is(elf.machine, EM_PPC64, "with its machine");

	is(image_read("#!/bin/sh\nexit 0\n", 17, &elf), -ENOEXEC, "a script");
	is(prom_elf_read("/dev/null", &elf), -ENOEXEC, "a device");
	is(prom_elf_read("/nonexistent", &elf), -ENOENT, "nothing");
	is(prom_exporter_has_own_malloc("/nonexistent"), -ENOENT,
			"has_own_malloc passes it on");
}

static void test_own_executable(void) {
	struct prom_elf elf;

	is(prom_elf_read("/proc/self/exe", &elf), 0, "this test itself");
	ok(elf.is_native && !elf.is_static, "is native and dynamic");
	ok(elf.interpreter[0] == '/', "has an interpreter");
	ok(elf.needed_count > 0, "needs a library");
	ok(elf.symbols_known, "and has symbols");
}

static void is_sane(const struct prom_elf *elf, int r, size_t at, int *failures) {
	bool passed = (r == 0 || r == -ENOEXEC || r == -EBADMSG) &&
			elf->needed_count <= PROM_ELF_NEEDED_MAX &&
			memchr(elf->interpreter, '\0', sizeof(elf->interpreter)) !=
					NULL &&
			memchr(elf->own_malloc, '\0', sizeof(elf->own_malloc)) != NULL;

	if (!passed) {
		printf("# not sane: change %zu, result %d\n", at, r);
		(*failures)++;
	}
}

static void test_hostile(void) {
	static struct image image;
	struct prom_elf elf;
	int failures = 0;

	image_fill(&image);
	image_define(&image, "malloc", 4090, 1);
	for (size_t size = 0; size < offsetof(struct image, shstrtab);
			size += size < 1200 ? 1 : 61) {
		int r = image_read(&image, size, &elf);
		is_sane(&elf, r, size, &failures);
		failures += r == 0;
	}
	is(failures, 0, "every truncation is refused");
	for (size_t bit = 0; bit < offsetof(struct image, interpreter) * 8; bit++) {
		unsigned char *byte = (unsigned char *)&image + bit / 8;
		*byte ^= (unsigned char)(1U << bit % 8);
		is_sane(&elf, image_read(&image, sizeof(image), &elf), bit, &failures);
		*byte ^= (unsigned char)(1U << bit % 8);
	}
	is(failures, 0, "every flipped bit of the headers is borne");
	srandom(1);
	for (size_t round = 0; round < 20000; round++) {
		struct image broken = image;
		for (int i = 0; i < 4;
				i++) { /* whole words of nonsense, which bits never reach */
			size_t word = (size_t)random() %
					(offsetof(struct image, interpreter) / 4);
			uint32_t value = random() % 2 == 0 ? UINT32_MAX
							   : (uint32_t)random() % 8192;
			memcpy((char *)&broken + word * 4, &value, sizeof(value));
		}
		is_sane(&elf, image_read(&broken, sizeof(broken), &elf), round,
				&failures);
	}
	is(failures, 0, "nonsense is borne");
}

int main(void) {
	test_image();
	test_kinds();
	test_own_executable();
	test_hostile();
	return tap_done();
}
