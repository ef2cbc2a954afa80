/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "exporter/procfs.h"

struct cursor {
	const char *at, *end;
};

static void skip_blanks(struct cursor *cursor) {
	while (cursor->at < cursor->end && *cursor->at == ' ') {
		cursor->at++;
	}
}

/* Takes a word off; returns its length, 0 at the end of the line. */
static size_t take_word(struct cursor *cursor, const char **ret_word) {
	skip_blanks(cursor);
	*ret_word = cursor->at;
	while (cursor->at < cursor->end && *cursor->at != ' ' && *cursor->at != '\n') {
		cursor->at++;
	}
	return (size_t)(cursor->at - *ret_word);
}

static bool is_word(const char *word, size_t length, const char *expected) {
	return length == strlen(expected) && memcmp(word, expected, length) == 0;
}

/* A word of digits; too large a number is refused as any other nonsense. */
static bool parse_uint(const char *word, size_t length, uint64_t *out) {
	uint64_t number = 0;

	for (size_t i = 0; i < length; i++) {
		if (word[i] < '0' || word[i] > '9' ||
				__builtin_mul_overflow(number, (uint64_t)10, &number) ||
				__builtin_add_overflow(number, (uint64_t)(word[i] - '0'),
						&number)) {
			return false;
		}
	}
	*out = number;
	return length > 0;
}

bool prom_procfs__parse_stat(const char *text, size_t size,
		struct prom_procfs__stat *out) {
	enum {
		STATE = 3,
		MINFLT = 10,
		MAJFLT = 12,
		UTIME = 14,
		STIME = 15,
		THREADS = 20,
		START = 22
	}; /* proc(5) counts from 1 */
	const char *name_end = memrchr(text, ')', size);
	uint64_t fields[START + 1] = { 0 };

	if (name_end == NULL) {
		return false;
	}
	struct cursor cursor = { name_end + 1, text + size };
	for (size_t field = STATE; field <= START; field++) {
		const char *word;
		size_t length = take_word(&cursor, &word);
		bool is_last_cut = field == START && cursor.at == cursor.end;
		if (length == 0 || is_last_cut) {
			return false;
		}
		if (field == STATE) {
			out->state = word[0];
		} else if (!parse_uint(word, length, &fields[field])) {
			fields[field] = 0; /* some are negative, none of ours */
		}
	}
	out->faults_minor = fields[MINFLT];
	out->faults_major = fields[MAJFLT];
	out->cpu_ticks = fields[UTIME] + fields[STIME];
	out->threads = fields[THREADS];
	out->start_ticks = fields[START];
	return true;
}

/* Returns the line after the one at `line`, NULL at the end. */
static const char *next_line(const char *line, const char *end) {
	const char *feed = memchr(line, '\n', (size_t)(end - line));
	return feed == NULL || feed + 1 == end ? NULL : feed + 1;
}

static bool starts_with(const char *line, const char *end, const char *prefix) {
	size_t length = strlen(prefix);
	return (size_t)(end - line) >= length && memcmp(line, prefix, length) == 0;
}

bool prom_procfs__parse_limit(const char *text, size_t size, const char *name,
		uint64_t *out) {
	const char *end = text + size;

	for (const char *line = size > 0 ? text : NULL; line != NULL;
			line = next_line(line, end)) {
		if (!starts_with(line, end, name)) {
			continue;
		}
		struct cursor cursor = { line + strlen(name), end };
		const char *word;
		size_t length = take_word(&cursor, &word);
		if (cursor.at == end) { /* perhaps cut */
			return false;
		}
		if (is_word(word, length, "unlimited")) {
			*out = UINT64_MAX;
			return true;
		}
		return parse_uint(word, length, out);
	}
	return false;
}

bool prom_procfs__parse_netstat(const char *text, size_t size, const char *name,
		uint64_t *out) {
	static const char table[] = "IpExt:";
	const char *end = text + size;

	for (const char *line = size > 0 ? text : NULL; line != NULL;
			line = next_line(line, end)) {
		const char *values = next_line(line, end);
		if (!starts_with(line, end, table) || values == NULL ||
				!starts_with(values, end, table)) {
			continue;
		}
		struct cursor head = { line, end }, row = { values, end };
		const char *title, *value;
		size_t title_length = take_word(&head, &title);
		size_t value_length = take_word(&row, &value);
		while (title_length > 0 && value_length > 0) {
			if (is_word(title, title_length, name)) {
				return row.at < end &&
						parse_uint(value, value_length, out);
			}
			title_length = take_word(&head, &title);
			value_length = take_word(&row, &value);
		}
		return false;
	}
	return false;
}
