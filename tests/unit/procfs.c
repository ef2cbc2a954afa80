/* SPDX-License-Identifier: MIT */
#include "exporter/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/own.h"
#include "tests/unit/tap.h"

#define KNOWN(figures, field) (((figures)->known >> SHIM_FIGURE_##field & 1) != 0)

static const uint64_t second_ns = 1000000000;

static void test_stat(void) {
	static const char good[] =
			"4711 (a) R 1 (b) Z 1 2 3 4 5 6 1000 8 2000 10 70 30 13 14 20 0 7 0 "
			"123456 3133440 418\n";
	struct prom_procfs__stat stat;
	int accepted = 0;

	ok(prom_procfs__parse_stat(good, strlen(good), &stat),
			"a name with blanks and parentheses");
	is(stat.state, 'Z', "state");
	is(stat.faults_minor, 1000, "minor faults");
	is(stat.faults_major, 2000, "major faults");
	is(stat.cpu_ticks, 100, "user and system time");
	is(stat.threads, 7, "threads");
	is(stat.start_ticks, 123456, "start");
	size_t whole = (size_t)(strstr(good, "123456 ") - good) + 7;
	for (size_t size = 0; size < whole; size++) {
		char *cut = memcpy(malloc(size + 1), good, size);
		accepted += prom_procfs__parse_stat(cut, size, &stat);
		free(cut);
	}
	is(accepted, 0, "no truncation is taken for the whole");
}

static void test_limits(void) {
	static const char text[] =
			"Limit                     Soft Limit           Hard Limit           Units\n"
			"Max cpu time              unlimited            unlimited            s\n"
			"Max open files            1024                 524288               files\n"
			"Max locked memory         99999999999999999999 1                    bytes\n"
			"Max address space         unlimited            unlimited            bytes";
	uint64_t limit = 7;

	ok(prom_procfs__parse_limit(text, strlen(text), "Max open files", &limit),
			"a limit");
	is(limit, 1024, "is the soft one");
	ok(prom_procfs__parse_limit(text, strlen(text), "Max address space", &limit),
			"unlimited");
	ok(limit == UINT64_MAX, "is the largest number");
	ok(!prom_procfs__parse_limit(text, strlen(text), "Max locked memory", &limit),
			"too large a number");
	ok(!prom_procfs__parse_limit(text, strlen(text), "Max nonsense", &limit),
			"no such limit");
	ok(!prom_procfs__parse_limit(text, 0, "Max open files", &limit), "an empty file");
	const char *cut = strstr(text, "1024") + 2;
	ok(!prom_procfs__parse_limit(text, (size_t)(cut - text), "Max open files",
			   &limit),
			"half a number");
}

static void test_netstat(void) {
	static const char text[] =
			"TcpExt: A InOctets\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets "
			"OutOctets\nIpExt: 0 18446744073709551615 42\n";
	uint64_t octets = 7;

	ok(prom_procfs__parse_netstat(text, strlen(text), "InOctets", &octets),
			"received");
	ok(octets == UINT64_MAX, "of the right table, 64 bits");
	ok(prom_procfs__parse_netstat(text, strlen(text), "OutOctets", &octets), "sent");
	is(octets, 42, "is the last");
	ok(!prom_procfs__parse_netstat(text, strlen(text) - 1, "OutOctets", &octets),
			"half a number");
	ok(!prom_procfs__parse_netstat(text, strlen(text), "Nonsense", &octets),
			"no such column");
	ok(!prom_procfs__parse_netstat(text, 30, "InOctets", &octets), "no such table");
	for (size_t size = 0; size < strlen(text); size++) {
		char *cut = memcpy(malloc(size + 1), text, size);
		prom_procfs__parse_netstat(cut, size, "InOctets", &octets);
		free(cut);
	}
	ok(1, "every truncation is borne");
}

static uint64_t seconds_of(struct timeval time) {
	return (uint64_t)time.tv_sec;
}

static bool is_between(uint64_t low, uint64_t value, uint64_t high) {
	if (low <= value && value <= high) {
		return true;
	}
	printf("# %" PRIu64 " not in %" PRIu64 " to %" PRIu64 "\n", value, low, high);
	return false;
}

static void test_own(void) {
	struct prom_figures figures;
	struct prom_procfs procfs;
	struct rusage before, after;
	struct rlimit limit;
	struct timespec now;
	int fds = own_descriptors();

	is(prom_procfs_open(&procfs, getpid(), true), 0, "opens /proc");
	getrusage(RUSAGE_SELF, &before);
	prom_procfs_read(&procfs, NULL, 0, &figures);
	getrusage(RUSAGE_SELF, &after);
	is(figures.open_fds, fds, "descriptors, ours not counted");
	is(own_descriptors(), fds + (procfs.cgroup_fd >= 0 ? 6 : 5), "(which are open)");
	is(figures.threads, 1, "one thread");
	getrlimit(RLIMIT_NOFILE, &limit);
	is(figures.max_fds, limit.rlim_cur, "limit of descriptors");
	getrlimit(RLIMIT_AS, &limit);
	ok(KNOWN(&figures, virtual_max_bytes) &&
					figures.virtual_max_bytes == limit.rlim_cur,
			"limit of address space");
	ok(is_between((uint64_t)before.ru_minflt, figures.page_faults_minor,
			   (uint64_t)after.ru_minflt),
			"page faults");
	ok(is_between((uint64_t)before.ru_nvcsw, figures.context_switches_voluntary,
			   (uint64_t)after.ru_nvcsw),
			"context switches");
	ok(is_between(seconds_of(before.ru_utime) * second_ns, figures.cpu_ns,
			   (seconds_of(after.ru_utime) + seconds_of(after.ru_stime) + 2) *
					   second_ns),
			"CPU time");
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t now_ns = (uint64_t)now.tv_sec * second_ns;
	ok(is_between(now_ns - 600 * second_ns, figures.start_time_ns,
			   now_ns + second_ns),
			"started within the last minutes");
	ok(figures.resident_bytes > 4096 &&
					figures.resident_bytes < figures.virtual_bytes,
			"resident less than virtual memory");
	ok(!KNOWN(&figures, memory_limit_bytes),
			"the memory limit is another function's");
	prom_procfs_close(&procfs);
	is(own_descriptors(), fds, "and closes everything");
}

static void test_growth(void) {
	enum { BYTES = 64 << 20, FDS = 50 };
	struct prom_figures before, after;
	struct prom_procfs procfs;
	int fds[FDS];

	prom_procfs_open(&procfs, getpid(), true);
	prom_procfs_read(&procfs, NULL, 0, &before);
	for (int i = 0; i < FDS; i++) {
		fds[i] = dup(0);
	}
	char *memory = malloc(BYTES);
	memset(memory, 1, BYTES);
	__asm__ volatile("" ::"r"(memory) : "memory");
	prom_procfs_read(&procfs, NULL, 0, &after);
	free(memory);
	for (int i = 0; i < FDS; i++) {
		close(fds[i]);
	}
	is(after.open_fds - before.open_fds, FDS, "50 descriptors more");
	ok(is_between(BYTES - (8 << 20), after.resident_bytes - before.resident_bytes,
			   BYTES + (16 << 20)),
			"64 MiB more are resident");
	ok(after.page_faults_minor > before.page_faults_minor, "which gave page faults");
	prom_procfs_close(&procfs);
}

static void put_file(const char *folder, const char *name, const char *text) {
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

static void test_fixture(void) {
	static const char *const folders[] = { "/42", "/42/fd", "/42/net", "/42/task",
		"/42/task/42", "/42/task/43", "/42/task/43/fd" };
	char folder[] = "/tmp/promshim-procfs-XXXXXX", path[512];
	struct prom_figures figures;
	struct prom_procfs procfs;

	if (mkdtemp(folder) == NULL) {
		ok(0, "a temporary folder");
		return;
	}
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", folder, folders[i]);
		mkdir(path, 0700);
	}
	put_file(folder, "42/stat",
			"42 (main (x)) Z 1 1 1 0 -1 0 10 0 3 0 150 50 0 0 20 0 3 0 200 0 0 0\n");
	put_file(folder, "42/statm", "0 0 0 0 0 0 0\n");
	put_file(folder, "42/task/43/statm", "100 25 5 1 0 20 0\n");
	put_file(folder, "42/task/43/fd/0", "");
	put_file(folder, "42/task/43/fd/17", "");
	put_file(folder, "42/limits", "Max open files            9 9 files\n");
	put_file(folder, "42/net/netstat", "IpExt: InOctets OutOctets\nIpExt: 5 6\n");
	is(prom_procfs__open_at(&procfs, open(folder, O_PATH | O_DIRECTORY), -1, 42,
			   false),
			0, "another process");
	prom_procfs_read(&procfs, NULL, 0, &figures);
	is(figures.open_fds, 2, "whose main has ended: descriptors of another thread");
	is(figures.resident_bytes, 25 * sysconf(_SC_PAGESIZE), "and its memory");
	is(figures.threads, 2, "main counts no more");
	is(figures.cpu_ns, 2 * second_ns, "CPU time by ticks");
	is(figures.page_faults_major, 3, "page faults");
	is(figures.start_time_ns - procfs.boot_time_ns, 2 * second_ns,
			"start after boot");
	is(figures.max_fds, 9, "limit");
	is(figures.network_transmit_bytes, 6, "network");
	ok(!KNOWN(&figures, context_switches_voluntary) &&
					!KNOWN(&figures, virtual_max_bytes),
			"what cannot be read is not known");
	prom_procfs_close(&procfs);

	is(prom_procfs__open_at(&procfs, open(folder, O_PATH | O_DIRECTORY), -1, 4711,
			   false),
			-ENOENT, "no such process");
	prom_procfs_read(&procfs, NULL, 0, &figures);
	is(figures.known, 0, "nothing is known of it");
	prom_procfs_close(&procfs);
	snprintf(path, sizeof(path), "rm -r %s", folder);
	is(system(path), 0, "fixture removed");
}

struct hand {
	pthread_barrier_t barrier;
	struct prom_figures figures;
	uint32_t tids[2];
	int host_fds;
	bool is_right;
};

static void *idle_host(void *user) {
	struct hand *hand = user;
	pthread_barrier_wait(&hand->barrier);
	pthread_barrier_wait(&hand->barrier);
	return NULL;
}

/* What the keeper is: a thread with a descriptor table of its own, after main has gone. */
static void *keep(void *user) {
	struct hand *hand = user;
	struct prom_procfs procfs;
	char path[64], text[256] = { 0 };

	hand->tids[1] = (uint32_t)syscall(SYS_gettid);
	pthread_barrier_wait(&hand->barrier);
	snprintf(path, sizeof(path), "/proc/self/stat");
	do { /* until main is gone */
		int fd = open(path, O_RDONLY);
		ssize_t length = read(fd, text, sizeof(text) - 1);
		text[length < 0 ? 0 : length] = '\0';
		close(fd);
		sched_yield();
	} while (strstr(text, ") Z ") == NULL);
	unshare(CLONE_FILES);
	syscall(SYS_close_range, 3U, ~0U, 0);
	prom_procfs_open(&procfs, getpid(), true);
	prom_procfs_read(&procfs, hand->tids, 2, &hand->figures);
	hand->is_right = hand->figures.open_fds == (uint64_t)hand->host_fds &&
			hand->figures.threads == 1 &&
			hand->figures.resident_bytes > 4096 &&
			KNOWN(&hand->figures, network_receive_bytes);
	if (!hand->is_right) {
		printf("# fds %" PRIu64 " of %d, threads %" PRIu64 ", resident %" PRIu64
		       "\n",
				hand->figures.open_fds, hand->host_fds,
				hand->figures.threads, hand->figures.resident_bytes);
		fflush(stdout);
	}
	_exit(hand->is_right ? 0 : 1);
}

static void test_main_gone(void) {
	static struct hand hand;
	int status;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		pthread_barrier_init(&hand.barrier, NULL, 3);
		for (int i = 0; i < 20; i++) {
			(void)!dup(0);
		}
		hand.host_fds = own_descriptors();
		pthread_create(&thread, NULL, idle_host, &hand);
		pthread_create(&thread, NULL, keep, &hand);
		pthread_barrier_wait(&hand.barrier);
		pthread_exit(NULL);
	}
	waitpid(child, &status, 0);
	is(status, 0, "after main's pthread_exit: memory, the host's descriptors, its threads");
}

struct burner {
	pthread_barrier_t barrier;
	int tid;
};

static void *burn(void *user) {
	struct burner *burner = user;
	struct timespec used;
	burner->tid = (int)syscall(SYS_gettid);
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	} while (used.tv_sec == 0 && used.tv_nsec < 20000000);
	pthread_barrier_wait(&burner->barrier);
	pthread_barrier_wait(&burner->barrier);
	return NULL;
}

static void test_thread_cpu(void) {
	struct burner burner;
	pthread_t thread;

	pthread_barrier_init(&burner.barrier, NULL, 2);
	pthread_create(&thread, NULL, burn, &burner);
	pthread_barrier_wait(&burner.barrier);
	uint64_t before_ns = own_cpu_ns(thread);
	uint64_t used_ns = prom_procfs_thread_cpu_ns(burner.tid);
	ok(is_between(before_ns, used_ns, own_cpu_ns(thread)), "CPU time of one thread");
	ok(used_ns >= 20000000, "... which it has used");
	pthread_barrier_wait(&burner.barrier);
	pthread_join(thread, NULL);
	is(prom_procfs_thread_cpu_ns(1), 0, "a thread of another process has none");
	pthread_barrier_destroy(&burner.barrier);
}

int main(void) {
	test_stat();
	test_limits();
	test_netstat();
	test_own();
	test_growth();
	test_fixture();
	test_main_gone();
	test_thread_cpu();
	return tap_done();
}
