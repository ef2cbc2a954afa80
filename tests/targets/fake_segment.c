/* SPDX-License-Identifier: MIT */
/*
 * A host that publishes a segment as its arguments say, without hooks or threads: what
 * `promshim check PID` makes of states that a real host seldom stays in, and of a segment
 * that lies. Prints "ready" and waits for the end of its standard input.
 *
 * fake_segment NAME=value ...   NAME is a key of set() below
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/layout.h"

static char settings[SHIM_SETTINGS_BYTES];

static void put_message(struct shim_segment *segment, uint64_t number, const char *text) {
	struct shim_message *message = &segment->messages[number % SHIM_MESSAGES];
	char bytes[SHIM_MESSAGE_BYTES] = "";
	uint64_t word;

	memcpy(bytes, text, strnlen(text, sizeof(bytes)));
	for (size_t i = 0; i < SHIM_MESSAGE_BYTES / 8; i++) {
		memcpy(&word, bytes + i * 8, 8);
		/* relaxed, as all here: nobody looks before "ready" */
		atomic_store_explicit(&message->text[i], word, memory_order_relaxed);
	}
	atomic_store_explicit(&message->number, number, memory_order_relaxed);
}

/* Returns 0, or -1 for an unknown name. */
static int set(struct shim_segment *segment, const char *name, const char *value) {
	static uint64_t number;
	uint32_t n = (uint32_t)strtoul(value, NULL, 0);

	if (strcmp(name, "state") == 0) {
		atomic_store_explicit(&segment->state, n, memory_order_relaxed);
	} else if (strcmp(name, "port") == 0) {
		atomic_store_explicit(&segment->port, n, memory_order_relaxed);
	} else if (strcmp(name, "hooks_active") == 0) {
		atomic_store_explicit(&segment->hooks_active, n, memory_order_relaxed);
	} else if (strcmp(name, "mode") == 0) {
		segment->mode = n;
	} else if (strcmp(name, "pid") == 0) {
		segment->pid = (int32_t)n;
	} else if (strcmp(name, "abi_major") == 0) {
		segment->abi_major = (uint16_t)n;
	} else if (strcmp(name, "segment_bytes") == 0) {
		segment->segment_bytes = n;
	} else if (strcmp(name, "unterminated") == 0) {
		memset(segment->program, 'p', sizeof(segment->program));
		memset(segment->settings, 's', sizeof(segment->settings));
		memset(segment->version, 'v', sizeof(segment->version));
	} else if (strcmp(name, "setting") == 0) {
		strncat(settings, value, sizeof(settings) - strlen(settings) - 2);
		strcat(settings, "\n");
		memcpy(segment->settings, settings, sizeof(settings));
	} else if (strcmp(name, "program") == 0) {
		memcpy(segment->program, value, strnlen(value, sizeof(segment->program)));
	} else if (strcmp(name, "message") == 0) {
		put_message(segment, ++number, value);
	} else {
		return -1;
	}
	return 0;
}

int main(int argc, char **argv) {
	char *memory = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct shim_segment *segment = (void *)(memory + 4096);

	if (memory == MAP_FAILED ||
			mprotect(segment, 65536, PROT_READ | PROT_WRITE) < 0) {
		return 1;
	}
	segment->abi_major = SHIM_ABI_MAJOR;
	segment->segment_bytes = sizeof(*segment);
	segment->block_bytes = sizeof(struct shim_block);
	segment->blocks_offset = sizeof(*segment);
	segment->reserved_bytes = 65536;
	segment->pid = getpid();
	strcpy(segment->program, "fake");
	strcpy(segment->version, "1.2.3");
	strcpy(segment->libc, "glibc 2.36");
	strcpy(segment->allocator, "glibc");
	atomic_store_explicit(&segment->hooks_known, 7, memory_order_relaxed);
	atomic_store_explicit(&segment->hooks_active, 7, memory_order_relaxed);
	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		if (value == NULL) {
			return 2;
		}
		*value = '\0';
		if (set(segment, argv[i], value + 1) < 0) {
			return 2;
		}
	}
	segment->magic = SHIM_MAGIC;
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF) {
	}
	return 0;
}
