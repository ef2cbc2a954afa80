/* SPDX-License-Identifier: MIT */
/*
 * rights CASE: drops rights as servers do; each waits for the test before, and after.
 *   uid       setgroups, setresgid, setresuid: for good
 *   keepcaps  PR_SET_KEEPCAPS first, then the uid, then the groups: works in the calling
 *             thread alone, which libc carries to all threads and aborts if one differs
 *   capset    drops every capability of the calling thread but SETGID, then sets groups
 *   chroot    into an empty folder
 *   memory    no more address space than there is
 *   apart     changes its uids for the calling thread alone, then asks libc for a uid that only
 *             the other threads may have: libc aborts when one of them can and one cannot
 *   newuser   a user name space, by the number of the call
 *   children  unshare(CLONE_NEWPID): the next child, whoever makes it, is the new name space's
 *             first process, and when that ends there can be no other
 */

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

enum { NOBODY = 65534 };

static void set_capabilities(unsigned effective, unsigned permitted) {
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { effective, permitted, 0 },
		{ 0, 0, 0 } };
	MUST(syscall(SYS_capset, &header, data) == 0);
}

static void uid(void) {
	gid_t groups[] = { NOBODY };
	MUST(setgroups(1, groups) == 0);
	MUST(setresgid(NOBODY, NOBODY, NOBODY) == 0);
	MUST(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	MUST(setuid(0) == -1 && errno == EPERM);
}

static void keepcaps(void) {
	MUST(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	MUST(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	unsigned wanted = 1U << CAP_SETGID | 1U << CAP_NET_BIND_SERVICE;
	set_capabilities(wanted, wanted);
	MUST(setgroups(0, NULL) == 0);
	MUST(setresgid(NOBODY, NOBODY, NOBODY) == 0);
	set_capabilities(1U << CAP_NET_BIND_SERVICE, 1U << CAP_NET_BIND_SERVICE);
	MUST(setgroups(0, NULL) == -1 && errno == EPERM);
}

static void capset_first(void) {
	set_capabilities(1U << CAP_SETGID, 1U << CAP_SETGID);
	MUST(setgroups(0, NULL) == 0);
	MUST(setresuid(NOBODY, NOBODY, NOBODY) == -1 && errno == EPERM);
	MUST(setresgid(NOBODY, NOBODY, NOBODY) == 0);
}

static void apart(void) {
	MUST(setresuid(1, 2, 3) == 0);
	MUST(syscall(SYS_setresuid, 1, 1, 1) == 0);
	MUST(setuid(3) == -1 && errno == EPERM);
}

static void into_nowhere(void) {
	MUST(mkdir("nowhere", 0755) == 0 || errno == EEXIST);
	MUST(chroot("nowhere") == 0 && chdir("/") == 0);
	MUST(access("/proc", F_OK) == -1);
}

static void no_memory(void) {
	struct rlimit none = { 1, 1 };
	MUST(setrlimit(RLIMIT_AS, &none) == 0);
	MUST(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			MAP_FAILED);
}

int main(int argc, char **argv) {
	MUST(argc == 2);
	end_some_day();
	say("ready");
	wait_for_test();
	if (is(argv[1], "uid"))
		uid();
	else if (is(argv[1], "keepcaps"))
		keepcaps();
	else if (is(argv[1], "capset"))
		capset_first();
	else if (is(argv[1], "chroot"))
		into_nowhere();
	else if (is(argv[1], "apart"))
		apart();
	else if (is(argv[1], "newuser"))
		MUST(syscall(SYS_unshare, CLONE_NEWUSER) == 0);
	else if (is(argv[1], "children"))
		MUST(unshare(CLONE_NEWPID) == 0);
	else if (is(argv[1], "memory"))
		no_memory();
	else
		return 2;
	say("dropped");
	wait_for_test();
	if (is(argv[1], "children")) {
		pid_t child = fork();
		MUST(child >= 0);
		if (child == 0)
			_exit(getpid() == 1 ? 0 : 1);
		int status;
		MUST(waitpid(child, &status, 0) == child && status == 0);
		MUST(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	}
	void *p = malloc(100);
	KEEP(p);
	free(p);
	return 0;
}
