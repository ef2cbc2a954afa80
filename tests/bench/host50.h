/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_HOST50_H
#define TESTS_BENCH_HOST50_H

/*
 * How far each thread of host50 has come, in a file that the load generator maps: reading
 * it costs the host nothing.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

enum { BENCH_HOST_THREADS = 50 };

struct bench_host_thread {
	alignas(64) _Atomic uint64_t work; /* malloc/free pairs; writer: its thread */
};

struct bench_host {
	struct bench_host_thread thread[BENCH_HOST_THREADS];
};

#endif
