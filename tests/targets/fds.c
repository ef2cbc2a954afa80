/* SPDX-License-Identifier: MIT */
/*
 * fds CASE: programs that care about descriptor numbers. Each prints what it saw; waits for a
 * line; looks again.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

/* Prints every open descriptor. */
static void list(const char *when) {
	char line[400];
	int used = 0;
	for (int i = 0; i < 1024 && used < 300; i++)
		if (fcntl(i, F_GETFD) >= 0)
			used += snprintf(line + used, sizeof line - (size_t)used, " %d",
					i);
	line[used] = '\0';
	say("%s:%s", when, line);
}

/* The first descriptor that is free is 3, all the time. */
static void first(void) {
	for (int i = 0; i < 2; i++) {
		int descriptor = open("/dev/null", O_RDONLY);
		say("first %d", descriptor);
		close(descriptor);
		list("open");
		wait_for_test();
	}
}

static void close_from(void) {
	MUST(syscall(SYS_close_range, 3, ~0U, 0) == 0);
	list("closed");
	wait_for_test();
	for (int i = 3; i < 1024; i++)
		MUST(close(i) == -1 && errno == EBADF);
	say("nothing was open");
	wait_for_test();
}

/* Lays files of its own over every number, and finds what it wrote there, and no more. */
static void dup_over(void) {
	char bytes[16];
	int file = open("dup_over.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	MUST(file >= 0);
	for (int i = 3; i < 256; i++)
		MUST(i == file || dup2(file, i) == i);
	say("laid over");
	wait_for_test();
	MUST(pwrite(200, "mine", 4, 0) == 4 && pread(100, bytes, sizeof bytes, 0) == 4);
	say("only mine");
	wait_for_test();
}

static void limit(void) {
	struct rlimit eight = { 8, 8 };
	MUST(setrlimit(RLIMIT_NOFILE, &eight) == 0);
	say("limited");
	wait_for_test();
	int opened = 0;
	while (open("/dev/null", O_RDONLY) >= 0)
		opened++;
	MUST(errno == EMFILE);
	say("opened %d", opened);
	wait_for_test();
}

/* Lays a file of its own over standard error, and leaves. */
static void replace(void) {
	int file = open("replaced.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	MUST(file >= 0 && dup2(file, 2) == 2 && close(file) == 0);
	say_to(2, "mine");
}

/* A child by fork and exec, and by vfork and exec, has what its parent has. */
static void inherit(void) {
	for (int i = 0; i < 2; i++) {
		pid_t child = i == 0 ? fork() : vfork();
		if (child == 0) {
			execl("/bin/ls", "ls", "/proc/self/fd", (char *)NULL);
			_exit(97);
		}
		int status;
		MUST(waitpid(child, &status, 0) == child && status == 0);
	}
}

/* epoll, POSIX and flock locks of its own: a close by somebody else would undo them. */
static void locks(void) {
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int file = open("locks.file", O_RDWR | O_CREAT, 0600), pipes[2];
	struct epoll_event event = { .events = EPOLLIN };
	MUST(file >= 0 && fcntl(file, F_SETLK, &whole) == 0 && pipe(pipes) == 0);
	int poller = epoll_create1(0);
	MUST(epoll_ctl(poller, EPOLL_CTL_ADD, pipes[0], &event) == 0);
	MUST(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	say("locked");
	wait_for_test();
	pid_t child = fork();
	if (child == 0) {
		struct flock asked = whole;
		MUST(fcntl(file, F_GETLK, &asked) == 0);
		_exit(asked.l_type == F_WRLCK ? 0 : 1);
	}
	int status;
	MUST(waitpid(child, &status, 0) == child);
	MUST(close(pipes[0]) == 0);
	MUST(write(pipes[1], "x", 1) ==
			-1); /* EPIPE: no other table holds the reading end */
	MUST(epoll_wait(poller, &event, 1, 0) == 0);
	say("%s", status == 0 ? "still locked" : "lock lost");
}

int main(int argc, char **argv) {
	MUST(argc == 2);
	end_some_day();
	if (is(argv[1], "first"))
		first();
	else if (is(argv[1], "closefrom"))
		close_from();
	else if (is(argv[1], "dup"))
		dup_over();
	else if (is(argv[1], "limit"))
		limit();
	else if (is(argv[1], "replace"))
		replace();
	else if (is(argv[1], "inherit"))
		inherit();
	else if (is(argv[1], "locks"))
		locks();
	else
		return 2;
	return 0;
}
