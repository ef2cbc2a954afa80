/* SPDX-License-Identifier: MIT */
/*
 * An environment of any bytes: one variable a line, in which '\r' stands for a line end. What is
 * in force is printed, read again, and must be the same.
 */
#include "preload/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "preload/layout.h"
#include "preload/text.h"
#include "preload/value.h"
#include "tests/fuzz/fuzz.h"

enum { VARIABLES_MAX = 64, PRINTED_BYTES = 8192, LINES_MOST = 10 };

static unsigned reports;

static void report(int level, const char *line) {
	size_t size = strlen(line);
	REQUIRE(size > 0 && size < SHIM_MESSAGE_BYTES);
	REQUIRE(shim_value_is_printable(line));
	REQUIRE(level >= 0 && level <= 2);
	reports++;
}

/* Cuts `text` into variables; returns how many there are. */
static size_t environment_make(char *text, size_t size, char **out) {
	size_t count = 0;
	char *start = text;
	for (size_t i = 0; i <= size; i++) {
		if (i < size && text[i] == '\r') {
			text[i] = '\n';
			continue;
		}
		if (i < size && text[i] != '\n') {
			continue;
		}
		text[i] = '\0';
		if (count < VARIABLES_MAX && start[0] != '\0') {
			out[count++] = start;
		}
		start = text + i + 1;
	}
	out[count] = NULL;
	return count;
}

static void texts_check(const struct shim_settings *settings) {
#define TEXT(field) \
	REQUIRE(memchr(settings->field, '\0', sizeof(settings->field)) != NULL)
	TEXT(address);
	TEXT(socket);
	TEXT(port_file);
	TEXT(program);
	TEXT(include);
	TEXT(exclude);
	TEXT(collectors);
	TEXT(textfile);
	TEXT(log);
#undef TEXT
	REQUIRE(strlen(settings->socket) <= 107);
	REQUIRE(shim_value_is_printable(settings->program));
	REQUIRE(strcmp(settings->log, "off") == 0 ||
			strcmp(settings->log, "stderr") == 0 ||
			strchr(settings->log, '/') != NULL);
}

static void ranges_check(const struct shim_settings *settings) {
	const uint64_t second = 1000000000;
	REQUIRE(settings->mode <= SHIM_MODE_OFF);
	REQUIRE(settings->port >= -1 && settings->port <= 65535);
	REQUIRE(settings->max_requests >= 1 && settings->max_requests <= 64);
	REQUIRE(settings->timeout_ns >= second / 10 &&
			settings->timeout_ns <= 3600 * second);
	REQUIRE(settings->slow_interval_ns >= second / 10 &&
			settings->slow_interval_ns <= 3600 * second);
}

/* What was printed is an environment, and the same settings come out of it. */
static void print_check(const struct shim_settings *settings) {
	static char printed[PRINTED_BYTES], copy[PRINTED_BYTES], again[PRINTED_BYTES];
	static struct shim_settings read;
	char *environment[VARIABLES_MAX + 1];
	char small[SHIM_SETTINGS_BYTES];
	size_t size;

	shim_settings_print(settings, printed, sizeof(printed));
	size = strlen(printed);
	REQUIRE(size > 0 && size < sizeof(printed) && printed[size - 1] == '\n');
	memcpy(copy, printed, size);
	for (size_t i = 0; i < size; i++) {
		REQUIRE(copy[i] != '\r' || strchr(printed, '\r') != NULL);
	}
	for (char *c = copy; c < copy + size; c++) {
		*c = *c == '\r' ? '?' : *c; /* our own mark for a line end */
	}
	(void)environment_make(copy, size, environment);
	shim_settings_read(&read, environment, report);
	REQUIRE(read.invalid == 0);
	REQUIRE(read.mode == settings->mode && read.port == settings->port);
	REQUIRE(read.timeout_ns == settings->timeout_ns);
	REQUIRE(read.slow_interval_ns == settings->slow_interval_ns);
	REQUIRE(read.max_requests == settings->max_requests);
	shim_settings_print(&read, again, sizeof(again));
	for (char *c = printed; *c != '\0'; c++) {
		*c = *c == '\r' ? '?' : *c;
	}
	REQUIRE(strcmp(printed, again) == 0);
	shim_settings_print(settings, small, sizeof(small)); /* as the segment has it */
	REQUIRE(memchr(small, '\0', sizeof(small)) != NULL);
	REQUIRE(small[0] == '\0' || small[strlen(small) - 1] == '\n');
}

static void expand_check(const char *pattern, const char *program) {
	for (size_t size = 1; size < 600; size += 37) {
		char *out = malloc(size);
		REQUIRE(out != NULL);
		int r = shim_settings_expand(pattern, 2147483647, program, out, size);
		REQUIRE(r == 0 || r == -ENAMETOOLONG);
		REQUIRE(memchr(out, '\0', size) != NULL);
		REQUIRE(r == 0 || out[0] == '\0');
		free(out);
	}
}

/* A value by itself: every reader of values, some held against libc's. */
static void value_check(const char *value) {
	unsigned char address[16];
	char text[64];
	struct shim_text printed;
	uint64_t number, again;

	REQUIRE(shim_value_is_address(value) ==
			(inet_pton(AF_INET, value, address) == 1 ||
					inet_pton(AF_INET6, value, address) == 1));
	if (shim_value_parse_uint(value, UINT64_MAX, &number)) {
		REQUIRE(number == strtoull(value, NULL, 10));
	}
	if (shim_value_parse_duration(value, &number)) {
		shim_text_init(&printed, text, sizeof(text));
		shim_value_put_duration(&printed, number);
		REQUIRE(shim_value_parse_duration(text, &again) && again == number);
	}
	shim_text_init(&printed, text, sizeof(text));
	shim_value_put_shown(&printed, value, 40);
	REQUIRE(strlen(text) <=
			40 + 3 + 3); /* a character that began before 40, and "..." */
	REQUIRE(shim_value_is_printable(text));
	REQUIRE(!shim_value_is_printable(value) || strncmp(text, value, 40) == 0 ||
			strlen(value) > 40);
	number = shim_value_distance(value, "PROMSHIM_PORT");
	REQUIRE(number == shim_value_distance("PROMSHIM_PORT", value));
	REQUIRE(number == UINT32_MAX || number <= strlen(value) + 13);
	REQUIRE(strlen(value) > 63 || shim_value_distance(value, value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	char *environment[VARIABLES_MAX + 1];
	struct shim_settings *settings = malloc(sizeof(*settings));
	char *text = malloc(size + 1);
	if (settings == NULL || text == NULL) {
		abort();
	}
	memcpy(text, data, size);
	size_t count = environment_make(text, size, environment);
	reports = 0;
	shim_settings_read(settings, environment, report);
	REQUIRE(reports <= LINES_MOST);
	/* an entry of PROMSHIM_TUNE that is refused counts by itself */
	REQUIRE(settings->invalid <= count + size / 2);
	texts_check(settings);
	ranges_check(settings);
	print_check(settings);
	expand_check(settings->textfile, settings->program);
	if (settings->include[0] == '\0' && settings->exclude[0] == '\0') {
		REQUIRE(shim_settings_selects(settings, settings->program));
	} else {
		(void)shim_settings_selects(settings, "python3.11");
	}
	for (size_t i = 0; i < count; i++) {
		const char *equals = strchr(environment[i], '=');
		value_check(equals == NULL ? environment[i] : equals + 1);
	}
	free(settings);
	free(text);
	return 0;
}
