/* SPDX-License-Identifier: MIT */
/*
 * A small program from which the ELF fuzzer starts: it imports what is looked for, defines an
 * allocator, and needs a library. Compiled, and never run.
 */
#include <stdlib.h>
#include <threads.h>

void *je_malloc(size_t size);

void *je_malloc(size_t size) {
	return calloc(size, 1);
}

static int nothing(void *user) {
	free(user);
	return 0;
}

int main(void) {
	thrd_t thread;
	return thrd_create(&thread, nothing, je_malloc(1)) == thrd_success ? 0 : 1;
}
