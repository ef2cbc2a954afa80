/* SPDX-License-Identifier: MIT */
#include "preload/record.h"

#include "preload/block.h"
#include "preload/host_errno.h"
#include "preload/start.h"

/* The thread's control, which may have to be made; NULL: the overflow block counts. */
static struct shim_control *own_control(void) {
	struct shim_control *control = shim_tls.current;
	if (SHIM_LIKELY(control != NULL && control->home != NULL)) {
		if (shim_real_usable() == SHIM_USABLE_HEADER && control->fast == NULL) {
			shim_block_open(control);
		}
		return control;
	}
	return shim_start_is_off() ? NULL : shim_block_attach();
}

/*
 * A signal handler may fork between here and own_control, and its child come back to this
 * very event with the control wiped: then nobody has a home.
 */
static void cell_add(struct shim_control *control, size_t cell_offset, uint64_t amount) {
	struct shim_block *home = control != NULL ? control->home : NULL;
	struct shim_block *block = home != NULL ? home : shim_block_overflow();
	if (block == NULL) {
		return;
	}
	_Atomic uint64_t *cell = (void *)((char *)block + cell_offset);
	if (home != NULL) {
		shim_cell_add(cell, amount);
	} else {
		/* relaxed: a lone number with many writers */
		atomic_fetch_add_explicit(cell, amount, memory_order_relaxed);
	}
}

#define ADD(field, amount) cell_add(control, offsetof(struct shim_block, field), (amount))

struct shim_size shim_record_size(void *p) {
	struct shim_size size = { 0, 0 };
	if (shim_real_usable() == SHIM_USABLE_NONE) {
		return size;
	}
	if (!shim_real.is_glibc) {
		size.usable = shim_real.malloc_usable_size(p);
		return size;
	}
	size_t header = shim_chunk_header(p);
	if ((header & SHIM_CHUNK_MMAPPED) != 0) {
		size.usable = shim_real.malloc_usable_size(p);
		size.mapped = shim_chunk_mapped(p);
		return size;
	}
	if (shim_real_usable() == SHIM_USABLE_HEADER) {
		size.usable = shim_chunk_usable(header);
		return size;
	}
	size.usable = shim_real.malloc_usable_size(p);
	if (atomic_load_explicit(&shim_real.is_comparing, memory_order_relaxed)) {
		shim_real_compare(shim_chunk_usable(header), size.usable);
	}
	return size;
}

static void allocated(struct shim_control *control, void *p, size_t requested) {
	struct shim_size size = shim_record_size(p);
	ADD(allocated_bytes, size.usable);
	if (size.mapped != 0) {
		ADD(mapped_bytes, size.mapped);
	}
	ADD(requested_bytes, requested);
	ADD(size_class[shim_size_class(requested)], 1);
}

static void freed(struct shim_control *control, struct shim_size size) {
	ADD(frees, 1);
	ADD(freed_bytes, size.usable);
	if (size.mapped != 0) {
		ADD(unmapped_bytes, size.mapped);
	}
}

/* The slow path of malloc proper, when it is due. */
static void wake(struct shim_control *control) {
	struct shim_block *home = control != NULL ? control->home : NULL;
	/* relaxed: own cells, lone numbers */
	if (home != NULL &&
			atomic_load_explicit(&home->allocated_bytes,
					memory_order_relaxed) >=
					atomic_load_explicit(&control->next,
							memory_order_relaxed)) {
		shim_start_wake(control, home);
	}
}

SHIM_COLD void shim_record_allocation(void *p, size_t requested) {
	if (shim_start_is_off()) {
		return;
	}
	int saved = errno;
	shim_tls.events++;
	struct shim_control *control = own_control();
	if (p != NULL) {
		allocated(control, p, requested);
		wake(control);
	} else {
		ADD(failures, 1);
	}
	errno = saved;
}

SHIM_COLD void *shim_record_wake(void *p) {
	int saved = errno;
	wake(shim_tls.current);
	errno = saved;
	return p;
}

void shim_record_freed(struct shim_size size) {
	if (shim_start_is_off()) {
		return;
	}
	int saved = errno;
	shim_tls.events++;
	freed(own_control(), size);
	errno = saved;
}

SHIM_COLD void shim_record_free(void *p) {
	if (!shim_start_is_off()) {
		shim_record_freed(shim_record_size(p));
	}
}

void shim_record_reallocation(void *p, int moved, struct shim_size before,
		size_t requested) {
	if (shim_start_is_off()) {
		return;
	}
	int saved = errno;
	struct shim_control *control = own_control();
	if (p != NULL) {
		ADD(reallocations, 1);
		ADD(reallocations_moved, moved != 0);
		freed(control, before);
		allocated(control, p, requested);
	} else if (requested == 0) {
		freed(control, before);
	} else {
		ADD(failures, 1);
	}
	errno = saved;
}

void shim_record_add(size_t cell_offset, uint64_t amount) {
	if (!shim_start_is_off()) {
		cell_add(own_control(), cell_offset, amount);
	}
}
