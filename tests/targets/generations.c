/* SPDX-License-Identifier: MIT */
/*
 * A process that forks and ends, and its child does, and so on: `generations N` for N of them, the first of
 * which and the last say how many mappings they have, and how many pages of addresses and of memory.
 */

#include <fcntl.h>

#include "target.h"

/* Reads a file of /proc without taking memory: its size, and the text as far as there is room. */
static size_t read_file(const char *path, char *text, size_t room, size_t *ret_lines) {
	static char chunk[4096];
	size_t used = 0;
	ssize_t got;
	int descriptor = open(path, O_RDONLY);
	MUST(descriptor >= 0);
	*ret_lines = 0;
	while ((got = read(descriptor, chunk, sizeof chunk)) > 0) {
		for (ssize_t i = 0; i < got; i++) {
			*ret_lines += chunk[i] == '\n';
			if (used < room - 1)
				text[used++] = chunk[i];
		}
	}
	text[used] = '\0';
	close(descriptor);
	return used;
}

static void report(void) {
	char text[256], ignored[2];
	size_t lines, one;
	(void)read_file("/proc/self/statm", text, sizeof text, &one);
	(void)read_file("/proc/self/maps", ignored, sizeof ignored, &lines);
	char *resident = strchr(text, ' ');
	MUST(resident != NULL);
	say("mappings %zu addresses %lu resident %lu", lines, number(text),
			number(resident));
}

int main(int argc, char **argv) {
	unsigned long last = argc > 1 ? number(argv[1]) : 1;
	end_some_day();
	for (unsigned long i = 0;; i++) {
		void *p = malloc(5000);
		KEEP(p);
		free(p);
		if (i == 1 || i == last)
			report();
		if (i == last)
			return 0;
		pid_t child = fork();
		MUST(child >= 0);
		if (child > 0)
			_exit(0);
		end_some_day();
	}
}
