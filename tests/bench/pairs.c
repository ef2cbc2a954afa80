/* SPDX-License-Identifier: MIT */
/*
 * Reads lines "plain shim" and prints, as NAME_ratio, the median of shim/plain with its 95 %
 * interval, and both medians.
 *
 *   pairs NAME UNIT
 */
#include <stdio.h>

#include "tests/bench/stats.h"

enum { PAIRS_MAX = 10000 };

static void report(const char *name, const char *what, double *values, size_t count,
		const char *unit) {
	struct bench_summary summary;
	char line[128];

	snprintf(line, sizeof line, "%s_%s", name, what);
	bench_summarize(values, count, &summary);
	bench_print(line, &summary, unit);
}

int main(int argc, char **argv) {
	static double plain[PAIRS_MAX], shim[PAIRS_MAX], ratio[PAIRS_MAX];
	size_t count = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: pairs NAME UNIT\n");
		return 2;
	}
	while (count < PAIRS_MAX && scanf("%lf %lf", &plain[count], &shim[count]) == 2) {
		ratio[count] = shim[count] / plain[count];
		count++;
	}
	if (count == 0) {
		fprintf(stderr, "pairs: no pair for %s\n", argv[1]);
		return 1;
	}
	report(argv[1], "ratio", ratio, count, "x");
	report(argv[1], "plain", plain, count, argv[2]);
	report(argv[1], "shim", shim, count, argv[2]);
	return 0;
}
