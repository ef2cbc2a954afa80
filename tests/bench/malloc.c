/* SPDX-License-Identifier: MIT */
/*
 * What the preloaded object adds to malloc and free, measured inside one process.
 *
 * Both sides are called by equal machine code through a function pointer: "plain" is
 * libc's own function, "shim" is what the name means in this process, so run it with
 * LD_PRELOAD=object. Without a preload both are the same and the ratio shows the error of
 * measurement. Sides alternate in batches of some 30 us, which clock changes and
 * neighbours on the machine hit alike; each round yields one ratio.
 *
 * pair   malloc(64), free
 * mixed  free and malloc again one of 256 live blocks of a side, sizes 16 to 4096,
 *        logarithmically uniform, in a fixed pseudo-random order
 *
 * With two threads both run the same side at the same time: a shared cache line shows.
 *
 *   malloc [ROUNDS]    fewer for what is slow
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/stats.h"

enum { SIDES = 2, THREADS_MAX = 2, ROUNDS_MAX = 8000, WARM_UP_MAX = 200 };
enum { SLOTS = 256, STEPS = 65521, BATCH_NS = 30000 };

typedef void *(*malloc_fn)(size_t);
typedef void (*free_fn)(void *);

struct side {
	malloc_fn allocate;
	free_fn release;
};

struct step {
	uint16_t slot, size;
};

struct worker {
	pthread_t thread;
	void *slot[SIDES][SLOTS];
	size_t position; /* in steps */
	float took_ns[ROUNDS_MAX][SIDES]; /* per operation */
};

typedef uint64_t (*batch_fn)(struct worker *worker, unsigned pairs);

#define HOT    __attribute__((noinline, aligned(64)))
#define INLINE static inline __attribute__((always_inline))

static struct side sides[SIDES]; /* plain, shim */
static struct step steps[STEPS];
static struct worker workers[THREADS_MAX];
static double values[ROUNDS_MAX];

static unsigned rounds = ROUNDS_MAX, warm_up = WARM_UP_MAX, threads, count;
static const batch_fn *batch; /* by side */
static _Atomic unsigned arrived; /* at barriers, ever; written by all workers */

static void barrier(unsigned number) {
	unsigned spins = 0;

	if (threads == 1) {
		return;
	}
	/* acq_rel: only keeps the batches from sliding over the barrier */
	atomic_fetch_add_explicit(&arrived, 1, memory_order_acq_rel);
	while (atomic_load_explicit(&arrived, memory_order_acquire) <
			(number + 1) * threads) {
		if (++spins > 2000) {
			sched_yield();
		}
	}
}

/*
 * Each side has a copy of the loops of its own, so that every call has one target, as a
 * call of malloc has in a program: with two targets by turns the prediction of the call
 * costs more than the shim, on both sides, and flatters the ratio.
 */
INLINE uint64_t pair_loop(const struct side *side, unsigned pairs) {
	malloc_fn allocate = side->allocate;
	free_fn release = side->release;
	uint64_t start = bench_now_ns();

	for (unsigned i = 0; i < pairs; i++) {
		release(allocate(64));
	}
	return bench_now_ns() - start;
}

INLINE uint64_t mixed_loop(const struct side *side, struct worker *worker, void **slot,
		unsigned pairs) {
	malloc_fn allocate = side->allocate;
	free_fn release = side->release;
	size_t position = worker->position;
	uint64_t start = bench_now_ns();

	for (unsigned i = 0; i < pairs; i++) {
		struct step step = steps[position];

		position = position + 1 < STEPS ? position + 1 : 0;
		release(slot[step.slot]);
		slot[step.slot] = allocate(step.size);
	}
	uint64_t took = bench_now_ns() - start;
	worker->position = position;
	return took;
}

HOT static uint64_t pair_plain(struct worker *worker, unsigned pairs) {
	return pair_loop(&sides[0], pairs);
}

HOT static uint64_t pair_shim(struct worker *worker, unsigned pairs) {
	return pair_loop(&sides[1], pairs);
}

HOT static uint64_t mixed_plain(struct worker *worker, unsigned pairs) {
	return mixed_loop(&sides[0], worker, worker->slot[0], pairs);
}

HOT static uint64_t mixed_shim(struct worker *worker, unsigned pairs) {
	return mixed_loop(&sides[1], worker, worker->slot[1], pairs);
}

static const batch_fn pair[SIDES] = { pair_plain, pair_shim };
static const batch_fn mixed[SIDES] = { mixed_plain, mixed_shim };

static void *work(void *argument) {
	struct worker *worker = argument;

	for (unsigned round = 0; round < warm_up + rounds; round++) {
		for (unsigned half = 0; half < SIDES; half++) {
			int which = (int)((round + half) % SIDES);

			barrier(round * SIDES + half);
			uint64_t took = batch[which](worker, count);
			if (round >= warm_up) {
				worker->took_ns[round - warm_up][which] =
						(float)took / (float)count;
			}
		}
	}
	return NULL;
}

static double took_ns(unsigned round, int which) {
	double sum = 0;

	for (unsigned i = 0; i < threads; i++) {
		sum += (double)workers[i].took_ns[round][which];
	}
	return sum / threads;
}

static void report(const char *name) {
	static const char *const what[SIDES] = { "plain", "shim" };
	struct bench_summary summary;
	char line[64];

	for (unsigned i = 0; i < rounds; i++) {
		values[i] = took_ns(i, 1) / took_ns(i, 0);
	}
	bench_summarize(values, rounds, &summary);
	snprintf(line, sizeof line, "%s_%ut_ratio", name, threads);
	bench_print(line, &summary, "x");
	for (int which = 0; which < SIDES; which++) {
		for (unsigned i = 0; i < rounds; i++) {
			values[i] = took_ns(i, which);
		}
		bench_summarize(values, rounds, &summary);
		snprintf(line, sizeof line, "%s_%ut_%s", name, threads, what[which]);
		bench_print(line, &summary, "ns");
	}
}

static void run(const char *name, const batch_fn *batches, unsigned thread_count) {
	batch = batches;
	threads = thread_count;
	atomic_store_explicit(&arrived, 0, memory_order_relaxed); /* no worker runs */
	uint64_t took = batch[0](&workers[0], 20000);
	count = (unsigned)(20000.0 * BATCH_NS / (double)took) + 1;
	for (unsigned i = 1; i < threads; i++) {
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
			perror("pthread_create");
			exit(1);
		}
	}
	work(&workers[0]);
	for (unsigned i = 1; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
	}
	report(name);
}

static uint32_t draw(void) {
	static uint64_t state = 88172645463325252U;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32);
}

/* Each octave of 16 to 4096 is as likely as any other. */
static void fill_steps(void) {
	for (size_t i = 0; i < STEPS; i++) {
		uint32_t octave = 16U << draw() % 8;

		steps[i].slot = (uint16_t)(draw() % SLOTS);
		steps[i].size = (uint16_t)(octave + draw() % (octave + (octave == 2048)));
	}
}

static void find_sides(void) {
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	if (libc == NULL) {
		fprintf(stderr, "malloc: %s\n", dlerror());
		exit(1);
	}
	void *from[SIDES] = { libc, RTLD_DEFAULT };
	for (int i = 0; i < SIDES; i++) {
		sides[i].allocate = (malloc_fn)(uintptr_t)dlsym(from[i], "malloc");
		sides[i].release = (free_fn)(uintptr_t)dlsym(from[i], "free");
	}
	Dl_info info;
	if (dladdr((void *)(uintptr_t)sides[1].allocate, &info) != 0) {
		printf("# malloc of %s against libc's\n", info.dli_fname);
	}
}

int main(int argc, char **argv) {
	if (argc > 1) {
		unsigned long wanted = strtoul(argv[1], NULL, 10);

		if (argc > 2 || wanted < 1 || wanted > ROUNDS_MAX) {
			fprintf(stderr, "usage: malloc [ROUNDS], at most %d\n",
					ROUNDS_MAX);
			return 2;
		}
		rounds = (unsigned)wanted;
		warm_up = rounds < WARM_UP_MAX ? rounds / 4 : WARM_UP_MAX;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	find_sides();
	fill_steps();
	memset(workers, 1, sizeof workers); /* no page fault while measuring */
	memset(workers, 0, sizeof workers);
	run("pair", pair, 1);
	run("mixed", mixed, 1);
	run("pair", pair, 2);
	run("mixed", mixed, 2);
	return 0;
}
