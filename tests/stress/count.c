/* SPDX-License-Identifier: MIT */
/*
 * Waves of threads count known events in blocks that are handed on from thread to thread,
 * while a reader takes pictures: totals must be exact, never fall, and live never negative.
 *
 * count SEED THREADS ROUNDS    defaults 1 8 200; prints the seed
 */
#include <pthread.h>
#include <stdlib.h>

#include "exporter/snapshot.h"
#include "preload/block.h"
#include "preload/record.h"
#include "preload/segment.h"
#include "preload/start.h"
#include "preload/thread.h"
#include "tests/unit/tap.h"

enum { EVENTS = 500, THREADS_MAX = 64 };

static _Atomic int done;
static unsigned long pictures, fallen, negative;

struct work {
	uint64_t random;
	uint64_t bytes; /* out: allocated and freed */
};

static uint64_t next_random(uint64_t *state) {
	*state = *state * 6364136223846793005U + 1442695040888963407U;
	return *state >> 33;
}

static void *count_events(void *arg) {
	struct work *work = arg;
	struct shim_control *control = shim_tls.current;
	for (unsigned i = 0; i < EVENTS; i++) {
		size_t size = next_random(&work->random) % 100000;
		(void)shim_count_allocation(control, control->home, size, size);
		shim_count_free(control->home, size);
		work->bytes += size;
	}
	SHIM_RECORD(reallocations, 1);
	return NULL;
}

static void *take_pictures(void *arg) {
	struct prom_row before = { 0 }, now;
	while (!atomic_load_explicit(&done, memory_order_acquire)) {
		if (prom_snapshot_read(shim_segment, shim_segment->reserved_bytes,
				    &now) != 0) {
			negative++;
			break;
		}
		pictures++;
		fallen += now.totals.allocations < before.totals.allocations ||
				now.totals.frees < before.totals.frees ||
				now.totals.thread_starts < before.totals.thread_starts;
		negative += now.totals.frees > now.totals.allocations ||
				now.totals.thread_ends > now.totals.thread_starts;
		before = now;
	}
	return arg;
}

static int run_wave(struct work *works, unsigned threads) {
	pthread_t thread[THREADS_MAX];
	int failures = 0;
	for (unsigned i = 0; i < threads; i++) {
		struct shim_launch *launch = shim_thread_launch();
		*launch = (struct shim_launch){ .start = count_events,
			.arg = &works[i],
			.stack_bytes = 4096 };
		failures += pthread_create(&thread[i], NULL, shim_thread_main, launch) !=
				0;
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
	}
	return failures;
}

int main(int argc, char **argv) {
	unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 8;
	unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 200;
	printf("# seed %lu, %u threads, %u rounds\n", seed, threads, rounds);
	threads = threads < THREADS_MAX ? threads : THREADS_MAX;

	ok(shim_start_counting(), "counting starts");
	/* release: as the constructor does once the identity is whole */
	atomic_store_explicit(&shim_segment->state, SHIM_STATE_COUNTING,
			memory_order_release);
	pthread_t reader;
	ok(pthread_create(&reader, NULL, take_pictures, NULL) == 0, "a reader runs");
	struct work works[THREADS_MAX];
	for (unsigned i = 0; i < threads; i++) {
		works[i] = (struct work){ .random = seed * 1000 + i };
	}
	int failures = 0;
	for (unsigned round = 0; round < rounds; round++) {
		failures += run_wave(works, threads);
	}
	atomic_store_explicit(&done, 1, memory_order_release);
	pthread_join(reader, NULL);
	is(failures, 0, "every thread started");

	uint64_t bytes = 0;
	for (unsigned i = 0; i < threads; i++) {
		bytes += works[i].bytes;
	}
	uint64_t expected = (uint64_t)threads * rounds;
	struct prom_row row;
	is(prom_snapshot_read(shim_segment, shim_segment->reserved_bytes, &row), 0,
			"the last picture is whole");
	is(row.totals.allocations, expected * EVENTS, "allocations are exact");
	is(row.totals.frees, expected * EVENTS, "frees are exact");
	is(row.totals.allocated_bytes, bytes, "allocated bytes are exact");
	is(row.totals.freed_bytes, bytes, "freed bytes are exact");
	is(row.totals.reallocations, expected, "slow adds are exact");
	is(row.totals.thread_starts, expected, "thread starts are exact");
	is(row.totals.thread_ends, expected, "thread ends are exact");
	is(row.live_bytes, 0, "nothing is live");
	is(row.stack_bytes, 0, "no stack is reserved");
	ok(pictures > 0, "pictures were taken");
	is(fallen, 0, "no counter fell");
	is(negative, 0, "live was never negative");
	uint32_t blocks = atomic_load_explicit(&shim_segment->block_count,
			memory_order_acquire);
	ok(blocks <= 4 * threads + 2, "blocks are handed on, not piled up");
	return tap_done();
}
