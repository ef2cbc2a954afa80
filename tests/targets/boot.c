/* SPDX-License-Identifier: MIT */
/*
 * Frees, resizes and measures blocks from the time before main, in main, in a thread and at
 * exit; and so does libc, with what it has kept of its own.
 */

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>

#include "target.h"

void *boot_block(int i);
extern int (*boot_pointer)(void);
extern void __libc_freeres(void); /* what memory checkers call at the end */

static char *early;

__attribute__((constructor)) static void constructor(void) {
	/* its error text is libc's to free, at the next one or at the end */
	MUST(dlsym(RTLD_NEXT, "nobody_has_this") == NULL);
	early = malloc(24);
	KEEP(early);
	memcpy(early, "early", 6);
}

static void *release(void *block) {
	MUST(malloc_usable_size(block) >= 100);
	free(block);
	(void)dlsym(RTLD_NEXT, "nor_this");
	return NULL;
}

static void at_exit(void) {
	char *grown = realloc(boot_block(3), 5000);
	MUST(grown != NULL && grown[99] == 0);
	free(grown);
	__libc_freeres();
}

int main(void) {
	pthread_t thread;
	end_some_day();
	MUST(atexit(at_exit) == 0);
	MUST(boot_pointer() == 1 && boot_block(3) != NULL);
	(void)release(boot_block(0));
	MUST(pthread_create(&thread, NULL, release, boot_block(1)) == 0);
	MUST(pthread_join(thread, NULL) == 0);
	char *grown = realloc(boot_block(2), 100000);
	MUST(grown != NULL && grown[0] == 0 && grown[99] == 0);
	MUST(malloc_usable_size(grown) >= 100000);
	free(grown);
	early = realloc(early, 3000);
	MUST(early != NULL && is(early, "early"));
	free(early);
	MUST(dlerror() != NULL && dlerror() == NULL);
	say("given back");
	return 0;
}
