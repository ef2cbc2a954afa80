/* SPDX-License-Identifier: MIT */
/*
 * raw_clone COUNT: makes COUNT children each by _Fork, clone and clone3, the latter by their
 * numbers: libc knows nothing of them, no handler runs. Each allocates 1000 blocks and ends by
 * _exit, or, each third, by exit. The parent makes 10 pairs for each child, and nothing else.
 */

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

static void pairs(int count) {
	while (count-- > 0) {
		void *p = malloc(100);
		KEEP(p);
		free(p);
	}
}

static pid_t by_clone(void) {
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static pid_t by_clone3(void) {
	struct clone_args how = { .exit_signal = SIGCHLD };
	long child = syscall(SYS_clone3, &how, sizeof how);
	return child < 0 && errno == ENOSYS ? by_clone() : (pid_t)child;
}

int main(int argc, char **argv) {
	pid_t (*const ways[])(void) = { _Fork, by_clone, by_clone3 };
	MUST(argc == 2);
	end_some_day();
	unsigned long count = number(argv[1]);
	say("ready");
	wait_for_test();
	for (unsigned long i = 0; i < 3 * count; i++) {
		pid_t child = ways[i % 3]();
		MUST(child >= 0);
		if (child == 0) {
			alarm(3600);
			pairs(1000);
			if (i / 3 % 3 == 0)
				exit(3);
			_exit(3);
		}
		int status;
		MUST(waitpid(child, &status, 0) == child);
		MUST(WIFEXITED(status) && WEXITSTATUS(status) == 3);
		pairs(10);
	}
	say("all ended");
	wait_for_test();
	return 0;
}
