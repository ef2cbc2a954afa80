/* SPDX-License-Identifier: MIT */
/*
 * plugin_host PLUGIN CALLS: a C program that loads a C++ plug-in RTLD_LOCAL, lets it allocate
 * and throw, cancels a thread in it, and unloads it.
 */

#include <dlfcn.h>
#include <pthread.h>

#include "target.h"

int main(int argc, char **argv) {
	MUST(argc == 3);
	end_some_day();
	void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	MUST(plugin != NULL);
	int (*run)(int);
	void *(*wait)(void *);
	*(void **)&run = dlsym(plugin, "plugin_run");
	*(void **)&wait = dlsym(plugin, "plugin_wait");
	MUST(run != NULL && wait != NULL);
	int calls = (int)number(argv[2]);
	MUST(run(calls) == calls);

	int destroyed = 0;
	pthread_t thread;
	void *result;
	MUST(pthread_create(&thread, NULL, wait, &destroyed) == 0);
	MUST(pthread_cancel(thread) == 0);
	MUST(pthread_join(thread, &result) == 0);
	MUST(result == PTHREAD_CANCELED && destroyed);
	MUST(dlclose(plugin) == 0);
	say("done");
	return 0;
}
