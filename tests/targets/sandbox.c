/* SPDX-License-Identifier: MIT */
/*
 * sandbox CASE: hosts that put themselves, or their children, away.
 *   clone         a child in name spaces of its own by the bare system call, in a chroot to a
 *                 folder that vanishes, without capabilities: as sandboxes of browsers do
 *   ids           children by the bare system call, which change their ids, from the first
 *                 moment on
 *   unshare       a forked child asks whether it could have a user name space, then main does so
 *   landlock      says the version of landlock
 *   landlock DIR [COMMAND...]
 *                 may write below DIR and /dev/null only, and open no port; then becomes COMMAND,
 *                 or waits
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

enum { NOT_HERE = 77 };

static void allocate(void) {
	for (int i = 0; i < 1000; i++) {
		void *p = malloc(100 + (size_t)i);
		KEEP(p);
		MUST(p != NULL);
		free(p);
	}
}

static int end_of(pid_t child) {
	int status;
	MUST(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static pid_t raw_clone(unsigned long flags) {
	return (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
}

/* The helper's root is ours; its folder in /proc goes when it ends. */
static void lose_files(void) {
	pid_t helper = raw_clone(CLONE_FS | SIGCHLD);
	if (helper == 0) {
		MUST(chroot("/proc/self/fdinfo/") == 0 && chdir("/") == 0);
		_exit(0);
	}
	MUST(end_of(helper) == 0);
	MUST(access("/proc", F_OK) == -1 && access("/etc", F_OK) == -1);
}

static void drop_capabilities(void) {
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	MUST(syscall(SYS_capset, &header, none) == 0);
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

static void by_clone(void) {
	pid_t child = raw_clone(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | SIGCHLD);
	if (child == -1)
		_exit(NOT_HERE);
	if (child == 0) {
		MUST(getpid() == 1);
		allocate();
		lose_files();
		drop_capabilities();
		MUST(unshare(CLONE_NEWUSER) == -1 && errno == EPERM);
		allocate();
		say("put away");
		wait_for_test();
		_exit(0);
	}
	MUST(end_of(child) == 0);
}

/* A child that waits for a thread which only its parent has would wait for ever. */
static void ids(void) {
	for (int i = 0; i < 300; i++) {
		pid_t child = raw_clone(SIGCHLD);
		if (child == 0) {
			allocate();
			_exit(setgid(getgid()) == 0 && setuid(getuid()) == 0 ? 0 : 1);
		}
		MUST(end_of(child) == 0);
	}
	say("all ended");
}

static void by_unshare(void) {
	pid_t child = fork();
	if (child == 0) {
		allocate();
		_exit(unshare(CLONE_NEWUSER) == 0 ? 0 : NOT_HERE);
	}
	int answer = end_of(child);
	if (answer != 0)
		_exit(answer);
	MUST(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0);
	allocate();
	say("put away");
	wait_for_test();
}

static void allow_writes(int rules, const char *path, unsigned long long writes) {
	struct landlock_path_beneath_attr below = { .allowed_access = writes };
	below.parent_fd = open(path, O_PATH | O_CLOEXEC);
	MUST(below.parent_fd >= 0 &&
			syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
					&below, 0) == 0);
	close(below.parent_fd);
}

static int landlock_version(void) {
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
			LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		_exit(NOT_HERE);
	return version;
}

static void restrict_to(const char *folder) {
	const unsigned long long writes = LANDLOCK_ACCESS_FS_WRITE_FILE |
			LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG;
	/* handled_access_fs and, since the fourth version, handled_access_net: bind, connect */
	unsigned long long handled[2] = { writes, 1 };
	int version = landlock_version();
	int rules = (int)syscall(SYS_landlock_create_ruleset, handled,
			version >= 4 ? sizeof handled : sizeof handled[0], 0);
	MUST(rules >= 0);
	allow_writes(rules, folder, writes);
	allow_writes(rules, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE);
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(syscall(SYS_landlock_restrict_self, rules, 0) == 0);
	close(rules);
	MUST(open("/dev/zero", O_WRONLY) == -1 && errno == EACCES);
}

static void by_landlock(char **arguments) {
	if (arguments[1] == NULL) {
		say("ready");
		wait_for_test();
	}
	restrict_to(arguments[0]);
	if (arguments[1] != NULL) {
		execv(arguments[1], arguments + 1);
		_exit(127);
	}
	allocate();
	say("put away");
	wait_for_test();
}

int main(int argc, char **argv) {
	MUST(argc >= 2);
	end_some_day();
	if (is(argv[1], "clone"))
		by_clone();
	else if (is(argv[1], "ids"))
		ids();
	else if (is(argv[1], "unshare"))
		by_unshare();
	else if (is(argv[1], "landlock") && argc >= 3)
		by_landlock(argv + 2);
	else if (is(argv[1], "landlock"))
		say("%d", landlock_version());
	else
		return 2;
	return 0;
}
