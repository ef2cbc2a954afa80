// SPDX-License-Identifier: MIT
// modules_storm ROUNDS PLUGIN [wait]: at the same time, in a thread each: loads, calls and unloads the
// C++ plug-in; walks through all objects with allocations in the walk; throws and catches; allocates;
// starts threads. ROUNDS times each at least, until all have done theirs; with `wait` on top until the
// test says a line.

#include <atomic>
#include <dlfcn.h>
#include <link.h>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <string>

#include "target.h"

static unsigned long rounds;
static const char *plugin;
static std::atomic<unsigned> busy;

static void pair(std::size_t size) {
	void *p = malloc(size);
	KEEP(p);
	free(p);
}

static void load() {
	void *handle = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
	MUST(handle != nullptr);
	int (*run)(int);
	*reinterpret_cast<void **>(&run) = dlsym(handle, "plugin_run");
	MUST(run != nullptr && run(2) == 2);
	MUST(dlsym(handle, "nobody_has_this") == nullptr && dlerror() != nullptr);
	MUST(dlclose(handle) == 0);
}

static int visit(struct dl_phdr_info *, std::size_t, void *) {
	pair(3000);
	return 0;
}

static void walk() {
	dl_iterate_phdr(visit, nullptr);
}

static void fling() {
	try {
		throw std::runtime_error(std::string(200, 'x'));
	} catch (const std::exception &caught) {
		MUST(strlen(caught.what()) == 200);
	}
}

static void allocate() {
	for (std::size_t i = 0; i < 100; i++)
		pair(i * 50);
}

static void *nothing(void *argument) {
	pair(10);
	return argument;
}

static void start() {
	pthread_t thread;
	MUST(pthread_create(&thread, nullptr, nothing, nullptr) == 0);
	MUST(pthread_join(thread, nullptr) == 0);
}

static void *repeat(void *what) {
	void (*once)();
	*reinterpret_cast<void **>(&once) = what;
	for (unsigned long i = 0; i < rounds; i++)
		once();
	busy--;
	while (busy != 0) // until all have done theirs, none is alone
		once();
	return nullptr;
}

int main(int argc, char **argv) {
	MUST(argc == 3 || argc == 4);
	end_some_day();
	rounds = number(argv[1]);
	plugin = argv[2];
	void (*const all[])() = { load, walk, fling, allocate, start };
	constexpr std::size_t count = sizeof all / sizeof *all;
	pthread_t threads[count];
	bool waits = argc == 4;
	busy = waits ? count + 1 : count;
	for (std::size_t i = 0; i < count; i++)
		MUST(pthread_create(&threads[i], nullptr, repeat,
				     reinterpret_cast<void *>(all[i])) == 0);
	if (waits) {
		wait_for_test();
		busy--;
	}
	for (pthread_t thread : threads)
		MUST(pthread_join(thread, nullptr) == 0);
	say("no deadlock");
	return 0;
}
