/* SPDX-License-Identifier: MIT */
/*
 * Another tool that lives in LD_PRELOAD: its constructor takes memory before ours runs or after,
 * and it tells the file NEIGHBOUR_LOG of each program that is started. NEIGHBOUR_BLOCKS is the
 * number of blocks that it keeps.
 */

#include <dlfcn.h>
#include <fcntl.h>

#include "target.h"

int execve(const char *path, char *const argv[], char *const environment[]);

static int log_file = -1;

__attribute__((constructor)) static void come(void) {
	const char *blocks = getenv("NEIGHBOUR_BLOCKS");
	const char *log = getenv("NEIGHBOUR_LOG");
	for (unsigned long i = blocks != NULL ? number(blocks) : 0; i > 0; i--) {
		void *p = calloc(1, 1000);
		MUST(p != NULL);
		KEEP(p);
	}
	if (log != NULL)
		log_file = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

int execve(const char *path, char *const argv[], char *const environment[]) {
	int (*real)(const char *, char *const[], char *const[]);
	*(void **)&real = dlsym(RTLD_NEXT, "execve");
	char *copy = strdup(path);
	if (log_file >= 0 && copy != NULL)
		say_to(log_file, "%s", copy);
	free(copy);
	return real(path, argv, environment);
}
