/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "exporter/cli.h"
#include "exporter/cli_check.h"
#include "exporter/elf.h"

enum {
	SCRIPT_HEAD_BYTES =
			256, /* BINPRM_BUF_SIZE of Linux: what it reads of a #! line */
	SCRIPT_DEPTH_MAX = 4, /* scripts of scripts, as Linux allows */
};

static const char *machine_name(unsigned machine) {
	switch (machine) {
	case EM_X86_64:
		return "x86-64";
	case EM_386:
		return "i386";
	case EM_AARCH64:
		return "aarch64";
	case EM_ARM:
		return "arm";
	case EM_RISCV:
		return "riscv";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	default:
		return "another machine";
	}
}

/* Adds why the loader would run the file in secure mode, where LD_PRELOAD is ignored. */
static void check_privileges(const char *path, struct prom_findings *out) {
	struct passwd *owner;
	struct stat status;
	char name[64];

	if (stat(path, &status) < 0) {
		return;
	}
	if ((status.st_mode & S_ISUID) != 0) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
		owner = getpwuid(status.st_uid);
		if (owner != NULL) {
			snprintf(name, sizeof(name), "%s", owner->pw_name);
		} else {
			snprintf(name, sizeof(name), "uid %u", status.st_uid);
		}
		prom_finding_add(out, PROM_VERDICT_NO,
				"setuid %s: the loader ignores LD_PRELOAD for everybody else. "
				"Run it as that user without the bit.",
				name);
	} else if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"setgid %u: the loader ignores LD_PRELOAD for everybody else. "
				"Run it as that group without the bit.",
				status.st_gid);
	}
	if (getxattr(path, "security.capability", NULL, 0) > 0) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"It has file capabilities: the loader ignores LD_PRELOAD. Take them "
				"away (setcap -r) and let who starts it give them "
				"(AmbientCapabilities= of a unit, setpriv --ambient-caps).");
	}
}

static bool needs_libc(const struct prom_elf *elf) {
	for (unsigned i = 0; i < elf->needed_count; i++) {
		if (strncmp(elf->needed[i], "libc.so.", 8) == 0 ||
				strncmp(elf->needed[i], "libpthread.so.", 14) == 0) {
			return true;
		}
	}
	return false;
}

static const char *needed_of(const struct prom_elf *elf, const char *stem) {
	for (unsigned i = 0; i < elf->needed_count; i++) {
		if (strncmp(elf->needed[i], stem, strlen(stem)) == 0) {
			return elf->needed[i];
		}
	}
	return NULL;
}

/* Runtimes that want to be the first to see every call, and are libraries. */
static void check_runtimes(const struct prom_elf *elf, struct prom_findings *out) {
	static const struct {
		const char *library, *runtime;
	} alone[] = { { "libtsan.so.", "ThreadSanitizer" },
		{ "liblsan.so.", "LeakSanitizer" } };
	const char *name = needed_of(elf, "libasan.so.");
	if (name != NULL) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"Built with AddressSanitizer, which ends a program in which %s does "
				"not come first. Build it without, or start it with LD_PRELOAD=%s:"
				"libpromshim.so: malloc is not counted then, threads and process_* are.",
				name, name);
	}
	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
		name = needed_of(elf, alone[i].library);
		if (name != NULL) {
			prom_finding_add(out, PROM_VERDICT_NO,
					"Built with %s (%s), where promshim stands aside: nothing is "
					"counted or served. Build it without.",
					alone[i].runtime, name);
		}
	}
}

/* Adds why nothing of ours can get into the file; Returns whether it added something. */
static bool check_loader(const struct prom_elf *elf, struct prom_findings *out) {
	struct prom_elf own;
	const char *needed = prom_cli_basename(elf->interpreter);
	size_t count = out->count;

	(void)prom_elf_read("/proc/self/exe", &own);
	if (elf->file_class == ELFCLASS32) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"32-bit; promshim is built for 64-bit programs. Use the 64-bit program.");
	} else if (!elf->is_native) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"Made for %s; promshim is built for %s. Use a promshim of that machine.",
				machine_name(elf->machine), machine_name(own.machine));
	} else if (elf->type != ET_EXEC && elf->type != ET_DYN) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"An object file or core dump, no program. Check the program.");
	} else if (elf->is_go && (elf->is_static || !needs_libc(elf))) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"Go without cgo: no malloc to count; use client_golang.");
	} else if (elf->is_static) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"Statically linked: nothing can be preloaded. Link it dynamically.");
	} else if (needed[0] != '\0' && own.interpreter[0] != '\0' &&
			strcmp(needed, prom_cli_basename(own.interpreter)) != 0) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"Needs %s; promshim is built for glibc. Use a glibc build of it.",
				needed);
	} else if (needed[0] == '\0') {
		prom_finding_add(out, PROM_VERDICT_NO,
				"A library, no program. Check the program that loads it.");
	}
	return out->count != count;
}

static void check_elf(const char *path, const char *name, bool is_secure_known,
		const struct prom_elf *elf, struct prom_findings *out) {
	size_t count = out->count;

	if (check_loader(elf, out)) {
		return;
	}
	if (!is_secure_known) {
		check_privileges(path, out);
	}
	check_runtimes(elf, out);
	if (elf->own_malloc[0] != '\0') {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"%s is inside the executable (0x%" PRIx64
				"): allocations bypass the hooks; "
				"threads and process_* work. promshim_hooks_active{hook=\"malloc\"} is 0.",
				elf->own_malloc, elf->own_malloc_address);
	}
	if (elf->is_go) {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"Go with cgo: what its C code allocates is counted, Go's own heap is not. "
				"Use client_golang for that.");
	}
	if (!is_secure_known && out->count == count) {
		prom_finding_add(out, PROM_VERDICT_YES,
				"Dynamically linked with %s. Start it with: promshim run -- %s",
				prom_cli_basename(elf->interpreter), name);
	}
}

/* Skips to the next word of `*line`; Returns it, terminated, or NULL at the end. */
static char *next_word(char **line) {
	char *word = *line + strspn(*line, " \t");

	if (*word == '\0') {
		return NULL;
	}
	*line = word + strcspn(word, " \t");
	if (**line != '\0') {
		*(*line)++ = '\0';
	}
	return word;
}

/*
 * Finds the program that runs the script at `path`: what stands behind #!, what env(1)
 * there would run, or the shell.
 *
 * Returns  0; -ENOEXEC no script; -errno, then `interpreter` is what was looked for
 */
static int find_interpreter(const char *path, char *interpreter, size_t size_bytes) {
	char head[SCRIPT_HEAD_BYTES + 1];
	char *line = head + 2, *word;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		return -errno;
	}
	n = read(fd, head, SCRIPT_HEAD_BYTES);
	close(fd);
	if (n < 2 || head[0] != '#' || head[1] != '!') {
		/* as execvp(3) does with what the kernel refuses; shells do the same */
		snprintf(interpreter, size_bytes, "/bin/sh");
		return n > 0 && head[0] != 0x7f && memchr(head, '\0', (size_t)n) == NULL
				? 0
				: -ENOEXEC;
	}
	head[n] = '\0';
	head[strcspn(head, "\r\n")] = '\0';
	word = next_word(&line);
	if (word == NULL) {
		return -ENOEXEC;
	}
	snprintf(interpreter, size_bytes, "%s", word);
	if (strcmp(prom_cli_basename(word), "env") == 0) {
		do {
			word = next_word(&line);
		} while (word != NULL &&
				(strcmp(word, "-S") == 0 || strchr(word, '=') != NULL));
		if (word != NULL && word[0] != '-') {
			char name[SCRIPT_HEAD_BYTES];
			snprintf(name, sizeof(name), "%s", word);
			snprintf(interpreter, size_bytes, "%s", name);
			return prom_cli_find(name, interpreter, size_bytes);
		}
	}
	return access(interpreter, X_OK) < 0 ? -errno : 0;
}

/* Goes from script to interpreter until there is an ELF file; `path` then names it. */
static int follow_scripts(char *path, size_t size_bytes, struct prom_elf *elf,
		struct prom_findings *out) {
	char interpreter[PATH_MAX] = "";

	for (int depth = 0;; depth++) {
		int r = prom_elf_read(path, elf);
		if (r != -ENOEXEC || depth > SCRIPT_DEPTH_MAX) {
			return r;
		}
		r = find_interpreter(path, interpreter, sizeof(interpreter));
		if (r == -ENOEXEC) {
			return r;
		}
		snprintf(out->context, sizeof(out->context), "A script, run by %.200s. ",
				interpreter);
		if (r < 0) {
			return r;
		}
		snprintf(path, size_bytes, "%s", interpreter);
	}
}

void prom_check_executable(const char *path, const char *name, bool is_secure_known,
		struct prom_findings *out) {
	struct prom_elf elf;
	char program[PATH_MAX];
	int r;

	snprintf(program, sizeof(program), "%s", path);
	r = follow_scripts(program, sizeof(program), &elf, out);
	if (r == 0) {
		check_elf(program, name, is_secure_known, &elf, out);
	} else if (r == -ENOEXEC) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"Neither an ELF program nor a script. Check what runs it.");
	} else if (r == -EBADMSG) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"A damaged ELF file: its headers contradict themselves. Build or fetch "
				"it again.");
	} else if (!is_secure_known) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"It cannot be read (%s). Run promshim check as a user who may.",
				prom_cli_error(-r));
	}
	out->context[0] = '\0';
}

void prom_check_command(const char *name, struct prom_findings *out) {
	char path[PATH_MAX];
	int r = prom_cli_find(name, path, sizeof(path));

	if (r == 0) {
		prom_check_executable(path, name, false, out);
	} else if (r == -ENOENT) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"There is no such %s. Check the name.",
				strchr(name, '/') != NULL ? "file" : "program in PATH");
	} else if (r == -EACCES) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"It is no file that can be executed. Give the program itself, and "
				"execute permission (chmod +x).");
	} else {
		prom_finding_add(out, PROM_VERDICT_NO,
				"It cannot be run (%s). Check the name.",
				prom_cli_error(-r));
	}
}
