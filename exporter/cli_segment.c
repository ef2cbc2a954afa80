/* SPDX-License-Identifier: MIT */
#include "exporter/cli_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "exporter/cli.h"

struct target {
	pid_t pid;
	int mem_fd; /* /proc/PID/mem, opened when process_vm_readv(2) is refused; -1 = not */
};

/* Returns 0 when all bytes were read, else -errno. */
static int read_memory(struct target *target, uint64_t address, void *out,
		size_t size_bytes) {
	struct iovec local = { out, size_bytes };
	/* an address of the other process, never followed here */
	struct iovec remote = { (void *)(uintptr_t)address, size_bytes };
	char path[64];
	ssize_t n;

	if (target->mem_fd < 0) {
		n = process_vm_readv(target->pid, &local, 1, &remote, 1, 0);
		if (n == (ssize_t)size_bytes) {
			return 0;
		}
		if (n >= 0 || (errno != EPERM && errno != ENOSYS)) {
			return n >= 0 ? -EFAULT : -errno;
		}
		snprintf(path, sizeof(path), "/proc/%d/mem", target->pid);
		target->mem_fd = open(path, O_RDONLY | O_CLOEXEC);
		if (target->mem_fd < 0) {
			return -errno;
		}
	}
	n = pread(target->mem_fd, out, size_bytes, (off_t)address);
	return n == (ssize_t)size_bytes ? 0 : n < 0 ? -errno : -EFAULT;
}

static void terminate_texts(struct shim_segment *segment) {
	segment->program[sizeof(segment->program) - 1] = '\0';
	segment->executable[sizeof(segment->executable) - 1] = '\0';
	segment->allocator[sizeof(segment->allocator) - 1] = '\0';
	segment->libc[sizeof(segment->libc) - 1] = '\0';
	segment->version[sizeof(segment->version) - 1] = '\0';
	segment->settings[sizeof(segment->settings) - 1] = '\0';
}

/* Copies the segment at `address`; Returns whether it is one, and that of `pid`. */
static bool read_segment(struct target *target, uint64_t address, int pid,
		struct prom_segment_search *search, struct shim_segment *out) {
	uint64_t magic = 0;
	int r = read_memory(target, address, &magic, sizeof(magic));

	if (r < 0 && r != -EFAULT && r != -EIO) { /* pages come and go while we look */
		search->error = r;
	}
	if (r < 0 || magic != SHIM_MAGIC ||
			read_memory(target, address, out, sizeof(*out)) < 0 ||
			out->magic != SHIM_MAGIC) {
		return false;
	}
	if (out->abi_major != SHIM_ABI_MAJOR) {
		search->abi_major = out->abi_major;
		return false;
	}
	/* no older minor exists, so all that we know must be there */
	if (out->segment_bytes < sizeof(*out) ||
			out->blocks_offset < out->segment_bytes ||
			out->block_bytes < sizeof(struct shim_block) ||
			out->reserved_bytes < out->blocks_offset) {
		search->is_damaged = true;
		return false;
	}
	if (out->pid != pid) {
		search->foreign_pid = out->pid;
		return false;
	}
	terminate_texts(out);
	return true;
}

struct mapping {
	uint64_t start;
	bool is_candidate; /* anonymous, readable and writable */
	const char *path;
};

static bool parse_mapping(char *line, struct mapping *out) {
	const char *permissions;
	char *at;
	uint64_t inode;

	line[strcspn(line, "\n")] = '\0';
	out->start = strtoull(line, &at, 16);
	if (*at != '-') {
		return false;
	}
	(void)strtoull(at + 1, &at, 16); /* where it ends */
	permissions = at + strspn(at, " ");
	for (int field = 0; field < 3; field++) { /* permissions, offset, device */
		at += strspn(at, " ");
		at += strcspn(at, " ");
	}
	inode = strtoull(at, &at, 10);
	out->path = at + strspn(at, " ");
	out->is_candidate = inode == 0 && strncmp(permissions, "rw", 2) == 0 &&
			(out->path[0] == '\0' || strncmp(out->path, "[anon", 5) == 0);
	return true;
}

bool prom_segment_find(pid_t pid, int namespace_pid, struct prom_segment_search *search,
		struct shim_segment *out) {
	struct target target = { .pid = pid, .mem_fd = -1 };
	struct mapping mapping;
	char *line = NULL, path[64];
	size_t line_bytes = 0;
	bool found = false;
	FILE *maps;

	memset(search, 0, sizeof(*search));
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (maps == NULL) {
		search->error = -errno;
		return false;
	}
	while (!found && getline(&line, &line_bytes, maps) > 0) {
		if (!parse_mapping(line, &mapping)) {
			continue;
		}
		if (strncmp(prom_cli_basename(mapping.path), "libpromshim.so", 14) == 0) {
			search->is_mapped = true;
			snprintf(search->object, sizeof(search->object), "%s",
					mapping.path);
		}
		/* the writer sees to it that a segment begins a mapping */
		found = mapping.is_candidate &&
				read_segment(&target, mapping.start, namespace_pid,
						search, out);
	}
	free(line);
	fclose(maps);
	if (target.mem_fd >= 0) {
		close(target.mem_fd);
	}
	return found;
}

void prom_segment_setting(const struct shim_segment *segment, const char *name, char *out,
		size_t size_bytes) {
	const char *line = segment->settings;
	size_t name_bytes = strlen(name);

	out[0] = '\0';
	while (*line != '\0') {
		size_t bytes = strcspn(line, "\n");
		if (bytes > name_bytes && line[name_bytes] == '=' &&
				strncmp(line, name, name_bytes) == 0) {
			snprintf(out, size_bytes, "%.*s", (int)(bytes - name_bytes - 1),
					line + name_bytes + 1);
		}
		line += bytes + (line[bytes] == '\n');
	}
}

const char *prom_segment_hook_name(unsigned hook) {
	static const char *const names[SHIM_HOOK_COUNT] = {
		[SHIM_HOOK_MALLOC] = "malloc",
		[SHIM_HOOK_OPERATOR_NEW] = "operator_new",
		[SHIM_HOOK_PTHREAD_CREATE] = "pthread_create",
	};
	return hook < SHIM_HOOK_COUNT ? names[hook] : "?";
}

static const char *state_name(uint32_t state) {
	static const char *const names[] = { "starting", "counting", "serving", "ended" };
	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

static const char *mode_name(uint32_t mode) {
	static const char *const names[] = { "serve", "count", "off" };
	return mode < sizeof(names) / sizeof(names[0]) ? names[mode] : "unknown";
}

/* Prints one line of details under the name of its row, or under nothing when it goes on. */
static void print_row(FILE *file, const char *row, const char *text, size_t bytes) {
	prom_cli_line(file, "  %-10s %.*s", row, (int)bytes, text);
}

static void print_hooks(const struct shim_segment *segment, FILE *file) {
	/* relaxed: a copy that nobody writes */
	uint32_t active = atomic_load_explicit(&segment->hooks_active,
			memory_order_relaxed);
	uint32_t known =
			atomic_load_explicit(&segment->hooks_known, memory_order_relaxed);
	char text[256] = "";
	size_t used = 0;

	for (unsigned hook = 0; hook < SHIM_HOOK_COUNT; hook++) {
		int n = snprintf(text + used, sizeof(text) - used, "%s%s %s",
				hook > 0 ? ", " : "", prom_segment_hook_name(hook),
				(known >> hook & 1) == 0 ? "not known yet"
						: (active >> hook & 1) != 0 ? "yes"
									    : "no");
		used += (size_t)n;
	}
	print_row(file, "hooks", text, used);
}

static void print_messages(const struct shim_segment *segment, FILE *file) {
	uint64_t last = 0;

	for (;;) { /* the ring in order of number; 16 entries need no sorting */
		const struct shim_message *next = NULL;
		uint64_t next_number = UINT64_MAX;
		char text[SHIM_MESSAGE_BYTES], line[SHIM_MESSAGE_BYTES + 32];

		for (unsigned i = 0; i < SHIM_MESSAGES; i++) {
			/* relaxed, as all here: a copy that nobody writes */
			uint64_t number =
					atomic_load_explicit(&segment->messages[i].number,
							memory_order_relaxed);
			if (number > last && number < next_number) {
				next = &segment->messages[i];
				next_number = number;
			}
		}
		if (next == NULL) {
			return;
		}
		for (size_t i = 0; i < SHIM_MESSAGE_BYTES / 8; i++) {
			uint64_t word = atomic_load_explicit(&next->text[i],
					memory_order_relaxed);
			memcpy(text + i * 8, &word, sizeof(word));
		}
		text[sizeof(text) - 1] = '\0';
		snprintf(line, sizeof(line), "%" PRIu64 ": %s", next_number, text);
		print_row(file, last == 0 ? "messages" : "", line, sizeof(line));
		last = next_number;
	}
}

void prom_segment_print(const struct shim_segment *segment, FILE *file) {
	uint32_t port = atomic_load_explicit(&segment->port, memory_order_relaxed);
	const char *line = segment->settings;
	char text[64];

	print_row(file, "program", segment->program, sizeof(segment->program));
	print_row(file, "version", segment->version, sizeof(segment->version));
	print_row(file, "libc", segment->libc, sizeof(segment->libc));
	print_row(file, "allocator", segment->allocator, sizeof(segment->allocator));
	prom_cli_line(file, "  %-10s %s", "mode", mode_name(segment->mode));
	prom_cli_line(file, "  %-10s %s", "state",
			state_name(atomic_load_explicit(&segment->state,
					memory_order_relaxed)));
	snprintf(text, sizeof(text), "%" PRIu32, port);
	prom_cli_line(file, "  %-10s %s", "port", port != 0 ? text : "none");
	print_hooks(segment, file);
	while (*line != '\0') {
		size_t bytes = strcspn(line, "\n");
		print_row(file, line == segment->settings ? "settings" : "", line, bytes);
		line += bytes + (line[bytes] == '\n');
	}
	print_messages(segment, file);
}
