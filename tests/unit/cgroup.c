/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/procfs.h"
#include "tests/unit/tap.h"

static char folder[] = "/tmp/promshim-cgroup-XXXXXX";
static int cgroup_fd;

/* Makes the folders of `path` and a file with `text` at its end. */
static void put(const char *path, const char *text) {
	char name[256];

	snprintf(name, sizeof(name), "%s", path);
	for (char *slash = strchr(name, '/'); slash != NULL;
			slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdirat(cgroup_fd, name, 0700);
		*slash = '/';
	}
	int fd = openat(cgroup_fd, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

static uint64_t limit_of(const char *lines) {
	return prom_procfs__cgroup_limit(cgroup_fd, lines, strlen(lines));
}

static void test_v2(void) {
	put("a.slice/b.service/memory.max", "max\n");
	put("a.slice/memory.max", "1048576\n");
	ok(limit_of("0::/a.slice/b.service\n") == 1048576,
			"the limit of the parent applies");
	put("a.slice/b.service/memory.max", "4096\n");
	ok(limit_of("0::/a.slice/b.service\n") == 4096, "the lowest applies");
	ok(limit_of("0::/a.slice/b.service") == 4096, "without a line feed, too");
	ok(limit_of("0::/a.slice/b.service/nothing/here\n") == 4096,
			"folders may be missing");
	ok(limit_of("0::/\n") == UINT64_MAX, "no limit at the root");
	put("memory.max", "8192\n");
	ok(limit_of("0::/\n") == 8192, "the root of a container has one");
	ok(limit_of("0::/../../x\n") == UINT64_MAX, "outside of our namespace");
	unlinkat(cgroup_fd, "memory.max", 0);
}

static void test_v1(void) {
	put("memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
	put("memory/memory.limit_in_bytes", "9223372036854771712\n");
	static const char lines[] = "9:name=systemd:/\n4:cpu,memory:/docker/x\n0::/\n";
	ok(limit_of(lines) == UINT64_MAX, "v1's largest number is no limit");
	put("memory/docker/x/memory.limit_in_bytes", "65536\n");
	ok(limit_of(lines) == 65536, "a limit of v1, by controller");
	ok(limit_of("4:memory_x,xmemory:/docker/x\n") == UINT64_MAX,
			"no such controller");
	put("memory/memory.limit_in_bytes", "32768\n");
	ok(limit_of("4:memory:/docker/not-mounted-here\n") == 32768,
			"a container sees its own cgroup as the root");
}

static void test_hostile(void) {
	static char lines[8192];

	ok(limit_of("") == UINT64_MAX, "an empty file");
	ok(limit_of("nonsense\n:\n::\n4:memory\n\n") == UINT64_MAX, "nonsense");
	memset(lines, '/', sizeof(lines) - 1);
	memcpy(lines, "0::/a.slice", 11);
	ok(limit_of(lines) == UINT64_MAX, "a path that is too long");
	put("bad/memory.max", "99999999999999999999999\n");
	ok(limit_of("0::/bad\n") == UINT64_MAX, "a number that is too large");
	put("bad/memory.max", "");
	ok(limit_of("0::/bad\n") == UINT64_MAX, "no number");
}

static void test_own(void) {
	struct prom_procfs procfs;

	prom_procfs_open(&procfs, getpid(), true);
	uint64_t limit = prom_procfs_memory_limit(&procfs);
	ok(limit >= 1 << 20, "a limit of our own leaves room to run, or there is none");
	prom_procfs_close(&procfs);
	ok(prom_procfs_memory_limit(&procfs) == UINT64_MAX, "closed: none");
}

int main(void) {
	char command[64];

	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	cgroup_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	test_v2();
	test_v1();
	test_hostile();
	test_own();
	close(cgroup_fd);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command) == 0 ? tap_done() : 1;
}
