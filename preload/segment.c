/* SPDX-License-Identifier: MIT */
#include "preload/segment.h"

#include <errno.h>
#include <string.h>

#include "exporter/base/auxv.h"
#include "exporter/base/kernel.h"
#include "preload/clock.h"

/*
 * Room for about 5,400 threads that live at once; those beyond count in the overflow block. A
 * host short of addresses gets less, and mlockall of the host counts every byte.
 */
static const uint64_t reserve_bytes[] = { 4u << 20, 1u << 20, 64u << 10 };

enum {
	CHUNK_BYTES = 64 << 10, /* a segment's first commitment, and each growth */
	PROCESS_BYTES = 256, /* room for struct shim_process before the controls */
	BLOCKS_OFFSET = (sizeof(struct shim_segment) + 63) & ~63UL,
};

struct shim_segment *shim_segment;
struct shim_process *shim_process;
struct shim_control *shim_controls;

static uint32_t block_limit(const struct shim_segment *segment) {
	return (uint32_t)((segment->reserved_bytes - BLOCKS_OFFSET) /
			sizeof(struct shim_block));
}

/* A huge page would turn one touched counter into 2 MiB. */
static void *map(uint64_t bytes, int protection) {
	void *p = kernel_map(bytes, protection, MAP_PRIVATE | MAP_NORESERVE);
	if (p != NULL) {
		(void)kernel_madvise(p, bytes, MADV_NOHUGEPAGE);
	}
	return p;
}

/*
 * Reserves a segment. The page before it stays without access, so that the kernel merges
 * the segment with no neighbour and it begins a line of /proc/<pid>/maps: `promshim check`
 * finds it there by its magic.
 */
static struct shim_segment *reserve(void) {
	size_t page = auxv_page_bytes();
	for (size_t i = 0; i < sizeof(reserve_bytes) / sizeof(reserve_bytes[0]); i++) {
		char *p = map(reserve_bytes[i] + page, PROT_NONE);
		if (p == NULL) {
			continue;
		}
		if (kernel_mprotect(p + page, CHUNK_BYTES, PROT_READ | PROT_WRITE) != 0) {
			kernel_munmap(p, reserve_bytes[i] + page);
			return NULL;
		}
		struct shim_segment *segment = (void *)(p + page);
		segment->abi_major = SHIM_ABI_MAJOR;
		segment->abi_minor = SHIM_ABI_MINOR;
		segment->segment_bytes = sizeof(struct shim_segment);
		segment->block_bytes = sizeof(struct shim_block);
		segment->blocks_offset = BLOCKS_OFFSET;
		segment->reserved_bytes = reserve_bytes[i];
		/* relaxed: a lone number */
		atomic_store_explicit(&segment->private_bytes, CHUNK_BYTES,
				memory_order_relaxed);
		return segment;
	}
	return NULL;
}

static void publish(struct shim_segment *segment) {
	segment->created_ns = shim_clock_ns(CLOCK_REALTIME);
	segment->pid = kernel_getpid();
	segment->parent_pid = kernel_getppid();
	segment->uid = kernel_getuid();
	/* release: whoever sees the magic sees the rest of the head */
	__atomic_store_n(&segment->magic, SHIM_MAGIC, __ATOMIC_RELEASE);
}

static void revive(void) {
	shim_process->pid = kernel_getpid();
	/* relaxed: the one thread there is */
	atomic_store_explicit(&shim_process->host_threads, 1, memory_order_relaxed);
	/* release: pairs with the acquire in shim_block_attach */
	atomic_store_explicit(&shim_process->alive, 1, memory_order_release);
}

int shim_segment_create(void) {
	struct shim_segment *segment = reserve();
	if (segment == NULL) {
		return -ENOMEM;
	}
	uint64_t bytes = PROCESS_BYTES +
			block_limit(segment) * sizeof(struct shim_control);
	char *private = map(bytes, PROT_READ | PROT_WRITE);
	if (private == NULL) {
		kernel_munmap(segment, segment->reserved_bytes);
		return -ENOMEM;
	}
	/* Before Linux 4.14 only the atfork handler tells children apart. */
	(void)kernel_madvise(private, bytes, MADV_WIPEONFORK);
	shim_process = (void *)private;
	shim_controls = (void *)(private + PROCESS_BYTES);
	publish(segment);
	shim_segment = segment;
	revive();
	return 0;
}

/* What the process that was forked held, as this copy of its memory has it, is inherited. */
static void inherit(struct shim_segment *segment) {
	uint64_t bytes = segment->inherited_bytes;
	uint64_t blocks = segment->inherited_blocks;
	uint64_t mapped = segment->inherited_mapped_bytes;
	uint32_t count =
			atomic_load_explicit(&segment->block_count, memory_order_acquire);
	for (uint32_t i = 0; i <= count; i++) {
		/* relaxed throughout: nobody else runs in this address space */
		const struct shim_block *block =
				i == count ? &segment->overflow : shim_segment_block(i);
		bytes += atomic_load_explicit(&block->allocated_bytes,
					 memory_order_relaxed) -
				atomic_load_explicit(&block->freed_bytes,
						memory_order_relaxed);
		mapped += atomic_load_explicit(&block->mapped_bytes,
					  memory_order_relaxed) -
				atomic_load_explicit(&block->unmapped_bytes,
						memory_order_relaxed);
		blocks -= atomic_load_explicit(&block->frees, memory_order_relaxed);
		for (unsigned c = 0; c < SHIM_SIZE_CLASSES; c++) {
			blocks += atomic_load_explicit(&block->size_class[c],
					memory_order_relaxed);
		}
	}
	segment->inherited_bytes = (int64_t)bytes > 0 ? bytes : 0;
	segment->inherited_blocks = (int64_t)blocks > 0 ? blocks : 0;
	segment->inherited_mapped_bytes = (int64_t)mapped > 0 ? mapped : 0;
}

/* Makes private memory read 0 again; whole pages go back to the kernel. */
static void clear(char *from, char *to) {
	size_t page = auxv_page_bytes();
	char *first = from + (page - (uintptr_t)from % page) % page;
	char *last = to - (uintptr_t)to % page;
	if (first >= last ||
			kernel_madvise(first, (size_t)(last - first), MADV_DONTNEED) !=
					0) {
		memset(from, 0, (size_t)(to - from));
		return;
	}
	memset(from, 0, (size_t)(first - from));
	memset(last, 0, (size_t)(to - last));
}

void shim_segment_fork(void) {
	struct shim_segment *segment = shim_segment;
	/* relaxed, each: the one thread there is; to readers outside it is the parent's until published */
	atomic_store_explicit(&segment->state, SHIM_STATE_STARTING, memory_order_relaxed);
	inherit(segment);
	uint32_t count =
			atomic_load_explicit(&segment->block_count, memory_order_relaxed);
	atomic_store_explicit(&segment->port, 0, memory_order_relaxed);
	atomic_store_explicit(&segment->messages_written, 0, memory_order_relaxed);
	atomic_store_explicit(&segment->exporter_cpu_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&segment->block_count, 0, memory_order_relaxed);
	for (unsigned i = 0; i < SHIM_TID_MAX; i++) {
		atomic_store_explicit(&segment->own_tids[i], 0, memory_order_relaxed);
	}
	clear((char *)&segment->figures, (char *)shim_segment_block(count));
	shim_process->forked_ns = shim_clock_ns(CLOCK_MONOTONIC);
	publish(segment);
	/* release: identity is whole */
	atomic_store_explicit(&segment->state, SHIM_STATE_COUNTING, memory_order_release);
	revive();
}

struct shim_block *shim_segment_block(uint32_t index) {
	return (void *)((char *)shim_segment + BLOCKS_OFFSET +
			index * sizeof(struct shim_block));
}

bool shim_segment_commit(uint32_t index) {
	struct shim_segment *segment = shim_segment;
	if (index >= block_limit(segment)) {
		return false;
	}
	uint64_t end = BLOCKS_OFFSET + (index + 1ULL) * sizeof(struct shim_block);
	/* relaxed: mprotect is idempotent, who comes late repeats it */
	uint64_t ready = atomic_load_explicit(&segment->private_bytes,
			memory_order_relaxed);
	while (end > ready) {
		uint64_t grown = ready + CHUNK_BYTES < segment->reserved_bytes
				? ready + CHUNK_BYTES
				: segment->reserved_bytes;
		if (kernel_mprotect((char *)segment + ready, grown - ready,
				    PROT_READ | PROT_WRITE) != 0) {
			return false;
		}
		if (atomic_compare_exchange_strong_explicit(&segment->private_bytes,
				    &ready, grown, memory_order_relaxed,
				    memory_order_relaxed)) {
			ready = grown;
		}
	}
	return true;
}
