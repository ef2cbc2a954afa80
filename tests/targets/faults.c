/* SPDX-License-Identifier: MIT */
/*
 * faults ROUNDS: programs that live on their own faults. A store into a page without rights is
 * made good by the handler, as in collectors of garbage; a load from nowhere is jumped out of, as
 * in virtual machines; a mapped file that became short gives SIGBUS. All of it on an alternate stack.
 */

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "target.h"

enum { PAGE = 4096 };

static char *page;
static sigjmp_buf start;
static volatile unsigned long repaired, jumped, late;

static void on_fault(int signal, siginfo_t *info, void *context) {
	char *at = info->si_addr;
	if (signal == SIGSEGV && at >= page && at < page + PAGE) {
		MUST(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
		repaired++;
		return;
	}
	if (signal == SIGBUS)
		late++;
	jumped++;
	siglongjmp(start, 1);
}

static void on_user(int signal) {
}

/* The handlers are those that were set, or none. */
static void check(int is_set) {
	static const int all[] = { SIGSEGV, SIGBUS, SIGUSR1, SIGUSR2, SIGPROF };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct sigaction now;
		MUST(sigaction(all[i], NULL, &now) == 0);
		if (!is_set)
			MUST(now.sa_handler == SIG_DFL && now.sa_flags == 0);
		else if (i < 2)
			MUST(now.sa_sigaction == on_fault && now.sa_flags & SA_ONSTACK);
		else
			MUST(now.sa_handler == on_user);
	}
}

static void set(void) {
	struct sigaction fault = { .sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction user = { .sa_handler = on_user };
	static char bytes[65536];
	stack_t stack = { .ss_sp = bytes, .ss_size = sizeof bytes };
	MUST(sigaltstack(&stack, NULL) == 0);
	MUST(sigaction(SIGSEGV, &fault, NULL) == 0 &&
			sigaction(SIGBUS, &fault, NULL) == 0);
	MUST(sigaction(SIGUSR1, &user, NULL) == 0 &&
			sigaction(SIGUSR2, &user, NULL) == 0);
	MUST(sigaction(SIGPROF, &user, NULL) == 0);
}

static void round_of_faults(volatile char *file) {
	void *p = malloc(1000);
	KEEP(p);
	MUST(mprotect(page, PAGE, PROT_NONE) == 0);
	page[7] = 1;
	if (sigsetjmp(start, 1) == 0)
		MUST(*(volatile char *)PAGE == 0);
	if (sigsetjmp(start, 1) == 0)
		MUST(*file == 0);
	free(p);
}

int main(int argc, char **argv) {
	FILE *empty = tmpfile();
	MUST(argc == 2 && empty != NULL);
	end_some_day();
	check(0);
	set();
	page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *file = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fileno(empty), 0);
	MUST(page != MAP_FAILED && file != MAP_FAILED);
	unsigned long rounds = number(argv[1]);
	for (unsigned long i = 0; i < rounds; i++)
		round_of_faults(file);
	say("%lu repaired, %lu jumped, %lu of them for a file", repaired, jumped, late);
	wait_for_test();
	round_of_faults(file);
	check(1);
	say("still mine");
	wait_for_test();
	return 0;
}
