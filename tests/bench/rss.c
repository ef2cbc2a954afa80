/* SPDX-License-Identifier: MIT */
/*
 * What a preloaded object adds to the memory of a one-thread program.
 *
 *   rss EMPTY OBJECT FOLDER [PAIRS]
 *
 * /bin/cat waits for input under EMPTY and under OBJECT by turns; read is /proc/PID/smaps_rollup
 * once the port file lies in FOLDER (under OBJECT) and the figures have stood still.
 * Prints Rss and Private in KiB of both, and the differences.
 */
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/stats.h"

extern char **environ;

enum {
	PAIRS = 15,
	PAIRS_MAX = 1000,
	SETTLED_READS = 10,
	READ_MS = 50,
	PORT_FILE_MS = 5000
};

struct memory {
	double rss_kib, private_kib;
};

static void fail(const char *what) {
	fprintf(stderr, "rss: %s\n", what);
	exit(1);
}

static struct memory memory_read(pid_t pid) {
	struct memory memory = { 0 };
	char line[256];
	double kib;

	snprintf(line, sizeof line, "/proc/%d/smaps_rollup", (int)pid);
	FILE *file = fopen(line, "r");
	if (file == NULL) {
		fail("no smaps_rollup");
	}
	while (fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "Rss: %lf", &kib) == 1) {
			memory.rss_kib += kib;
		} else if (sscanf(line, "Private_Clean: %lf", &kib) == 1 ||
				sscanf(line, "Private_Dirty: %lf", &kib) == 1) {
			memory.private_kib += kib;
		}
	}
	fclose(file);
	return memory;
}

static struct memory memory_settled(pid_t pid) {
	struct memory memory = memory_read(pid);

	for (int same = 0; same < SETTLED_READS;) {
		poll(NULL, 0, READ_MS);
		struct memory now = memory_read(pid);
		same = now.private_kib > memory.private_kib ||
						now.private_kib < memory.private_kib
				? 0
				: same + 1;
		memory = now;
	}
	return memory;
}

static void wait_for_file(const char *path) {
	for (int waited = 0; access(path, F_OK) != 0; waited += READ_MS) {
		if (waited > PORT_FILE_MS) {
			fail("no port file");
		}
		poll(NULL, 0, READ_MS);
	}
}

/* port_file  what to wait for; NULL: nothing */
static struct memory memory_of(const char *object, const char *port_file) {
	char *arguments[] = { "/bin/cat", NULL };
	posix_spawn_file_actions_t actions;
	int input[2];
	pid_t pid;

	if (pipe(input) != 0) {
		fail("pipe");
	}
	setenv("LD_PRELOAD", object, 1);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input[0], 0);
	posix_spawn_file_actions_addclose(&actions, input[1]);
	if (posix_spawn(&pid, arguments[0], &actions, NULL, arguments, environ) != 0) {
		fail("cannot start /bin/cat");
	}
	unsetenv("LD_PRELOAD");
	if (port_file != NULL) {
		wait_for_file(port_file);
	}
	struct memory memory = memory_settled(pid);
	close(input[0]);
	close(input[1]);
	waitpid(pid, NULL, 0);
	posix_spawn_file_actions_destroy(&actions);
	if (port_file != NULL) {
		unlink(port_file);
	}
	return memory;
}

static void report(const char *name, double *values, size_t count) {
	struct bench_summary summary;

	bench_summarize(values, count, &summary);
	bench_print(name, &summary, "KiB");
}

int main(int argc, char **argv) {
	static double rss[PAIRS_MAX], private[PAIRS_MAX], extra_rss[PAIRS_MAX],
			extra_private[PAIRS_MAX];
	char port_file[512];

	if (argc < 4) {
		fprintf(stderr, "usage: rss EMPTY OBJECT FOLDER [PAIRS]\n");
		return 2;
	}
	size_t pairs = argc > 4 ? strtoul(argv[4], NULL, 10) : PAIRS;
	if (pairs > PAIRS_MAX) {
		fail("too many pairs");
	}
	snprintf(port_file, sizeof port_file, "%s/port", argv[3]);
	setenv("PROMSHIM_PORT", "0", 1);
	setenv("PROMSHIM_PORT_FILE", port_file, 1);
	for (size_t i = 0; i < pairs; i++) {
		struct memory empty = memory_of(argv[1], NULL);
		struct memory shim = memory_of(argv[2], port_file);

		rss[i] = shim.rss_kib;
		private[i] = shim.private_kib;
		extra_rss[i] = shim.rss_kib - empty.rss_kib;
		extra_private[i] = shim.private_kib - empty.private_kib;
	}
	report("rss_shim", rss, pairs);
	report("private_shim", private, pairs);
	report("rss_extra", extra_rss, pairs);
	report("private_extra", extra_private, pairs);
	return 0;
}
