/* SPDX-License-Identifier: MIT */
#include "preload/block.h"

#include <errno.h>

#include "exporter/base/kernel.h"
#include "preload/quiet.h"
#include "preload/real.h"
#include "preload/segment.h"
#include "preload/start.h"
#include "preload/thread.h"

enum {
	WAKE_BYTES = 4096
}; /* how often a forked child looks whether it may start its keeper */

static uint32_t index_of(const struct shim_control *control) {
	return (uint32_t)(control - shim_controls);
}

static bool is_gone(int32_t pid, uint32_t tid) {
	return kernel_tgkill(pid, (pid_t)tid, 0) == -ESRCH;
}

/*
 * Looks for a block whose thread ended. A tid that is alive may have been given out again,
 * then its first owner is gone all the same; only the new owner of the number can tell, when
 * it comes here itself.
 */
static struct shim_control *adopt(uint32_t tid) {
	struct shim_process *process = shim_process;
	/* relaxed: a hint; acquire on the count: pairs with the release in append */
	if (atomic_load_explicit(&process->ending, memory_order_relaxed) == 0) {
		return NULL;
	}
	uint32_t count = atomic_load_explicit(&shim_segment->block_count,
			memory_order_acquire);
	uint32_t start = atomic_load_explicit(&process->heir, memory_order_relaxed);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t index = (start + i) % count;
		struct shim_control *control = &shim_controls[index];
		/* relaxed: the CAS below decides */
		uint32_t owner = atomic_load_explicit(&control->owner,
				memory_order_relaxed);
		if ((owner & SHIM_OWNER_ENDING) == 0) {
			continue;
		}
		uint32_t before = owner & ~SHIM_OWNER_ENDING;
		if (before != tid && !is_gone(process->pid, before)) {
			continue;
		}
		/* acquire: pairs with the release in shim_block_leave */
		if (atomic_compare_exchange_strong_explicit(&control->owner, &owner, tid,
				    memory_order_acquire, memory_order_relaxed)) {
			atomic_fetch_sub_explicit(&process->ending, 1,
					memory_order_relaxed);
			atomic_store_explicit(&process->heir, index + 1,
					memory_order_relaxed);
			return control;
		}
	}
	return NULL;
}

static struct shim_control *append(uint32_t tid) {
	struct shim_segment *segment = shim_segment;
	/* relaxed: the CAS below decides */
	uint32_t count =
			atomic_load_explicit(&segment->block_count, memory_order_relaxed);
	do {
		if (!shim_segment_commit(count)) {
			return NULL;
		}
		/* release: pairs with the acquire of readers; the block is committed */
	} while (!atomic_compare_exchange_weak_explicit(&segment->block_count, &count,
			count + 1, memory_order_release, memory_order_relaxed));
	/* relaxed: not ending, so nobody else looks at it */
	atomic_store_explicit(&shim_controls[count].owner, tid, memory_order_relaxed);
	return &shim_controls[count];
}

/* The process page is there and ours: not wiped by a fork, and we are no vfork child. */
static bool process_is_ours(void) {
	if (shim_segment == NULL && !shim_start_counting()) {
		return false;
	}
	/* acquire: pairs with the release in segment.c */
	if (atomic_load_explicit(&shim_process->alive, memory_order_acquire) == 0) {
		shim_start_child();
	}
	return shim_segment != NULL && shim_process->pid == kernel_getpid();
}

void shim_block_open(struct shim_control *control) {
	control->fast = shim_real_usable() == SHIM_USABLE_HEADER ? control->home : NULL;
	control->block = shim_tls.muted == 0 ? control->fast : NULL;
}

struct shim_control *shim_block_attach(void) {
	if (shim_quiet()) {
		/* acquire: as above; a child made behind our back must not count as its parent */
		if (shim_segment != NULL &&
				atomic_load_explicit(&shim_process->alive,
						memory_order_acquire) == 0) {
			shim_start_turn_off();
		}
		return NULL;
	}
	if (!process_is_ours()) {
		return NULL;
	}
	uint32_t tid = (uint32_t)kernel_gettid();
	struct shim_control *control = adopt(tid);
	if (control == NULL) {
		control = append(tid);
	}
	if (control == NULL) {
		return NULL;
	}
	control->home = shim_segment_block(index_of(control));
	control->rounds = 0;
	/* the first thread is among host_threads from birth; a trampoline says it for the rest */
	control->hooked = tid == (uint32_t)shim_process->pid;
	control->started = false;
	/* relaxed: a lone number */
	uint64_t allocated = atomic_load_explicit(&control->home->allocated_bytes,
			memory_order_relaxed);
	atomic_store_explicit(&control->next,
			shim_start_is_waiting() ? allocated + WAKE_BYTES : UINT64_MAX,
			memory_order_relaxed);
	shim_tls.current = control;
	shim_thread_arm(control);
	/* last: from here on the fast path is open */
	shim_block_open(control);
	return control;
}

struct shim_block *shim_block_overflow(void) {
	return shim_segment != NULL ? &shim_segment->overflow : NULL;
}

void shim_block_leave(struct shim_control *control) {
	/* relaxed: only its thread is here */
	uint32_t owner = atomic_load_explicit(&control->owner, memory_order_relaxed);
	if (owner == 0 || (owner & SHIM_OWNER_ENDING) != 0) {
		return; /* wiped by a fork, or left before */
	}
	/* release: pairs with the acquire in adopt */
	atomic_store_explicit(&control->owner, owner | SHIM_OWNER_ENDING,
			memory_order_release);
	atomic_fetch_add_explicit(&shim_process->ending, 1, memory_order_relaxed);
}

void shim_block_sweep(void) {
	/* acquire: pairs with the release in append */
	uint32_t count = atomic_load_explicit(&shim_segment->block_count,
			memory_order_acquire);
	for (uint32_t i = 0; i < count; i++) {
		_Atomic uint32_t *word = &shim_controls[i].owner;
		/* relaxed: the CAS below decides */
		uint32_t owner = atomic_load_explicit(word, memory_order_relaxed);
		if (owner == 0 || (owner & SHIM_OWNER_ENDING) != 0 ||
				!is_gone(shim_process->pid, owner)) {
			continue;
		}
		/* release: pairs with the acquire in adopt */
		if (atomic_compare_exchange_strong_explicit(word, &owner,
				    owner | SHIM_OWNER_ENDING, memory_order_release,
				    memory_order_relaxed)) {
			atomic_fetch_add_explicit(&shim_process->ending, 1,
					memory_order_relaxed);
		}
	}
}
