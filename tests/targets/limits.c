/* SPDX-License-Identifier: MIT */
/*
 * limits CASE: hosts that meet their limits, and go on.
 *   memory   takes memory until there is none, lives on with none, and gives it back
 *   locked   mlockall, now and for what comes
 *   time     works until SIGXCPU comes, which is main's
 */

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "target.h"

enum { BLOCK = 4096, BLOCKS_MAX = 1 << 20 };

static void **taken; /* a list through the blocks themselves */

static void memory(void) {
	int blocks = 0;
	say("ready");
	wait_for_test();
	for (; blocks < BLOCKS_MAX; blocks++) {
		void **block = malloc(BLOCK);
		if (block == NULL)
			break;
		*block = taken;
		taken = block;
	}
	MUST(blocks < BLOCKS_MAX && errno == ENOMEM);
	say("no memory");
	wait_for_test();
	MUST(malloc(1 << 20) == NULL && errno == ENOMEM);
	while (taken != NULL) {
		void **block = taken;
		taken = *block;
		free(block);
	}
	void *p = malloc(1 << 20);
	MUST(p != NULL);
	free(p);
	say("given back");
	wait_for_test();
}

static void locked(void) {
	MUST(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
	say("locked");
	for (int i = 0; i < 100; i++) {
		void *p = malloc(100000);
		KEEP(p);
		MUST(p != NULL);
		free(p);
	}
	wait_for_test();
}

static volatile sig_atomic_t caught;

static void on_limit(int number) {
	(void)number;
	caught += syscall(SYS_gettid) == getpid() ? 1 : 100;
}

static void cpu_time(void) {
	struct sigaction action = { .sa_handler = on_limit };
	MUST(sigaction(SIGXCPU, &action, NULL) == 0);
	while (caught == 0)
		;
	say("caught %d", (int)caught);
}

int main(int argc, char **argv) {
	MUST(argc == 2);
	end_some_day();
	if (is(argv[1], "memory"))
		memory();
	else if (is(argv[1], "locked"))
		locked();
	else if (is(argv[1], "time"))
		cpu_time();
	else
		return 2;
	return 0;
}
