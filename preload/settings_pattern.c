/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "preload/settings.h"
#include "preload/text.h"

/* A program's name must not lead out of the folder that the pattern names. */
static void put_program(struct shim_text *text, const char *program) {
	for (; *program != '\0'; program++) {
		shim_text_put_bytes(text, *program == '/' ? "_" : program, 1);
	}
}

int shim_settings_expand(const char *pattern, int pid, const char *program, char *out,
		size_t size_bytes) {
	struct shim_text text;

	shim_text_init(&text, out, size_bytes);
	while (*pattern != '\0') {
		bool is_pair = *pattern == '%' && pattern[1] != '\0';
		char what = is_pair ? pattern[1] : '\0';
		if (what == 'p') {
			shim_text_uint(&text, (uint64_t)pid);
		} else if (what == 'n') {
			put_program(&text, program);
		} else if (what == '%') {
			shim_text_put(&text, "%");
		} else { /* any other pair stays as it is */
			shim_text_put_bytes(&text, pattern, is_pair ? 2 : 1);
		}
		pattern += is_pair ? 2 : 1;
	}
	if (text.used_bytes + 1 >= size_bytes) { /* full: perhaps cut */
		if (size_bytes > 0) {
			out[0] = '\0';
		}
		return -ENAMETOOLONG;
	}
	return 0;
}

/* Matches * and ?; goes back to the last star only, so the time is bounded by a product. */
static bool glob_matches(const char *glob, const char *glob_end, const char *text) {
	const char *star = NULL, *star_text = NULL;

	while (*text != '\0') {
		if (glob < glob_end && *glob == '*') {
			star = glob++;
			star_text = text;
		} else if (glob < glob_end && (*glob == '?' || *glob == *text)) {
			glob++;
			text++;
		} else if (star != NULL) {
			glob = star + 1;
			text = ++star_text;
		} else {
			return false;
		}
	}
	while (glob < glob_end && *glob == '*') {
		glob++;
	}
	return glob == glob_end;
}

static bool list_matches(const char *list, const char *program) {
	for (;;) {
		const char *start = list + strspn(list, " \t,");
		const char *end = start + strcspn(start, ",");
		if (start == end) {
			return false;
		}
		list = end;
		while (end[-1] == ' ' ||
				end[-1] == '\t') { /* stops at the item's first letter */
			end--;
		}
		if (glob_matches(start, end, program)) {
			return true;
		}
	}
}

bool shim_settings_selects(const struct shim_settings *settings, const char *program) {
	if (settings->exclude[0] != '\0' && list_matches(settings->exclude, program)) {
		return false;
	}
	return settings->include[0] == '\0' || list_matches(settings->include, program);
}
