/* SPDX-License-Identifier: MIT */
#include "preload/messages.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/base/kernel.h"
#include "preload/clock.h"
#include "preload/layout.h"
#include "preload/quiet.h"
#include "preload/text.h"
#include "preload/value.h"

enum { LINES_A_SECOND = 10, LINES_A_PROCESS = 1000 };

enum log_kind { LOG_UNKNOWN, LOG_OFF, LOG_STDERR, LOG_PATH };

struct identity { /* of an open file */
	uint64_t device, inode;
	bool known;
};

struct early { /* a message from before there was a segment */
	_Atomic uint32_t
			is_ready; /* release by its writer, acquire in shim_messages_init */
	bool is_printed;
	int level;
	char line[SHIM_MESSAGE_BYTES];
};

static struct {
	/* Writer: init. Readers: any thread. Release: the segment may be written. */
	_Atomic(struct shim_segment *) segment;
	/* Writer: init. Readers: any thread. Release: path and stderr are set. */
	_Atomic uint32_t log; /* enum log_kind */
	char path[512];
	struct identity stderr_identity;

	_Atomic uint32_t
			early_count; /* claims an entry of early[]; relaxed, a lone number */
	struct early early[SHIM_MESSAGES];

	/* Writers: any thread, by CAS; relaxed, a lone number: second << 8 | lines in it */
	_Atomic uint64_t budget;
	_Atomic uint32_t printed; /* lines of this process; relaxed, a lone number */
} state;

/* Makes one line of printable UTF-8 of it, cut between characters; the rest is zeroed. */
static void clean_line(char out[SHIM_MESSAGE_BYTES], const char *line) {
	size_t used = 0;

	while (*line != '\0') {
		size_t length = shim_value_character_length(line);
		size_t taken = length == 0 ? 1 : length;
		if (used + taken > SHIM_MESSAGE_BYTES - 1) {
			break;
		}
		if (length == 0) {
			out[used] = '?';
		} else {
			memcpy(out + used, line, length);
		}
		used += taken;
		line += taken;
	}
	memset(out + used, 0, SHIM_MESSAGE_BYTES - used);
}

/*
 * The stores of the text are releases so that a reader that sees any of them also sees
 * number 0 before it; two writers in one slot, 16 messages apart, may mix their words.
 */
static void ring_put(struct shim_segment *segment, const char line[SHIM_MESSAGE_BYTES]) {
	/* relaxed: only claims the slot, which publishes itself by its number */
	uint64_t index = atomic_fetch_add_explicit(&segment->messages_written, 1,
			memory_order_relaxed);
	struct shim_message *message = &segment->messages[index % SHIM_MESSAGES];

	atomic_store_explicit(&message->number, 0, memory_order_relaxed);
	for (size_t i = 0; i < SHIM_MESSAGE_BYTES / 8; i++) {
		uint64_t word;
		memcpy(&word, line + i * 8, sizeof(word));
		atomic_store_explicit(&message->text[i], word, memory_order_release);
	}
	atomic_store_explicit(&message->number, index + 1, memory_order_release);
}

static bool budget_take(void) {
	uint64_t second = shim_clock_ns(CLOCK_MONOTONIC) / 1000000000;
	uint64_t seen = atomic_load_explicit(&state.budget, memory_order_relaxed);
	uint64_t next;
	do {
		bool is_same = seen >> 8 == second;
		if (is_same && (seen & 0xff) >= LINES_A_SECOND) {
			return false;
		}
		next = is_same ? seen + 1 : second << 8 | 1;
	} while (!atomic_compare_exchange_weak_explicit(&state.budget, &seen, next,
			memory_order_relaxed, memory_order_relaxed));

	if (atomic_load_explicit(&state.printed, memory_order_relaxed) >=
			LINES_A_PROCESS) {
		return false;
	}
	return atomic_fetch_add_explicit(&state.printed, 1, memory_order_relaxed) <
			LINES_A_PROCESS;
}

static struct identity identity_of(int directory_fd, const char *path, int flags) {
	struct statx status;
	struct identity identity = { 0 };

	if (kernel_statx(directory_fd, path, flags, STATX_INO, &status) == 0) {
		identity.device = (uint64_t)status.stx_dev_major << 32 |
				status.stx_dev_minor;
		identity.inode = status.stx_ino;
		identity.known = true;
	}
	return identity;
}

/* Tells whether it is the stderr that the constructor saw. */
static bool is_first_stderr(struct identity identity) {
	return identity.known && state.stderr_identity.known &&
			identity.device == state.stderr_identity.device &&
			identity.inode == state.stderr_identity.inode;
}

/* A line that would have to wait, or that nobody would read, is not worth the host's time. */
static void write_now(int fd, const struct shim_text *text) {
	struct pollfd writable = { .fd = fd, .events = POLLOUT };

	if (kernel_poll(&writable, 1, 0) == 1 &&
			(writable.revents & (POLLOUT | POLLERR)) == POLLOUT) {
		ssize_t written = kernel_write(fd, text->bytes, text->used_bytes);
		(void)written; /* nobody could be told */
	}
}

static int open_log(const char *path, int more_flags) {
	/* O_NONBLOCK: a FIFO without reader must not stop the host */
	return kernel_openat(AT_FDCWD, path,
			O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC | O_NONBLOCK |
					more_flags,
			0600);
}

/*
 * A host thread finds stderr at its place. A thread of ours has a table of its own and
 * holds nothing of the host's; what it can do is open the file anew for one line:
 * /proc/self/fd shows main's table to every thread. That works for all but sockets, for
 * which the line stays in the ring only.
 */
static void write_stderr(const struct shim_text *text) {
	static const char main_stderr[] = "/proc/self/fd/2";

	if (is_first_stderr(identity_of(STDERR_FILENO, "", AT_EMPTY_PATH))) {
		write_now(STDERR_FILENO, text);
		return;
	}
	if (!is_first_stderr(identity_of(AT_FDCWD, main_stderr, 0))) {
		return;
	}
	int fd = open_log(main_stderr, 0);
	if (fd < 0) {
		return;
	}
	if (is_first_stderr(identity_of(fd, "", AT_EMPTY_PATH))) {
		write_now(fd, text);
	}
	kernel_close(fd);
}

static void write_path(const struct shim_text *text) {
	/* In a folder that others can write, a link could lead our lines into any file. */
	bool is_link = strncmp(state.path, "/dev/std", 8) == 0 ||
			strncmp(state.path, "/dev/fd/", 8) == 0 ||
			strncmp(state.path, "/proc/", 6) == 0;
	int fd = open_log(state.path, is_link ? 0 : O_CREAT | O_NOFOLLOW);

	if (fd >= 0) {
		write_now(fd, text);
		kernel_close(fd);
	}
}

/* Our line must not become a SIGPIPE or SIGXFSZ of the host: block, write, take it back. */
static void write_quietly(uint32_t log, const struct shim_text *text) {
	static const struct timespec at_once = { 0, 0 };
	uint64_t before, pending = 0;

	kernel_rt_sigpending(&pending, sizeof(pending));
	/* one that is pending is the host's */
	uint64_t ours = (KERNEL_SIGNAL(SIGPIPE) | KERNEL_SIGNAL(SIGXFSZ)) & ~pending;
	if (kernel_sigmask(SIG_BLOCK, ours, &before) < 0) {
		return;
	}
	if (log == LOG_STDERR) {
		write_stderr(text);
	} else {
		write_path(text);
	}
	while (kernel_rt_sigtimedwait(&ours, NULL, &at_once, sizeof(ours)) > 0) {
	}
	kernel_sigmask(SIG_SETMASK, before, NULL);
}

/* Returns whether the line needs no printing any more. */
static bool print(int level, const char *line) {
	static const char levels[][8] = { "info", "warning", "error" };
	/* acquire: pairs with the release in shim_messages_init */
	uint32_t log = atomic_load_explicit(&state.log, memory_order_acquire);
	char bytes[SHIM_MESSAGE_BYTES + 64];
	struct shim_text text;

	if (log == LOG_UNKNOWN) {
		return false;
	}
	if (log == LOG_OFF || shim_quiet() || !budget_take()) {
		return true;
	}
	shim_text_init(&text, bytes, sizeof(bytes));
	shim_text_put(&text, "promshim[");
	shim_text_uint(&text, (uint64_t)kernel_getpid());
	shim_text_put(&text, "]: ");
	shim_text_put(&text,
			levels[level < SHIM_INFO || level > SHIM_ERROR ? SHIM_ERROR
								       : level]);
	shim_text_put(&text, ": ");
	shim_text_put(&text, line);
	shim_text_put(&text, "\n");
	write_quietly(log, &text);
	return true;
}

static void early_put(int level, const char line[SHIM_MESSAGE_BYTES], bool is_printed) {
	uint32_t index = atomic_fetch_add_explicit(&state.early_count, 1,
			memory_order_relaxed);

	if (index < SHIM_MESSAGES) {
		struct early *early = &state.early[index];
		early->level = level;
		early->is_printed = is_printed;
		memcpy(early->line, line, SHIM_MESSAGE_BYTES);
		atomic_store_explicit(&early->is_ready, 1, memory_order_release);
	}
}

static void early_deliver(struct shim_segment *segment) {
	for (size_t i = 0; i < SHIM_MESSAGES; i++) {
		struct early *early = &state.early[i];
		/* acquire: pairs with the release in early_put */
		if (atomic_load_explicit(&early->is_ready, memory_order_acquire) == 0) {
			continue;
		}
		ring_put(segment, early->line);
		if (!early->is_printed) {
			print(early->level, early->line);
		}
		atomic_store_explicit(&early->is_ready, 0, memory_order_relaxed);
	}
	atomic_store_explicit(&state.early_count, 0, memory_order_relaxed);
}

static uint32_t log_set(const char *log) {
	if (log[0] == '\0' || strcmp(log, "off") == 0) {
		return LOG_OFF;
	}
	if (strcmp(log, "stderr") == 0) {
		/* Once: in a forked child the number may long be something else. */
		if (!state.stderr_identity.known) {
			state.stderr_identity =
					identity_of(STDERR_FILENO, "", AT_EMPTY_PATH);
		}
		return LOG_STDERR;
	}
	size_t length = strlen(log);
	if (length >= sizeof(state.path)) {
		return LOG_OFF;
	}
	memcpy(state.path, log, length + 1);
	return LOG_PATH;
}

void shim_messages_init(struct shim_segment *segment, const char *log) {
	if (log != NULL) {
		atomic_store_explicit(&state.log, log_set(log), memory_order_release);
	} else { /* another process now: its own lines to spend */
		atomic_store_explicit(&state.printed, 0, memory_order_relaxed);
	}
	atomic_store_explicit(&state.segment, segment, memory_order_release);
	if (segment != NULL) {
		early_deliver(segment);
	}
}

void shim_message(int level, const char *line) {
	char clean[SHIM_MESSAGE_BYTES];

	clean_line(clean, line);
	bool is_printed = print(level, clean);
	/* acquire: pairs with the release in shim_messages_init */
	struct shim_segment *segment =
			atomic_load_explicit(&state.segment, memory_order_acquire);
	if (segment != NULL) {
		ring_put(segment, clean);
	} else {
		early_put(level, clean, is_printed);
	}
}
