/* SPDX-License-Identifier: MIT */
/*
 * incidents CASE [MODULE]: what programs did when a preloaded object broke them.
 *   touch MODULE   threads touch thread-local memory of a plug-in first, while others allocate
 *   loader MODULE  threads load and unload a plug-in, walk the loader's list and allocate in its
 *                  callback, start threads, and throw nothing away; main forks in between
 *   names          a process of many threads forks children that ask the name services
 *   environment    prints its environment as the variable, as getenv and as main see it, and
 *                  changes it
 */

#include <dlfcn.h>
#include <grp.h>
#include <link.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "target.h"

extern char **environ;

enum { THREADS = 6, ROUNDS = 150, CHILDREN = 20 };

static const char *module_path;
static unsigned char *(*touch)(void);
static atomic_bool ended;

static void churn(size_t i) {
	void *p = malloc(i % 5000);
	KEEP(p);
	p = realloc(p, i % 70000 + 1);
	KEEP(p);
	free(p);
}

static void *allocate(void *argument) {
	for (size_t i = 0; !atomic_load_explicit(&ended, memory_order_relaxed); i++)
		churn(i);
	return argument;
}

static void *touch_first(void *argument) {
	unsigned char *p = touch();
	MUST(*p == 1 && touch() == p && *p == 2);
	return argument;
}

static void find_touch(void) {
	void *handle = dlopen(module_path, RTLD_NOW | RTLD_LOCAL);
	MUST(handle != NULL);
	*(void **)&touch = dlsym(handle, "module_touch");
	MUST(touch != NULL);
}

static int visit(struct dl_phdr_info *info, size_t size, void *count) {
	churn(strlen(info->dlpi_name) + size);
	++*(size_t *)count;
	return 0;
}

static void *use_loader(void *argument) {
	size_t number_of_thread = (size_t)argument, count = 0;
	for (size_t i = 0; i < ROUNDS; i++) {
		pthread_t thread;
		void *handle;
		switch ((number_of_thread + i) % 3) {
		case 0:
			handle = dlopen(module_path, RTLD_NOW | RTLD_LOCAL);
			MUST(handle != NULL && dlsym(handle, "module_touch") != NULL);
			MUST(dlsym(handle, "absent") == NULL && dlerror() != NULL);
			MUST(dlclose(handle) == 0);
			break;
		case 1:
			MUST(dl_iterate_phdr(visit, &count) == 0);
			break;
		default:
			MUST(pthread_create(&thread, NULL, touch_first, NULL) == 0);
			MUST(pthread_join(thread, NULL) == 0);
		}
		churn(i);
	}
	MUST(count > 0);
	return NULL;
}

/* Runs `work` in threads; main does `meanwhile` as often as given. */
static void in_threads(void *(*work)(void *argument), void (*meanwhile)(void),
		int times) {
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
	for (int i = 0; i < times; i++)
		meanwhile();
	atomic_store_explicit(&ended, 1, memory_order_relaxed);
	for (size_t i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
}

static void await(pid_t child) {
	int status = 0;
	MUST(child > 0 && waitpid(child, &status, 0) == child);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void touch_in_threads(void) {
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, touch_first, NULL) == 0);
	for (size_t i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
}

static void fork_once(void) {
	pid_t child = fork();
	if (child == 0) {
		churn(1000);
		_exit(0);
	}
	await(child);
}

static void ask_names(void) {
	pid_t child = fork();
	if (child == 0) {
		struct addrinfo *found = NULL;
		gid_t groups[64];
		int count = 64;
		MUST(getpwuid(0) != NULL && getgrgid(0) != NULL);
		MUST(getpwnam("nobody-of-this-name") == NULL);
		(void)getgrouplist("root", 0, groups, &count);
		MUST(getaddrinfo("127.0.0.1", "80", NULL, &found) == 0);
		freeaddrinfo(found);
		if (getaddrinfo("localhost", NULL, NULL, &found) == 0)
			freeaddrinfo(found);
		_exit(0);
	}
	await(child);
}

static void show_environment(char **of_main) {
	MUST(environ == of_main);
	for (char **entry = environ; *entry != NULL; entry++)
		say("%s", *entry);
	MUST(setenv("INCIDENT", "set", 1) == 0 && unsetenv("HOME") == 0);
	MUST(putenv((char[]){ "PUT=1" }) == 0 && is(getenv("PUT"), "1"));
	MUST(is(getenv("INCIDENT"), "set") && getenv("HOME") == NULL);
	MUST(getenv("PATH") != NULL);
	MUST(clearenv() == 0 && getenv("PATH") == NULL);
}

int main(int argc, char **argv, char **environment) {
	MUST(argc >= 2);
	module_path = argc > 2 ? argv[2] : "";
	end_some_day();
	if (argc > 3) /* begins when it is told to */
		wait_for_test();
	if (is(argv[1], "touch")) {
		find_touch();
		in_threads(allocate, touch_in_threads, CHILDREN);
	} else if (is(argv[1], "loader")) {
		find_touch();
		in_threads(use_loader, fork_once, CHILDREN);
	} else if (is(argv[1], "names")) {
		in_threads(allocate, ask_names, CHILDREN);
	} else if (is(argv[1], "environment")) {
		show_environment(environment);
	} else {
		return 2;
	}
	say("done");
	return 0;
}
