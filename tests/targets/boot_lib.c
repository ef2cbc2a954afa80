/* SPDX-License-Identifier: MIT */
/* A library whose resolver of an indirect function keeps what it allocates while the loader works. */

#include "target.h"

enum { BLOCKS = 4 };

static void *blocks[BLOCKS];

void *boot_block(int i);
int boot_ready(void);

void *boot_block(int i) {
	return blocks[i];
}

static int ready(void) {
	return 1;
}

__attribute__((used)) static int (*resolve(void))(void) {
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = calloc(1, 100);
	return ready;
}

int boot_ready(void) __attribute__((ifunc("resolve")));

int (*boot_pointer)(void) = boot_ready; /* resolved when the library is relocated */
