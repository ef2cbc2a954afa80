/* SPDX-License-Identifier: MIT */
/*
 * A host that holds its allocator's lock for ever: malloc_stats of glibc writes to stderr with
 * the arena locked, and stderr is a pipe that is full. malloc then hangs for everybody.
 */

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>

#include "target.h"

static _Atomic int tid, locked;

static void *hold(void *argument) {
	tid = gettid();
	malloc_stats();
	return argument;
}

/* Tells whether the thread is inside write(2, ...). */
static int is_writing(void) {
	char path[64], line[64] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
	int descriptor = open(path, O_RDONLY);
	MUST(descriptor >= 0 && read(descriptor, line, sizeof line - 1) >= 0);
	close(descriptor);
	return strncmp(line, "1 0x2 ", 6) == 0;
}

static void *starve(void *argument) {
	while (!locked)
		usleep(1000);
	void *p = malloc(300000000); /* mmapped: needs no arena */
	KEEP(p);
	void *q = realloc(p, 100); /* back into the arena: hangs */
	KEEP(q);
	say("malloc came back");
	return argument;
}

int main(void) {
	int pipes[2];
	MUST(mallopt(M_ARENA_MAX, 1) == 1);
	pthread_t thread; /* both are made before the lock is held: that takes memory */
	end_some_day();
	void *p = malloc(100);
	KEEP(p);
	free(p);
	MUST(pipe2(pipes, O_NONBLOCK) == 0);
	while (write(pipes[1], pipes, sizeof pipes) > 0)
		;
	MUST(fcntl(pipes[1], F_SETFL, 0) == 0 && dup2(pipes[1], 2) == 2);
	MUST(pthread_create(&thread, NULL, starve, NULL) == 0);
	MUST(pthread_create(&thread, NULL, hold, NULL) == 0);
	while (tid == 0 || !is_writing())
		usleep(1000);
	locked = 1;
	say("locked");
	wait_for_test();
	_exit(0);
}
