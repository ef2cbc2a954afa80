/* SPDX-License-Identifier: MIT */
/* Writes one byte behind a block and frees it: an allocator that checks ends the program. */

#include "target.h"

int main(void) {
	volatile size_t size = 24;
	char *block = malloc(size);
	MUST(block != NULL);
	memset(block, 0, size);
	block[size] = 1;
	free(block);
	return 0;
}
