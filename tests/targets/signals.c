/* SPDX-License-Identifier: MIT */
/*
 * signals CASE: programs that would notice a thread of somebody else's.
 *   sigwait, signalfd   block every signal, ask the test to send USR1, TERM and INT, and take
 *                       them one by one: no other thread may be killed by one
 *   profile             a SIGPROF handler that mallocs interrupts a loop that mallocs; prints
 *                       how many pairs there were in all
 *   children            waits for any child, again and again until the test says a line
 *   quiet               a program that counts every handler run: none is expected
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "target.h"

static sigset_t all_blocked(void) {
	sigset_t set;
	MUST(sigfillset(&set) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	return set;
}

static void by_sigwait(void) {
	sigset_t set = all_blocked();
	sigdelset(&set, SIGALRM);
	say("ready");
	for (int i = 0; i < 3; i++) {
		int taken = 0;
		MUST(sigwait(&set, &taken) == 0);
		say("took %s",
				taken == SIGUSR1                   ? "USR1"
						: taken == SIGTERM ? "TERM"
								   : "other");
	}
}

static void by_signalfd(void) {
	sigset_t set = all_blocked();
	int descriptor = signalfd(-1, &set, SFD_CLOEXEC);
	MUST(descriptor >= 0);
	say("ready");
	for (int i = 0; i < 3; i++) {
		struct signalfd_siginfo info;
		MUST(read(descriptor, &info, sizeof info) == (ssize_t)sizeof info);
		say("took %s",
				info.ssi_signo == SIGUSR1                   ? "USR1"
						: info.ssi_signo == SIGTERM ? "TERM"
									    : "other");
	}
}

/*
 * malloc is not async-signal-safe: glibc's tcache survives an interruption by the same
 * thread only outside of it, so the loop lets the handler in while it is in the hook for a block of
 * another class. What may be lost is a count between load and store of the shim.
 */
static volatile unsigned long handled;

static void on_profile(int signal) {
	int before = errno;
	void *p = malloc(5000000); /* mmapped: no bin, no tcache, no arena lock */
	KEEP(p);
	free(p);
	handled++;
	errno = before;
}

static void profile(void) {
	struct itimerval often = { { 0, 200 }, { 0, 200 } },
			 never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_profile, .sa_flags = SA_RESTART };
	unsigned long pairs = 0;
	/* the first of each kind may change the arena, where nothing may come in between */
	on_profile(SIGPROF);
	for (; pairs < 10; pairs++) {
		void *p = malloc(64);
		KEEP(p);
		free(p);
	}
	MUST(sigaction(SIGPROF, &action, NULL) == 0);
	MUST(setitimer(ITIMER_PROF, &often, NULL) == 0);
	while (handled < 300) {
		for (int i = 0; i < 1000; i++) {
			void *p = malloc(64);
			KEEP(p);
			free(p);
			pairs++;
		}
	}
	MUST(setitimer(ITIMER_PROF, &never, NULL) == 0);
	say("%lu", pairs + handled);
}

static volatile sig_atomic_t runs;

static void count_run(int signal) {
	runs++;
}

static void quiet(void) {
	for (int signal = 1; signal < NSIG; signal++) {
		struct sigaction action = { .sa_handler = count_run }, before;
		if (signal != SIGALRM && sigaction(signal, NULL, &before) == 0) {
			MUST(before.sa_handler == SIG_DFL ||
					before.sa_handler == SIG_IGN);
			sigaction(signal, &action, NULL);
		}
	}
	say("ready");
	/* no EINTR either: a read of 3 lines that takes as long as the test likes */
	for (int i = 0; i < 3; i++) {
		char c = 0;
		do
			MUST(read(0, &c, 1) == 1);
		while (c != '\n');
	}
	say("%d handlers ran", (int)runs);
}

static void wait_for_all(void) {
	unsigned long children = 0;
	say("ready");
	for (struct pollfd input = { .fd = 0, .events = POLLIN };
			poll(&input, 1, 1) == 0;) {
		siginfo_t info = { 0 };
		int r = waitid(P_ALL, 0, &info, WEXITED | WNOHANG);
		children += r == 0;
		MUST(r == 0 || errno == ECHILD);
	}
	wait_for_test();
	say("%lu children", children);
}

int main(int argc, char **argv) {
	MUST(argc == 2);
	end_some_day();
	if (is(argv[1], "sigwait"))
		by_sigwait();
	else if (is(argv[1], "signalfd"))
		by_signalfd();
	else if (is(argv[1], "profile"))
		profile();
	else if (is(argv[1], "children"))
		wait_for_all();
	else if (is(argv[1], "quiet"))
		quiet();
	else
		return 2;
	return 0;
}
