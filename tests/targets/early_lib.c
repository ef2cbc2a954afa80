/* SPDX-License-Identifier: MIT */
/* A library whose constructor allocates, before the shim's may have run. */

#include "target.h"

void *early_block;
void early_give(void);

__attribute__((constructor)) static void early(void) {
	early_block = malloc(1000);
	void *other = malloc(2000);
	KEEP(other);
	free(other);
}

void early_give(void) {
	free(early_block);
}

__attribute__((destructor)) static void late(void) {
	void *p = malloc(10);
	KEEP(p);
	free(p);
}
