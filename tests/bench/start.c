/* SPDX-License-Identifier: MIT */
/*
 * What a preloaded object adds to the start and end of a program.
 *
 *   start EMPTY OBJECT [PAIRS] [PROGRAM]
 *
 * Spawns PROGRAM (/bin/true) in turn without a preload, under EMPTY (an object with nothing in it) and
 * under OBJECT, and prints the medians and the paired differences in ms. The environment is
 * passed on, so settings of the shim can be tried.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/bench/stats.h"

extern char **environ;

enum { KINDS = 3, PAIRS = 600, WARM_UP = 20, ENVIRONMENT_MAX = 1024 };

static double took_ms(char *program, char **environment) {
	char *arguments[] = { program, NULL };
	uint64_t start = bench_now_ns();
	int status;
	pid_t pid;

	if (posix_spawn(&pid, program, NULL, NULL, arguments, environment) != 0 ||
			waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "start: %s failed\n", program);
		exit(1);
	}
	return (double)(bench_now_ns() - start) / 1e6;
}

/* A copy of our environment whose only LD_PRELOAD is `object` (NULL: none). */
static char **environment_with(const char *object) {
	char **copy = calloc(ENVIRONMENT_MAX + 2, sizeof *copy);
	size_t used = 0;

	for (char **entry = environ; *entry != NULL && used < ENVIRONMENT_MAX; entry++) {
		if (strncmp(*entry, "LD_PRELOAD=", 11) != 0) {
			copy[used++] = *entry;
		}
	}
	if (object != NULL && asprintf(&copy[used], "LD_PRELOAD=%s", object) < 0) {
		exit(1);
	}
	return copy;
}

static void report(const char *name, const double *left, const double *right,
		size_t pairs) {
	struct bench_summary summary;
	double *values = calloc(pairs, sizeof *values);

	for (size_t i = 0; i < pairs; i++) {
		values[i] = left[i] - (right != NULL ? right[i] : 0);
	}
	bench_summarize(values, pairs, &summary);
	bench_print(name, &summary, "ms");
	free(values);
}

int main(int argc, char **argv) {
	if (argc < 3) {
		fprintf(stderr, "usage: start EMPTY OBJECT [PAIRS] [PROGRAM]\n");
		return 2;
	}
	size_t pairs = argc > 3 ? strtoul(argv[3], NULL, 10) : PAIRS;
	char *program = argc > 4 ? argv[4] : "/bin/true";
	char **environment[KINDS] = { environment_with(NULL), environment_with(argv[1]),
		environment_with(argv[2]) };
	double *took[KINDS];

	for (int kind = 0; kind < KINDS; kind++) {
		took[kind] = calloc(pairs + WARM_UP, sizeof **took);
	}
	for (size_t i = 0; i < pairs + WARM_UP; i++) {
		for (size_t j = 0; j < KINDS; j++) {
			size_t kind = (i + j) % KINDS;

			took[kind][i < WARM_UP ? i : i - WARM_UP] =
					took_ms(program, environment[kind]);
		}
	}
	report("start_plain", took[0], NULL, pairs);
	report("start_empty", took[1], NULL, pairs);
	report("start_shim", took[2], NULL, pairs);
	report("start_shim_minus_empty", took[2], took[1], pairs);
	return 0;
}
