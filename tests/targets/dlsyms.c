/* SPDX-License-Identifier: MIT */
/*
 * Looks for symbols that are not there, in main and in a thread, before and after its first
 * malloc: libc allocates the error text, and frees it at the next dlerror.
 */

#include <dlfcn.h>
#include <pthread.h>

#include "target.h"

static void look(void) {
	static const char *const absent[] = { "no_such_function", "no_malloc_either" };
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
		MUST(dlsym(RTLD_NEXT, absent[i]) == NULL);
		MUST(dlsym(RTLD_DEFAULT, absent[i]) == NULL);
		MUST(dlerror() != NULL && dlerror() == NULL);
	}
	(void)dlsym(RTLD_NEXT, "cfree"); /* some allocators have it */
	(void)dlsym(RTLD_NEXT, "free_sized");
	(void)dlerror();
	MUST(dlopen("/no/such/object.so", RTLD_NOW) == NULL);
	MUST(dlerror() != NULL);
}

static void *work(void *argument) {
	look();
	return argument;
}

__attribute__((constructor)) static void early(void) {
	look();
}

int main(void) {
	pthread_t thread;
	end_some_day();
	look();
	for (int i = 0; i < 20; i++) {
		MUST(pthread_create(&thread, NULL, work, NULL) == 0);
		MUST(pthread_join(thread, NULL) == 0);
	}
	void *p = malloc(10);
	KEEP(p);
	free(p);
	look();
	say("looked");
	return 0;
}
