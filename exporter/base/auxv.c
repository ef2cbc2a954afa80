/* SPDX-License-Identifier: MIT */
#include "exporter/base/auxv.h"

#include <elf.h>
#include <stdatomic.h>
#include <stddef.h>

#include "exporter/base/kernel.h"

enum { ENTRIES = 64 };

typedef unsigned long (*get_fn)(unsigned long type);

/* Release by who stores it, acquire by readers. */
static _Atomic(get_fn) libc_get;

void auxv_take(unsigned long (*get)(unsigned long type)) {
	atomic_store_explicit(&libc_get, get, memory_order_release);
}

static unsigned long find(const Elf64_auxv_t *entry, unsigned long type) {
	for (; entry->a_type != AT_NULL; entry++) {
		if (entry->a_type == type) {
			return entry->a_un.a_val;
		}
	}
	return 0;
}

unsigned long auxv_get(unsigned long type) {
	get_fn get = atomic_load_explicit(&libc_get, memory_order_acquire);
	if (get != NULL) {
		return get(type);
	}
	Elf64_auxv_t read[ENTRIES + 1] = { 0 }; /* the last one stays AT_NULL */
	int fd = kernel_openat(AT_FDCWD, "/proc/self/auxv", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) {
		return 0;
	}
	(void)kernel_read(fd, read, sizeof(read[0]) * ENTRIES);
	kernel_close(fd);
	return find(read, type);
}

size_t auxv_page_bytes(void) {
#if defined(__x86_64__)
	return 4096;
#else
	enum { LARGEST = 65536 };
	unsigned long told = auxv_get(AT_PAGESZ);
	return told != 0 ? told : LARGEST;
#endif
}
