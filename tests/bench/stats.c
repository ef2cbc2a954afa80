/* SPDX-License-Identifier: MIT */
#include "tests/bench/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int compare(const void *left, const void *right) {
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/*
 * Rank of the interval's lower end: the median lies between the values of rank k and
 * n-1-k unless more than n-k-1 of n coin tosses agree; normal approximation, which gives the exact
 * ranks for n = 20 (6th and 15th, 95.9 %).
 */
static size_t lower_rank(size_t count) {
	double half = (double)count / 2, root = 1;

	for (int i = 0; i < 60; i++) {
		root = (root + (double)count / root) / 2;
	}
	return half > 0.98 * root ? (size_t)(half - 0.98 * root) : 0;
}

void bench_summarize(double *values, size_t count, struct bench_summary *out) {
	*out = (struct bench_summary){ 0 };
	if (count == 0) {
		return;
	}
	qsort(values, count, sizeof *values, compare);
	size_t low = lower_rank(count);

	out->median = (values[(count - 1) / 2] + values[count / 2]) / 2;
	out->low = values[low];
	out->high = values[count - 1 - low];
	out->q1 = values[count / 4];
	out->q3 = values[count - 1 - count / 4];
}

void bench_print(const char *name, const struct bench_summary *summary,
		const char *unit) {
	printf("%s %.4f %s low=%.4f high=%.4f q1=%.4f q3=%.4f\n", name, summary->median,
			unit, summary->low, summary->high, summary->q1, summary->q3);
}

uint64_t bench_now_ns(void) {
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}
