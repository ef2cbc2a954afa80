/* SPDX-License-Identifier: MIT */
/*
 * Allocates in preinit_array, constructor, main, atexit and destructor, and gives back what
 * its library allocated before: 7 allocations, 7 frees.
 */

#include "target.h"

extern void *early_block;
void early_give(void);

static void *first, *last;

static void pair(void) {
	void *p = malloc(10);
	KEEP(p);
	free(p);
}

static void preinit(void) {
	first = malloc(50);
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(
		void) = preinit;

__attribute__((constructor)) static void constructor(void) {
	pair();
}

__attribute__((destructor)) static void destructor(void) {
	free(last);
}

int main(void) {
	end_some_day();
	free(first);
	early_give();
	MUST(atexit(pair) == 0);
	last = malloc(20);
	say("main");
	return 0;
}
