/* SPDX-License-Identifier: MIT */
/*
 * Ends where little is left: `signal_stack` calls exit in a handler whose stack is two pages, `inexact`
 * ends, and `child` has a child that lives until its input ends, in a program that has asked for SIGFPE at
 * each inexact result. Status 5.
 */

#include <fenv.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "target.h"

static void end(int signal_number) {
	(void)signal_number;
	exit(5);
}

static void exit_on_signal_stack(void) {
	char *pages = mmap(NULL, 16384, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(pages != MAP_FAILED &&
			mprotect(pages + 4096, 8192, PROT_READ | PROT_WRITE) == 0);
	stack_t stack = { .ss_sp = pages + 4096, .ss_size = 8192 };
	struct sigaction action = { .sa_handler = end, .sa_flags = SA_ONSTACK };
	MUST(sigaltstack(&stack, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0);
	raise(SIGTERM);
}

int main(int argc, char **argv) {
	end_some_day();
	free(malloc(100));
	if (argc > 1 && is(argv[1], "signal_stack"))
		exit_on_signal_stack();
	MUST(feenableexcept(FE_INEXACT) != -1);
	if (argc > 1 && is(argv[1], "child")) {
		pid_t child = fork(); /* whose threads are made under the trap */
		int status = 0;
		MUST(child >= 0);
		if (child > 0) {
			MUST(waitpid(child, &status, 0) == child);
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
		}
		end_some_day();
		say("child %d", (int)getpid());
		char c;
		struct pollfd input = { .fd = 0, .events = POLLIN };
		do {
			void *p = malloc(5000); /* so that its keeper may start */
			KEEP(p);
			free(p);
		} while (poll(&input, 1, 10) == 0 || read(0, &c, 1) == 1);
	}
	return 5;
}
