/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_LAYOUT_H
#define PRELOAD_LAYOUT_H

/*
 * A segment: what one process publishes about itself, the border between the hooks that
 * write it and the exporter that reads it.
 *
 * Plain structs of fixed width, offsets from the segment's start and no pointers, so that
 * the same bytes can be read in the process itself, from a file, or from another process.
 * Every counter is a lone monotone word with one writer (the overflow block excepted: it
 * takes atomic adds); nothing is ever zeroed or unmapped while the process lives. A reader
 * trusts nothing: it checks magic, version, sizes and offsets before it follows them.
 *
 * Order of reading: all blocks' frees and freed_bytes (ends and released stacks) first,
 * then an acquire fence, then what was allocated (started, reserved): see
 * exporter/snapshot.h. Only so is "live" never negative.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#define SHIM_MAGIC \
	0x4d49485300000a50ULL /* first 8 bytes of a mapping that is a segment */
#define SHIM_ABI_MAJOR 1 /* a reader refuses another major */
#define SHIM_ABI_MINOR 0 /* fields were appended; older readers go on */

#define SHIM_CACHE_LINE     64
#define SHIM_PROGRAM_BYTES  64
#define SHIM_MESSAGE_BYTES  256
#define SHIM_MESSAGES       16
#define SHIM_SETTINGS_BYTES 2048
#define SHIM_TID_MAX        16 /* threads of ours that are told to the reader */

/*
 * Class of a request of n bytes: 0 for n <= 1, else ceil(log2(n)), so class c holds the
 * sizes in (2^(c-1), 2^c], as a native histogram of schema 0 has them. Requests of 0 bytes
 * have a cell of their own, 63, which is what the most significant bit of 2n-1 yields.
 * Cells 48 to 62 stay 0 on machines of 47 address bits.
 */
#define SHIM_SIZE_CLASSES    64
#define SHIM_SIZE_CLASS_ZERO 63

/* Upper bounds of the lifetime buckets in ns: 1 ms, 10 ms, 100 ms, 1 s, 10 s, 1 min, 10 min, 1 h. */
#define SHIM_LIFETIMES 8

/* What one thread counts; see counters.def. Writer: its thread. Readers: any. */
struct shim_block {
#define SHIM_COUNTER(field, metric, help) alignas(8) _Atomic uint64_t field;
#include "preload/counters.def"
	_Atomic uint64_t lifetime[SHIM_LIFETIMES + 1]; /* not cumulative; last: longer */
	alignas(SHIM_CACHE_LINE) _Atomic uint64_t size_class[SHIM_SIZE_CLASSES];
};

/* Bits of shim_figures.known, in the order of figures.def. */
enum shim_figure {
#define SHIM_FIGURE(field, kind, metric, help) SHIM_FIGURE_##field,
#include "preload/figures.def"
	SHIM_FIGURE_COUNT
};

/* Process figures. Writer: the keeper (or the exiting thread). */
struct shim_figures {
	_Atomic uint64_t known; /* bit per enum shim_figure; stored last, with release */
	_Atomic uint64_t taken_ns; /* CLOCK_MONOTONIC */
#define SHIM_FIGURE(field, kind, metric, help) _Atomic uint64_t field;
#include "preload/figures.def"
};

/* What the allocator behind the hooks holds. Writer: the keeper, or the exiting thread. */
struct shim_allocator_stats {
	_Atomic uint64_t
			taken_ns; /* CLOCK_MONOTONIC; 0 = not known; stored last, release */
	_Atomic uint64_t heap_bytes; /* from the system, mmapped blocks included */
	_Atomic uint64_t free_bytes; /* of that not handed out */
};

/* One message: number 0 = empty or being written, else 1, 2, ... in order of writing. */
struct shim_message {
	_Atomic uint64_t number; /* stored 0 first and its number last (release) */
	_Atomic uint64_t text[SHIM_MESSAGE_BYTES /
			8]; /* UTF-8, NUL-terminated, one line */
};

enum shim_state {
	SHIM_STATE_STARTING = 0, /* identity not complete */
	SHIM_STATE_COUNTING = 1, /* hooks count, nothing serves yet */
	SHIM_STATE_SERVING = 2, /* the port or socket is open */
	SHIM_STATE_ENDED = 3, /* the process ran its exit handlers */
};

enum shim_hook { /* bits of shim_segment.hooks_active */
	SHIM_HOOK_MALLOC = 0,
	SHIM_HOOK_OPERATOR_NEW = 1,
	SHIM_HOOK_PTHREAD_CREATE = 2,
	SHIM_HOOK_COUNT
};

enum shim_mode { SHIM_MODE_SERVE = 0, SHIM_MODE_COUNT = 1, SHIM_MODE_OFF = 2 };

struct shim_segment {
	uint64_t magic; /* stored last when a segment is made (release) */
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t segment_bytes; /* sizeof(struct shim_segment) of the writer */
	uint32_t block_bytes; /* sizeof(struct shim_block) of the writer */
	uint32_t blocks_offset; /* of the first block from the segment's start */
	uint64_t reserved_bytes; /* address range, blocks included */

	/* identity: written before `state` leaves STARTING (release), constant then */
	int32_t pid;
	int32_t parent_pid;
	uint32_t uid;
	uint32_t mode; /* enum shim_mode */
	uint64_t pid_namespace; /* inode; 0 if it cannot be read */
	uint64_t created_ns; /* CLOCK_REALTIME: when the totals of this segment began */
	char program[SHIM_PROGRAM_BYTES];
	char executable[256]; /* as /proc/self/exe said */
	char allocator[16]; /* "glibc", "jemalloc", ..., "other" */
	char libc[32]; /* "glibc 2.36" */
	char version[16]; /* of promshim */
	char settings[SHIM_SETTINGS_BYTES]; /* in force: NAME=value lines, NUL-terminated */

	_Atomic uint32_t state; /* enum shim_state. Writer: constructor, keeper, exit */
	_Atomic uint32_t hooks_active; /* bits by enum shim_hook */
	_Atomic uint32_t hooks_known; /* which bits of hooks_active are settled */
	_Atomic uint32_t bytes_known; /* 1: usable bytes are counted; 0: calls only */
	_Atomic uint32_t port; /* bound TCP port, host order; 0 = none */
	_Atomic uint32_t invalid_settings;
	_Atomic uint64_t messages_written; /* also claims the next slot of the ring */
	_Atomic uint32_t own_tids[SHIM_TID_MAX]; /* tids of our threads; 0 = none */
	_Atomic uint64_t exporter_cpu_ns; /* of our threads that ended */
	_Atomic uint64_t private_bytes; /* committed part of reserved_bytes */

	/* what a forked child was born with; constant after `state` leaves STARTING */
	uint64_t inherited_bytes;
	uint64_t inherited_blocks;
	uint64_t inherited_mapped_bytes;

	_Atomic uint32_t
			block_count; /* blocks ever handed out. Release: they may be read */

	struct shim_figures figures;
	struct shim_allocator_stats allocator_stats;
	struct shim_message messages[SHIM_MESSAGES];
	alignas(SHIM_CACHE_LINE) struct shim_block overflow; /* atomic adds, any thread */
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "counters need lock-free 64-bit atomics");
_Static_assert(sizeof(_Atomic uint64_t) == 8, "layout: no lock beside the value");
_Static_assert(sizeof(struct shim_block) % SHIM_CACHE_LINE == 0,
		"layout: whole cache lines");

#endif
