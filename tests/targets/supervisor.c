/* SPDX-License-Identifier: MIT */
/*
 * supervisor COMMAND...: starts the command, adopts whatever loses its parent, and reaps until
 * nobody is left, as an init or a supervisor does. Prints what it saw: who started, and how many
 * processes ended.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "target.h"

int main(int argc, char **argv) {
	MUST(argc >= 2 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	end_some_day();
	pid_t child = fork();
	MUST(child >= 0);
	if (child == 0) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	int ended = 0, status = 0, last = -1;
	for (;;) {
		pid_t pid = waitpid(-1, &status, 0);
		if (pid < 0 && errno == ECHILD)
			break;
		MUST(pid > 0);
		ended++;
		if (pid == child)
			last = status;
	}
	say("process %d, %d ended, status %d", getpid() == 1, ended, last);
	return 0;
}
