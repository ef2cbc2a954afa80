/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_STATS_H
#define TESTS_BENCH_STATS_H

/*
 * Medians with the interval that holds them, and the one line format of all benchmarks:
 * "name value unit", then the spread as "key=value" words.
 */

#include <stddef.h>
#include <stdint.h>

struct bench_summary {
	double median;
	double low, high; /* 95 % interval of the median, by order statistics */
	double q1, q3; /* half of the values lie between */
};

/* Sorts `values` in place and summarizes them; all zero when there is none. */
void bench_summarize(double *values, size_t count, struct bench_summary *out);

/* Prints "name median unit low=.. high=.. q1=.. q3=..". */
void bench_print(const char *name, const struct bench_summary *summary, const char *unit);

/* CLOCK_MONOTONIC in ns. */
uint64_t bench_now_ns(void);

#endif
