/* SPDX-License-Identifier: MIT */
#include "preload/thread.h"

#include <limits.h>

#include "preload/block.h"
#include "preload/clock.h"
#include "preload/host_errno.h"
#include "preload/real.h"
#include "preload/record.h"
#include "preload/segment.h"
#include "preload/start.h"

/* ThreadSanitizer's runtime takes its thread state down in the last round, before us. */
#if defined(__SANITIZE_THREAD__)
#	define LAST_ROUND 1
#else
#	define LAST_ROUND PTHREAD_DESTRUCTOR_ITERATIONS
#endif

enum { LAUNCHES = 1024, WORD_BITS = 64 };

static struct shim_launch launches[LAUNCHES];

/* Bit set: the place is taken. Writers: any thread that creates or begins. */
static _Atomic uint64_t taken[LAUNCHES / WORD_BITS];

static pthread_key_t key;
static bool have_key;
static void (*when_last_left)(void);

static const uint64_t lifetime_bounds_ns[SHIM_LIFETIMES] = { 1000000, 10000000, 100000000,
	1000000000, 10000000000, 60000000000, 600000000000, 3600000000000 };

static void count_end(struct shim_control *control) {
	struct shim_block *block = control->home;
	/* under a filter the clock is late: it may show less than when the thread began */
	uint64_t now_ns = shim_clock_quietly_ns();
	uint64_t lived_ns =
			now_ns > control->started_ns ? now_ns - control->started_ns : 0;
	unsigned bucket = 0;
	while (bucket < SHIM_LIFETIMES && lived_ns > lifetime_bounds_ns[bucket]) {
		bucket++;
	}
	shim_cell_add(&block->lifetime[bucket], 1);
	shim_cell_add(&block->thread_lifetime_ns, lived_ns);
	shim_cell_add(&block->stack_released_bytes, control->stack_bytes);
	shim_cell_add(&block->thread_ends, 1);
}

/*
 * The TSD destructor. Its value only makes glibc call it: after a fork it is the parent's
 * control, which may be another thread's by now.
 */
static void leave(void *value) {
	(void)value;
	struct shim_control *control = shim_tls.current;
	if (control == NULL || control->home == NULL) {
		return;
	}
	if (++control->rounds < LAST_ROUND) {
		shim_thread_arm(control);
		return;
	}
	if (control->started) {
		control->started = false;
		count_end(control);
	}
	bool hooked = control->hooked;
	control->hooked = false;
	shim_block_leave(control);
	/* relaxed: the number itself decides, nothing is published */
	if (hooked &&
			atomic_fetch_sub_explicit(&shim_process->host_threads, 1,
					memory_order_relaxed) == 1) {
		when_last_left();
	}
}

void shim_thread_init(void (*last)(void)) {
	when_last_left = last;
	have_key = shim_libc.pthread_key_create != NULL &&
			shim_libc.pthread_setspecific != NULL &&
			shim_libc.pthread_key_create(&key, leave) == 0;
}

bool shim_thread_ends_are_seen(void) {
	return have_key;
}

void shim_thread_fork(void) {
	for (unsigned i = 0; i < LAUNCHES / WORD_BITS; i++) {
		/* relaxed: the one thread there is */
		atomic_store_explicit(&taken[i], 0, memory_order_relaxed);
	}
}

void shim_thread_arm(struct shim_control *control) {
	if (have_key) {
		shim_mute(); /* a key above 31 makes glibc calloc a second level */
		(void)shim_libc.pthread_setspecific(key, control);
		shim_unmute();
	}
}

struct shim_launch *shim_thread_launch(void) {
	for (unsigned word = 0; word < LAUNCHES / WORD_BITS; word++) {
		/* relaxed: the CAS decides; acquire: pairs with the release of who gave back */
		uint64_t bits = atomic_load_explicit(&taken[word], memory_order_relaxed);
		while (bits != UINT64_MAX) {
			unsigned bit = (unsigned)__builtin_ctzll(~bits);
			if (atomic_compare_exchange_weak_explicit(&taken[word], &bits,
					    bits | 1ULL << bit, memory_order_acquire,
					    memory_order_relaxed)) {
				/* relaxed: a count; the thread is not there yet */
				atomic_fetch_add_explicit(&shim_process->host_threads, 1,
						memory_order_relaxed);
				return &launches[word * WORD_BITS + bit];
			}
		}
	}
	return NULL;
}

static void give_back(const struct shim_launch *launch) {
	size_t index = (size_t)(launch - launches);
	/* release: pairs with the acquire in shim_thread_launch; the place was read */
	atomic_fetch_and_explicit(&taken[index / WORD_BITS], ~(1ULL << index % WORD_BITS),
			memory_order_release);
}

void shim_thread_abandon(struct shim_launch *launch) {
	give_back(launch);
	/* relaxed: a count; the caller itself is a host thread, so this is never the last */
	atomic_fetch_sub_explicit(&shim_process->host_threads, 1, memory_order_relaxed);
}

/* Without a block nobody would see the thread's end: then it is not counted as begun. */
static void begin(uint64_t stack_bytes) {
	int saved = errno; /* a new thread's is 0 */
	struct shim_control *control = shim_block_attach();
	if (control == NULL) {
		SHIM_RECORD(uncounted_events, 1);
		/* relaxed: as in shim_thread_abandon */
		atomic_fetch_sub_explicit(&shim_process->host_threads, 1,
				memory_order_relaxed);
		errno = saved;
		return;
	}
	errno = saved;
	control->hooked = true;
	control->started = true;
	/* a filter may have come since the block was attached */
	control->started_ns = shim_clock_quietly_ns();
	control->stack_bytes = stack_bytes;
	shim_cell_add(&control->home->stack_reserved_bytes, stack_bytes);
	shim_cell_add(&control->home->thread_starts, 1);
}

void *shim_thread_main(void *launch) {
	struct shim_launch mine = *(struct shim_launch *)launch;
	give_back(launch);
	begin(mine.stack_bytes);
	return mine.start(mine.arg);
}

int shim_thread_main_c11(void *launch) {
	struct shim_launch mine = *(struct shim_launch *)launch;
	give_back(launch);
	begin(mine.stack_bytes);
	return mine.start_c11(mine.arg);
}
