/* SPDX-License-Identifier: MIT */
/*
 * A library whose resolver of an indirect function allocates: it runs while the loader
 * relocates, before any constructor, and before objects that were loaded earlier are relocated.
 */

#include "target.h"

int early_answer(void);

static int answer(void) {
	return 42;
}

__attribute__((used)) static int (*resolve(void))(void) {
	void *p = malloc(100);
	KEEP(p);
	free(p);
	return answer;
}

int early_answer(void) __attribute__((ifunc("resolve")));

int (*early_pointer)(void) = early_answer; /* resolved when the library is relocated */
