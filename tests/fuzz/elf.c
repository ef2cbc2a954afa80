/* SPDX-License-Identifier: MIT */
/*
 * A file of any bytes, read as `promshim check` reads the program that it is given: as an ELF
 * file, and else as a script.
 */
#include "exporter/elf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/cli_check.h"
#include "exporter/exporter.h"
#include "tests/fuzz/fuzz.h"

static void text_check(const char *text, size_t size) {
	const char *end = memchr(text, '\0', size);
	REQUIRE(end != NULL);
	for (; text < end; text++) {
		REQUIRE(*text >= ' ' && *text <= '~');
	}
}

static void elf_check(const struct prom_elf *elf, int r) {
	REQUIRE(r == 0 || r == -ENOEXEC || r == -EBADMSG);
	REQUIRE(elf->needed_count <= PROM_ELF_NEEDED_MAX);
	for (unsigned i = 0; i < elf->needed_count; i++) {
		text_check(elf->needed[i], PROM_ELF_NAME_BYTES);
	}
	text_check(elf->interpreter, PROM_ELF_INTERPRETER_BYTES);
	text_check(elf->own_malloc, PROM_ELF_NAME_BYTES);
	REQUIRE(elf->own_malloc[0] != '\0' ||
			(elf->own_malloc_address == 0 && !elf->own_malloc_exported));
	REQUIRE((elf->imports & ~7U) == 0);
	REQUIRE(r != 0 || elf->file_class == 1 || elf->file_class == 2);
	REQUIRE(!elf->is_native || elf->file_class == 2);
}

static void findings_check(const struct prom_findings *findings) {
	REQUIRE(findings->count > 0 && findings->count <= PROM_FINDINGS_MAX);
	REQUIRE(prom_findings_verdict(findings) <= PROM_VERDICT_NO);
	for (size_t i = 0; i < findings->count; i++) {
		REQUIRE(memchr(findings->list[i].text, '\0', PROM_FINDING_BYTES) != NULL);
		REQUIRE(findings->list[i].text[0] != '\0');
	}
	REQUIRE(findings->context[0] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static struct prom_findings findings;
	static struct prom_elf elf, again;
	static int fd = -1;
	char path[64];

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		REQUIRE(fd >= 0 && fchmod(fd, 0755) == 0);
	}
	REQUIRE(ftruncate(fd, 0) == 0);
	REQUIRE(pwrite(fd, data, size, 0) == (ssize_t)size);
	memset(&elf, 0xa5, sizeof(elf));
	memset(&again, 0x5a, sizeof(again));
	int r = prom_elf_read_fd(fd, &elf);
	elf_check(&elf, r);
	/* nothing of it comes from what was there before */
	REQUIRE(prom_elf_read_fd(fd, &again) == r);
	REQUIRE(memcmp(elf.needed, again.needed, sizeof(elf.needed)) == 0);
	REQUIRE(elf.imports == again.imports && elf.is_static == again.is_static);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int own = prom_exporter_has_own_malloc(path);
	REQUIRE((own == 1) == (elf.own_malloc[0] != '\0'));
	memset(&findings, 0, sizeof(findings));
	prom_check_executable(path, "fuzz", false, &findings);
	findings_check(&findings);
	return 0;
}
