/* SPDX-License-Identifier: MIT */
/*
 * A program whose filter kills at clock_gettime, which libc reads without a call, and that copies
 * itself by the number of clone.
 */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "target.h"

int main(void) {
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };
	int status;
	end_some_day();
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	MUST(child >= 0);
	if (child == 0)
		_exit(7);
	MUST(waitpid((pid_t)child, &status, 0) == child && WEXITSTATUS(status) == 7);
	say("copied");
	return 0;
}
