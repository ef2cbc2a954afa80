/* SPDX-License-Identifier: MIT */
/*
 * Seccomp filters that kill at any other system call than those of a list.
 *
 *   seccomp WAY LIST            puts the filter on itself, then works: allocates, starts
 *                               threads, forks, waits for a line, allocates, ends
 *   seccomp exec LIST CMD...    puts it on itself and runs CMD
 *
 *   seccomp own LIST            has its own unshare, made of the number, and calls it
 *   seccomp exit LIST           ends its only thread by the number of exit
 *
 * WAY   prctl, syscall, number (prctl through syscall), tsync: the ways in; refused: a filter
 *       that the kernel refuses, for all threads; asked: only asks what the kernel knows;
 *       strict: the mode without a filter; vfork: a child with our memory puts it on itself
 * LIST  work: what this program does itself; ids: and setuid; thread: and what its threads need; ours: and
 *       what kernel.def has; errno: all is allowed but what nobody here calls
 */

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

enum { THREADS = 30, PIECES = 1000, CALLS = 400 };

static const int work[] = { SYS_read, SYS_write, SYS_brk, SYS_exit_group };

static const int ids[] = { SYS_getuid, SYS_setuid };

static const int thread[] = { SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_clone,
	SYS_clone3, SYS_exit, SYS_futex, SYS_rt_sigprocmask, SYS_set_robust_list,
	SYS_rseq, SYS_rt_sigaction, SYS_wait4 };

/* What the loader and libc do before main, and what this program does besides. */
static const int start[] = { SYS_execve, SYS_arch_prctl, SYS_access, SYS_newfstatat,
	SYS_pread64, SYS_read, SYS_openat, SYS_close, SYS_prlimit64, SYS_getrandom,
	SYS_set_tid_address, SYS_setitimer, SYS_rt_sigreturn, SYS_restart_syscall };

static const int ours[] = {
#define KERNEL_OTHER(group, name)              SYS_##name,
#define KERNEL_CALL0(group, result, name)      SYS_##name,
#define KERNEL_CALL1(group, result, name, ...) SYS_##name,
#define KERNEL_CALL2                           KERNEL_CALL1
#define KERNEL_CALL3                           KERNEL_CALL1
#define KERNEL_CALL4                           KERNEL_CALL1
#define KERNEL_CALL5                           KERNEL_CALL1
#define KERNEL_CALL6                           KERNEL_CALL1
#include "exporter/base/kernel.def"
};

static struct sock_filter code[CALLS + 8];
static unsigned short used;

static void add(unsigned short operation, unsigned k, unsigned char yes,
		unsigned char no) {
	MUST(used < CALLS + 8);
	code[used++] = (struct sock_filter){ operation, yes, no, k };
}

static void allow(const int *calls, size_t count) {
	for (size_t i = 0; i < count; i++) {
		add(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
		add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	}
}

static struct sock_fprog filter_of(const char *list) {
	add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	if (is(list, "errno")) {
		add(BPF_JMP | BPF_JEQ | BPF_K, SYS_reboot, 0, 1);
		add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
		add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		return (struct sock_fprog){ used, code };
	}
	allow(work, sizeof work / sizeof *work);
	if (is(list, "ids"))
		allow(ids, sizeof ids / sizeof *ids);
	else if (!is(list, "work"))
		allow(thread, sizeof thread / sizeof *thread);
	if (is(list, "start") || is(list, "ours"))
		allow(start, sizeof start / sizeof *start);
	if (is(list, "ours"))
		allow(ours, sizeof ours / sizeof *ours);
	add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	return (struct sock_fprog){ used, code };
}

static void in_vfork_child(const struct sock_fprog *filter) {
	int status = 0;
	pid_t pid = vfork();
	if (pid == 0) {
		/* nothing but this: the memory is the parent's */
		_exit(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter) == 0 ? 7 : 8);
	}
	MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void install(const char *way, struct sock_fprog filter) {
	long r = 0;
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (is(way, "prctl") || is(way, "exec")) {
		r = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
	} else if (is(way, "syscall")) {
		r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
	} else if (is(way, "number")) {
		r = syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
	} else if (is(way, "tsync")) {
		r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_TSYNC, &filter);
	} else if (is(way, "strict")) {
		r = prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	} else if (is(way, "refused")) {
		filter.len = 0;
		r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_TSYNC, &filter);
		MUST(r == -1 && errno == EINVAL);
		r = 0;
	} else if (is(way, "asked")) {
		r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_TSYNC, NULL);
		MUST(r == -1 && errno == EFAULT);
		MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL) == -1);
		r = 0;
	} else {
		MUST(is(way, "vfork"));
		in_vfork_child(&filter);
	}
	MUST(r == 0);
}

int unshare(int flags) {
	return (int)syscall(SYS_unshare, flags);
}

static void allocate(void) {
	static void *pieces[PIECES];
	for (int i = 0; i < PIECES; i++) {
		pieces[i] = malloc((size_t)i + 1);
		KEEP(pieces[i]);
		MUST(pieces[i] != NULL);
	}
	for (int i = 0; i < PIECES; i++)
		free(pieces[i]);
}

static void *in_thread(void *arg) {
	void *p = malloc(100);
	KEEP(p);
	free(p);
	return arg;
}

static void start_threads(void) {
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i], NULL, in_thread, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void fork_and_wait(void) {
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		allocate();
		start_threads();
		exit(5);
	}
	MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

int main(int argc, char **argv) {
	MUST(argc > 2);
	struct sock_fprog filter = filter_of(argv[2]);
	end_some_day();
	if (is(argv[1], "own"))
		return unshare(CLONE_FILES | CLONE_FS);
	if (is(argv[1], "exit")) {
		say("ready");
		wait_for_test();
		syscall(SYS_exit, 3);
	}
	if (is(argv[1], "exec")) {
		install("exec", filter);
		execv(argv[3], argv + 3);
		_exit(96);
	}
	mallopt(M_ARENA_MAX,
			2); /* else libc may ask for the number of processors, later */
	allocate(); /* the heap is there before the filter, as in any program */
	say("ready");
	wait_for_test();
	install(argv[1], filter);
	allocate();
	if (!is(argv[2], "work") && !is(argv[2], "ids")) {
		start_threads();
		fork_and_wait();
	}
	if (is(argv[2], "ids")) /* no futex is allowed, nor a signal to a thread */
		MUST(setuid(getuid()) == 0);
	say("filtered");
	wait_for_test();
	allocate();
	say("done");
	if (is(argv[1], "strict"))
		syscall(SYS_exit, 0);
	exit(0);
}
