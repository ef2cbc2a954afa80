/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/cli.h"
#include "exporter/cli_check.h"
#include "exporter/cli_process.h"
#include "exporter/cli_segment.h"

/*
 * Why the object is not mapped, told from LD_PRELOAD as the process got it.
 */
static void check_preload(const struct prom_process *process, struct prom_findings *out) {
	char preload[512], entry[512], path[PATH_MAX];

	if (!prom_process_environment(process, "LD_PRELOAD", preload, sizeof(preload))) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"LD_PRELOAD is not in its environment. sudo removes it: sudo env "
				"LD_PRELOAD=... ; in a unit: Environment=LD_PRELOAD=...");
		return;
	}
	if (!prom_process_preload_entry(preload, entry, sizeof(entry))) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"libpromshim.so is not mapped; LD_PRELOAD there is \"%s\", which does not "
				"name it. Start it by promshim run, which appends.",
				preload);
		return;
	}
	if (strchr(entry, '/') == NULL) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"libpromshim.so is not mapped; LD_PRELOAD there is \"%s\", %s Give the "
				"full path.",
				preload,
				prom_process_has_library(process, entry)
						? "which the loader did not find or could not load."
						: "which is in no library folder.");
		return;
	}
	/* NOLINTNEXTLINE(readability-suspicious-call-argument): named for what they are */
	if (prom_process_path(process, entry, path, sizeof(path)) &&
			access(path, F_OK) == 0) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"libpromshim.so is not mapped, though LD_PRELOAD there is \"%s\" and that "
				"file exists now: the loader could not load it at the start, and said why "
				"on stderr. Start it again.",
				preload);
		return;
	}
	prom_finding_add(out, PROM_VERDICT_NO,
			"libpromshim.so is not mapped; LD_PRELOAD there is \"%s\", and there is no such "
			"file for this process. Give the full path, without blanks or colons.",
			preload);
}

static void check_unmapped(const struct prom_process *process,
		struct prom_findings *out) {
	char path[64], name[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", process->pid);
	n = readlink(path, name, sizeof(name) - 1);
	if (n < 0 && errno == ENOENT) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"A thread of the kernel: it has no libc. Check a program.");
		return;
	}
	if (n < 0) { /* not known, which is not a no */
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"It may not be looked at (%s). Run promshim check as its user or as "
				"root, or ask its page: promshim check URL",
				prom_cli_error(errno));
		return;
	}
	name[n] = '\0';
	prom_check_executable(path, name, true, out);
	if (prom_findings_verdict(out) == PROM_VERDICT_NO) {
		return;
	}
	out->count = 0; /* what would be half counted is not counted at all */
	if (process->is_secure) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"It runs in secure mode (setuid, setgid or file capabilities): the loader "
				"ignored LD_PRELOAD. Run it as that user without the bit.");
	} else if (process->environment == NULL) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"libpromshim.so is not mapped, and its environment cannot be read. Run "
				"promshim check as its user or as root.");
	} else {
		check_preload(process, out);
	}
}

/* Mapped, but there is no segment: it passes everything through, or we may not look. */
static void check_without_segment(const struct prom_process *process,
		const struct prom_segment_search *search, struct prom_findings *out) {
	char mode[64] = "", disable[64] = "";

	(void)prom_process_environment(process, "PROMSHIM_MODE", mode, sizeof(mode));
	(void)prom_process_environment(process, "PROMSHIM_DISABLE", disable,
			sizeof(disable));
	if (search->error < 0) {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"%s is mapped, but its memory cannot be read (%s). Run promshim check as "
				"root, or ask its page: promshim check URL",
				search->object, prom_cli_error(-search->error));
	} else if (search->is_damaged) {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"What it publishes contradicts itself: something wrote over it, or it is "
				"no segment of promshim. Start it again.");
	} else if (search->abi_major != 0) {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"It counts with another release of promshim (layout %u, this is %d). Use "
				"the promshim command of that release.",
				search->abi_major, SHIM_ABI_MAJOR);
	} else if (process->is_secure) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"%s is mapped but off: the process runs in secure mode (setuid, setgid or "
				"file capabilities). Run it as that user without the bit.",
				search->object);
	} else if (strcmp(mode, "off") == 0 || disable[0] != '\0') {
		prom_finding_add(out, PROM_VERDICT_NO,
				"%s is mapped but off: %s is in its environment. Start it again without.",
				search->object,
				disable[0] != '\0' ? "PROMSHIM_DISABLE"
						   : "PROMSHIM_MODE=off");
	} else if (search->foreign_pid != 0) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"It was forked by process %d in a way that the hooks do not see, and has "
				"counted nothing since. Look at %d.",
				search->foreign_pid, search->foreign_pid);
	} else if (process->is_filtered) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"%s is mapped but off: the process started under a seccomp filter, "
				"which may kill it for a call of ours. If it allows those of promshim(1), "
				"set PROMSHIM_TUNE=seccomp=1.",
				search->object);
	} else {
		prom_finding_add(out, PROM_VERDICT_NO,
				"%s is mapped but passes everything through. Look at PROMSHIM_INCLUDE, "
				"PROMSHIM_EXCLUDE and PROMSHIM_MODE in its environment.",
				search->object);
	}
}

/* Adds what is not counted, and for an allocator inside the executable where it is. */
static void check_hooks(const struct prom_process *process,
		const struct shim_segment *segment, struct prom_findings *out) {
	/* relaxed: a copy that nobody writes */
	uint32_t active = atomic_load_explicit(&segment->hooks_active,
			memory_order_relaxed);
	uint32_t known =
			atomic_load_explicit(&segment->hooks_known, memory_order_relaxed);
	char path[64];

	for (unsigned hook = 0; hook < SHIM_HOOK_COUNT; hook++) {
		size_t count = out->count;
		if ((known >> hook & 1) == 0 || (active >> hook & 1) != 0) {
			continue;
		}
		if (hook == SHIM_HOOK_MALLOC) {
			snprintf(path, sizeof(path), "/proc/%d/exe", process->pid);
			prom_check_executable(path, segment->program, true, out);
		}
		if (out->count == count) {
			prom_finding_add(out, PROM_VERDICT_PARTLY,
					"Its calls of %s bypass the hooks (defined inside the executable, or "
					"by a library before ours) and are not counted; the rest is. Look at "
					"promshim_hooks_active.",
					prom_segment_hook_name(hook));
		}
	}
}

static bool is_loopback(const char *address) {
	return address[0] == '\0' || strcmp(address, "localhost") == 0 ||
			strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static void check_closed_port(const struct prom_process *process,
		const struct shim_segment *segment, const char *address,
		struct prom_findings *out) {
	char value[16];
	unsigned port, uid;

	prom_segment_setting(segment, "PROMSHIM_PORT", value, sizeof(value));
	if (strcmp(value, "none") == 0) {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"It counts, but nothing is served: PROMSHIM_PORT is none and there is no "
				"socket. Set PROMSHIM_SOCKET or a port.");
		return;
	}
	port = (unsigned)strtoul(value, NULL, 10);
	if (port != 0 && prom_process_port_owner(process, port, &uid)) {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"port %u on %s is taken by another program (uid %u). Counting goes on, "
				"nothing is served. Set PROMSHIM_PORT, or 0 with PROMSHIM_PORT_FILE.",
				port, address, uid);
	} else {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"It counts, but nothing is served: no port is open yet. The messages below "
				"may say why; else ask again.");
	}
}

/* Adds where it serves, and why that may still not be reached from where people scrape. */
static void check_port(const struct prom_process *process, const char *address,
		uint32_t port, struct prom_findings *out) {
	bool is_any = strcmp(address, "*") == 0;
	bool is_v6 = strchr(address, ':') != NULL;
	bool is_elsewhere = is_loopback(address) &&
			prom_process_is_network_elsewhere(process);
	bool is_inside = is_loopback(address) && prom_process_is_in_container(process);
	char reach[256] = "";

	if (is_elsewhere || is_inside) {
		snprintf(reach, sizeof(reach),
				"listening on %s inside a container: not reachable from outside. Set "
				"PROMSHIM_ADDRESS=*",
				address);
	}
	if (is_elsewhere) {
		prom_finding_add(out, PROM_VERDICT_PARTLY, "%s", reach);
		return;
	}
	/* who asks shares its network, and so does reach it */
	prom_finding_add(out, PROM_VERDICT_YES,
			"It serves http://%s%s%s:%" PRIu32 "/metrics%s%s",
			is_v6 ? "[" : "", is_any ? "localhost" : address,
			is_v6 ? "]" : "", port,
			is_any                      ? ", on all addresses."
					: is_inside ? ", "
						    : "",
			reach);
}

static void check_serving(const struct prom_process *process,
		const struct shim_segment *segment, const char *address,
		struct prom_findings *out) {
	/* relaxed: a copy that nobody writes */
	uint32_t port = atomic_load_explicit(&segment->port, memory_order_relaxed);
	char socket[512];

	prom_segment_setting(segment, "PROMSHIM_SOCKET", socket, sizeof(socket));
	if (port != 0) {
		check_port(process, address, port, out);
	} else if (socket[0] != '\0') {
		prom_finding_add(out, PROM_VERDICT_YES, "It serves unix:%s", socket);
	} else {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"It says that it serves, but names neither port nor socket. Look at the "
				"messages below.");
	}
}

static void check_segment(const struct prom_process *process,
		const struct shim_segment *segment, struct prom_findings *out) {
	/* relaxed: a copy that nobody writes */
	uint32_t state = atomic_load_explicit(&segment->state, memory_order_relaxed);
	char address[128];

	prom_segment_setting(segment, "PROMSHIM_ADDRESS", address, sizeof(address));
	if (address[0] == '\0') {
		strcpy(address, "127.0.0.1");
	}
	if (segment->mode == SHIM_MODE_OFF) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"libpromshim.so is mapped but off (PROMSHIM_MODE=off). Start it again "
				"without.");
		return;
	}
	check_hooks(process, segment, out);
	if (state == SHIM_STATE_STARTING) {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"It is still starting. Ask again.");
	} else if (state == SHIM_STATE_ENDED) {
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"It is ending: its exit handlers have run. Start it again.");
	} else if (segment->mode == SHIM_MODE_COUNT) {
		prom_finding_add(out, PROM_VERDICT_YES,
				"It counts and serves nothing, as asked for (PROMSHIM_MODE=count).");
	} else if (state == SHIM_STATE_COUNTING) {
		check_closed_port(process, segment, address, out);
	} else {
		check_serving(process, segment, address, out);
	}
}

void prom_check_process(pid_t pid, struct prom_findings *out, FILE *details) {
	static struct shim_segment segment; /* too large and too aligned for a stack */
	struct prom_segment_search search;
	struct prom_process process;
	int r = prom_process_init(&process, pid);

	if (r < 0) {
		prom_finding_add(out, PROM_VERDICT_NO,
				r == -ESRCH ? "There is no such process. Check the number."
					    : "It has ended and waits for its parent (zombie). Start it "
					      "again.");
		return;
	}
	if (prom_segment_find(process.pid, process.namespace_pid, &search, &segment)) {
		check_segment(&process, &segment, out);
		prom_segment_print(&segment, details);
	} else if (search.is_mapped || search.is_damaged || search.abi_major != 0 ||
			search.foreign_pid != 0) {
		check_without_segment(&process, &search, out);
	} else {
		check_unmapped(&process, out);
	}
	prom_process_finish(&process);
}
