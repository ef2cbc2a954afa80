/* SPDX-License-Identifier: MIT */
/*
 * Files of /proc of any bytes. Byte 0 says which; what is cut off must not turn one number into
 * another, and a process may have any name.
 */
#include "exporter/procfs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum kind { STAT, NAME, LIMITS, NETSTAT, CGROUP, KINDS };

/* What is told of a cut file is what is told of all of it. */
static void limits_check(const char *text, size_t size) {
	static const char name[] = "Max open files";
	uint64_t whole = 1, cut = 2;
	bool known = prom_procfs__parse_limit(text, size, name, &whole);
	for (size_t i = 0; i < size; i++) {
		REQUIRE(!prom_procfs__parse_limit(text, i, name, &cut) ||
				(known && cut == whole));
	}
}

static void netstat_check(const char *text, size_t size) {
	uint64_t whole = 1, cut = 2;
	bool known = prom_procfs__parse_netstat(text, size, "InOctets", &whole);
	for (size_t i = 0; i < size; i++) {
		REQUIRE(!prom_procfs__parse_netstat(text, i, "InOctets", &cut) ||
				(known && cut == whole));
	}
}

/* A line as the kernel would write it for a process of this name. */
static void name_check(const char *name, size_t size) {
	static const char fields[] =
			" S 1 2 3 4 -1 5 11 7 13 9 17 19 -4 -5 -6 -7 23 0 29 31 \n";
	struct prom_procfs__stat stat;
	size_t used = 0;
	char *text = malloc(size + sizeof(fields) + 16);
	if (text == NULL) {
		abort();
	}
	memcpy(text, "4711 (", 6);
	used = 6;
	memcpy(text + used, name, size);
	used += size;
	text[used++] = ')';
	memcpy(text + used, fields, sizeof(fields) - 1);
	used += sizeof(fields) - 1;
	REQUIRE(prom_procfs__parse_stat(text, used, &stat));
	REQUIRE(stat.state == 'S' && stat.faults_minor == 11 && stat.faults_major == 13);
	REQUIRE(stat.cpu_ticks == 17 + 19 && stat.threads == 23 &&
			stat.start_ticks == 29);
	free(text);
}

/* The lines may name any path; a limit is a number of a file there, or none. */
static void cgroup_check(const char *text, size_t size) {
	static int folder = -1;
	static int inside = -1;
	if (folder < 0) {
		folder = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
		inside = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	(void)prom_procfs__cgroup_limit(folder, text, size);
	/* none of our names is there: only a path that leads out could find one */
	REQUIRE(prom_procfs__cgroup_limit(inside, text, size) == UINT64_MAX);
	REQUIRE(prom_procfs__cgroup_limit(-1, text, size) == UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct prom_procfs__stat stat;
	if (size == 0) {
		return 0;
	}
	enum kind kind = data[0] % KINDS;
	const char *text = (const char *)data + 1;
	size--;
	if (kind == LIMITS) {
		limits_check(text, size < 2000 ? size : 2000);
	} else if (kind == NETSTAT) {
		netstat_check(text, size < 2000 ? size : 2000);
	} else if (kind == NAME) {
		name_check(text, size < 64 ? size : 64);
	} else if (kind == CGROUP) {
		cgroup_check(text, size);
	} else {
		(void)prom_procfs__parse_stat(text, size, &stat);
	}
	return 0;
}
