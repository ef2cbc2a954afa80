/* SPDX-License-Identifier: MIT */
/*
 * outside [PROGRAM [ARG...]]: what any program does, for builds that no shim can enter, and for
 * programs that start such. Threads and a forked child allocate, PROGRAM runs with no input and its
 * status is said; then it lives until its own input ends, and returns 6.
 */

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#include "target.h"

extern char **environ;

enum { THREADS = 4, ROUNDS = 200, STATUS_OF_CHILD = 3, STATUS = 6 };

static void *work(void *argument) {
	for (size_t i = 1; i <= ROUNDS; i++) {
		char *p = malloc(i);
		MUST(p != NULL);
		KEEP(p);
		p[i - 1] = 1;
		p = realloc(p, 100 * i);
		MUST(p != NULL && p[i - 1] == 1);
		KEEP(p);
		void *aligned = NULL;
		MUST(posix_memalign(&aligned, 64, i) == 0);
		char *zeroes = calloc(i, 2);
		MUST(zeroes != NULL && zeroes[2 * i - 1] == 0);
		free(zeroes);
		free(aligned);
		free(p);
	}
	return argument;
}

static int status_of(pid_t child) {
	int status = 0;
	MUST(waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void start(char **command) {
	posix_spawn_file_actions_t actions;
	pid_t child;
	MUST(posix_spawn_file_actions_init(&actions) == 0);
	MUST(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) ==
			0);
	MUST(posix_spawnp(&child, command[0], &actions, NULL, command, environ) == 0);
	MUST(posix_spawn_file_actions_destroy(&actions) == 0);
	say("program %d", status_of(child));
}

int main(int argc, char **argv) {
	pthread_t threads[THREADS];
	end_some_day();
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, work, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	pid_t child = fork();
	if (child == 0) {
		work(NULL);
		_exit(STATUS_OF_CHILD);
	}
	MUST(child > 0);
	say("child %d", status_of(child));
	if (argc > 1)
		start(argv + 1);
	say("ready");
	wait_for_test();
	return STATUS;
}
