/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

/* Pages compared with files of tests/golden, line by line. */

#include "tests/unit/tap.h"

/* Returns the file's text, in static memory; NULL, and a failed check, when there is none. */
static inline const char *golden_text(const char *name) {
	static char text[65536];
	char path[512];
	const char *folder = getenv("PROMSHIM_GOLDEN");
	snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : "tests/golden",
			name);
	FILE *file = fopen(path, "r");
	if (file == NULL) {
		tap_ok(0, path, __FILE__, __LINE__);
		return NULL;
	}
	size_t size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	return text;
}

/* Checks that `page` is the file; prints the first line that differs. */
static inline void golden_is(const char *page, size_t size, const char *file,
		const char *name) {
	const char *want = golden_text(file);
	if (want == NULL) {
		return;
	}
	size_t at = 0;
	size_t line = 0;
	while (at < size && want[at] != '\0' && page[at] == want[at]) {
		at++;
		line = page[at - 1] == '\n' ? at : line;
	}
	int same = at == size && want[at] == '\0';
	tap_ok(same, name, __FILE__, __LINE__);
	if (!same) {
		size_t end = line;
		while (end < size && page[end] != '\n') {
			end++;
		}
		printf("#      got: %.*s\n", (int)(end - line), page + line);
		printf("# expected: %.*s\n", (int)strcspn(want + line, "\n"),
				want + line);
	}
}

#endif
