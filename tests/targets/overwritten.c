/* SPDX-License-Identifier: MIT */
/*
 * A host that has overwritten its heap: all of it, from its first block to the break, with
 * blocks in every kind of bin. It does not allocate any more, and lives on.
 */

#include "target.h"

int main(void) {
	enum { BLOCKS = 400 };
	static void *blocks[BLOCKS];
	end_some_day();
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = malloc(i % 2 ? 24 : 3000);
	char *start = blocks[0];
	for (int i = 0; i < BLOCKS; i += 3)
		free(blocks[i]);
	say("healthy");
	wait_for_test();
	memset(start, 0xff, (size_t)((char *)sbrk(0) - start));
	say("overwritten");
	wait_for_test();
	_exit(0);
}
