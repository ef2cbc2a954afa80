/* SPDX-License-Identifier: MIT */
/*
 * modules HOW OBJECT: loads OBJECT in an unusual way.
 *   deepbind   with its own symbols, so libc's, before ours: it calls libc's malloc, not the
 *              hook. 1000 blocks are taken there and given back here, 10 the other way round
 *   dlmopen    into a name space with a libc of its own, and calls it
 *   late       OBJECT is the shim itself, loaded by a program that runs already
 *   tls        loads OBJECT, which has much static TLS, and starts threads
 */

#include <dlfcn.h>
#include <pthread.h>

#include "target.h"

static void *(*take)(size_t size);
static void (*give)(void *p);

static void find(void *handle) {
	if (handle == NULL)
		say_to(2, "%s", dlerror());
	MUST(handle != NULL);
	*(void **)&take = dlsym(handle, "module_take");
	*(void **)&give = dlsym(handle, "module_give");
	MUST(take != NULL && give != NULL);
}

static void *work(void *argument) {
	for (int i = 0; i < 100; i++) {
		void *p = malloc(100);
		KEEP(p);
		free(p);
	}
	return argument;
}

static void threads(void) {
	pthread_t thread;
	for (int i = 0; i < 10; i++) {
		MUST(pthread_create(&thread, NULL, work, NULL) == 0);
		MUST(pthread_join(thread, NULL) == 0);
	}
}

int main(int argc, char **argv) {
	MUST(argc == 3);
	end_some_day();
	if (is(argv[1], "deepbind")) {
		find(dlopen(argv[2], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND));
		for (int i = 0; i < 1000; i++)
			free(take(100));
		for (int i = 0; i < 10; i++) {
			void *p = malloc(100);
			KEEP(p);
			give(p);
		}
	} else if (is(argv[1], "dlmopen")) {
		find(dlmopen(LM_ID_NEWLM, argv[2], RTLD_NOW | RTLD_LOCAL));
		for (int i = 0; i < 1000; i++)
			give(take(100));
		threads();
	} else if (is(argv[1], "late")) {
		void *handle = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
		say("%s", handle != NULL ? "loaded" : "refused");
		threads();
		if (handle != NULL)
			dlclose(handle);
		threads();
	} else {
		return 2;
	}
	say("done");
	return 0;
}
