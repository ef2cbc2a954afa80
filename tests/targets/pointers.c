/* SPDX-License-Identifier: MIT */
/*
 * Calls malloc as those programs do that take its address: from a table that the loader
 * relocates, from a weak reference that is tested, and without a PLT (-fno-plt). 3 allocations, 3 frees.
 */

#include "target.h"

extern void *malloc(size_t size) __attribute__((weak));

static const struct {
	void *(*take)(size_t size);
	void (*give)(void *p);
} table = { malloc, free };

int main(void) {
	end_some_day();
	void *p = table.take(10);
	KEEP(p);
	table.give(p);
	if (malloc != NULL) {
		p = malloc(20);
		KEEP(p);
		free(p);
	}
	void *(*volatile take)(size_t) = malloc;
	void (*volatile give)(void *) = free;
	MUST(take == table.take && give == table.give);
	give(take(30));
	say("done");
	return 0;
}
