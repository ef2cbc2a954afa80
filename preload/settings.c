/* SPDX-License-Identifier: MIT */
#include "preload/settings.h"

#include <string.h>

#include "preload/layout.h"
#include "preload/messages.h"
#include "preload/settings_values.h"
#include "preload/text.h"
#include "preload/value.h"

enum kind {
	KIND_LATER, /* a name of the design that this version does not know */
	KIND_MODE,
	KIND_DISABLE,
	KIND_PORT,
	KIND_ADDRESS,
	KIND_SOCKET,
	KIND_NAME,
	KIND_TEXT,
	KIND_COLLECTORS,
	KIND_LOG,
	KIND_TUNE,
};

/* clang-format off */
#define FIELD(field) offsetof(struct shim_settings, field), \
	sizeof(((struct shim_settings *)NULL)->field)
static const struct setting {
	char name[24];
	enum kind kind;
	char fallback[24]; /* as messages tell it; "" = ignored */
	size_t offset, size_bytes;
} settings[] = {
	{ "PROMSHIM_MODE", KIND_MODE, "serve", FIELD(mode) },
	{ "PROMSHIM_DISABLE", KIND_DISABLE, "0", 0, 0 },
	{ "PROMSHIM_PORT", KIND_PORT, "19964", FIELD(port) },
	{ "PROMSHIM_ADDRESS", KIND_ADDRESS, "127.0.0.1", FIELD(address) },
	{ "PROMSHIM_SOCKET", KIND_SOCKET, "", FIELD(socket) },
	{ "PROMSHIM_PORT_FILE", KIND_TEXT, "", FIELD(port_file) },
	{ "PROMSHIM_PROGRAM", KIND_NAME, "the executable's name", FIELD(program) },
	{ "PROMSHIM_INCLUDE", KIND_TEXT, "", FIELD(include) },
	{ "PROMSHIM_EXCLUDE", KIND_TEXT, "", FIELD(exclude) },
	{ "PROMSHIM_COLLECTORS", KIND_COLLECTORS, "all", FIELD(collectors) },
	{ "PROMSHIM_TEXTFILE", KIND_TEXT, "", FIELD(textfile) },
	{ "PROMSHIM_LOG", KIND_LOG, "off", FIELD(log) },
	{ "PROMSHIM_TUNE", KIND_TUNE, "", 0, 0 },
	{ "PROMSHIM_GROUP_BY", KIND_LATER, "", 0, 0 },
	{ "PROMSHIM_SAMPLE_BYTES", KIND_LATER, "", 0, 0 },
	{ "PROMSHIM_PPROF", KIND_LATER, "", 0, 0 },
	{ "PROMSHIM_DIR", KIND_LATER, "", 0, 0 },
};

static const struct tune {
	char name[16];
	char fallback[8];
	bool is_duration;
	uint64_t least, most; /* most 0: not in this version */
	size_t offset, size_bytes;
} tunes[] = {
	{ "slow_interval", "10s", true, 100000000, 3600000000000, FIELD(slow_interval_ns) },
	{ "max_requests", "4", false, 1, 64, FIELD(max_requests) },
	{ "timeout", "10s", true, 100000000, 3600000000000, FIELD(timeout_ns) },
	{ "seccomp", "0", false, 0, 1, FIELD(seccomp) },
	{ .name = "stack_bytes" }, { .name = "sites" }, { .name = "profile_memory" },
	{ .name = "shm_max" }, { .name = "dir_mode" }, { .name = "retain" },
	{ .name = "max_children" }, { .name = "standby" },
};
#undef FIELD
/* clang-format on */

enum {
	SETTING_COUNT = sizeof(settings) / sizeof(settings[0]),
	TUNE_COUNT = sizeof(tunes) / sizeof(tunes[0]),
	REPORTS_MAX = 8, /* the ring has 16 lines: leave room for what comes later */
	SHOWN_VALUE_BYTES = 64, /* of a bad value, in its message */
	SOCKET_PATH_MAX = 107, /* unix(7): sun_path has 108 */
};

struct reading {
	struct shim_settings *out;
	void (*report)(int level, const char *line);
	unsigned reports;
	uint32_t seen; /* bit per setting: the first of a name counts, as with getenv */
	bool is_disabled;
};

static void report(struct reading *reading, const char *line) {
	reading->out->invalid++;
	if (reading->report != NULL && reading->reports < REPORTS_MAX) {
		reading->reports++;
		reading->report(SHIM_WARNING, line);
	}
}

/* "NAME=value: complaint; using fallback." */
static void complain(struct reading *reading, const char *name, const char *value,
		const char *complaint, const char *fallback) {
	char line[SHIM_MESSAGE_BYTES];
	struct shim_text text;
	bool has_parts = strchr(complaint, ';') != NULL;

	shim_text_init(&text, line, sizeof(line));
	shim_text_put(&text, name);
	shim_text_put(&text, "=");
	shim_value_put_shown(&text, value, SHOWN_VALUE_BYTES);
	shim_text_put(&text, ": ");
	shim_text_put(&text, complaint);
	if (fallback[0] == '\0') {
		shim_text_put(&text, has_parts ? ". It is ignored." : "; it is ignored.");
	} else {
		shim_text_put(&text, has_parts ? ". Using " : "; using ");
		shim_text_put(&text, fallback);
		shim_text_put(&text, ".");
	}
	report(reading, line);
}

static const char *read_tune(struct shim_settings *out, const struct tune *tune,
		const char *value) {
	uint64_t number;

	if (tune->most == 0) {
		return shim_settings__not_here;
	}
	if (tune->is_duration && !shim_value_parse_duration(value, &number)) {
		return "not a duration with its unit (500ms, 10s, 5m)";
	}
	if (!tune->is_duration && !shim_value_parse_uint(value, UINT32_MAX, &number)) {
		return "not a number";
	}
	if (number < tune->least || number > tune->most) {
		return tune->is_duration          ? "out of range (100ms to 1h)"
				: tune->most == 1 ? "neither 0 nor 1"
						  : "out of range (1 to 64)";
	}
	if (tune->size_bytes == sizeof(uint32_t)) {
		uint32_t narrow = (uint32_t)number;
		memcpy((char *)out + tune->offset, &narrow, sizeof(narrow));
	} else {
		memcpy((char *)out + tune->offset, &number, sizeof(number));
	}
	return NULL;
}

/* Each entry stands for itself: a bad one leaves the others in force. */
static void read_tunes(struct reading *reading, const char *value) {
	char item[SHIM_ITEM_BYTES], name[SHIM_ITEM_BYTES + 16];
	struct shim_text text;

	while (shim_settings__next_item(&value, item)) {
		char *equals = strchr(item, '=');
		const char *complaint = "no such entry", *fallback = "";
		if (equals != NULL) {
			*equals = '\0';
		}
		for (size_t i = 0; i < TUNE_COUNT; i++) {
			if (strcmp(item, tunes[i].name) == 0) {
				const char *given = equals == NULL ? "" : equals + 1;
				complaint = read_tune(reading->out, &tunes[i], given);
				fallback = tunes[i].fallback;
			}
		}
		if (complaint != NULL) {
			shim_text_init(&text, name, sizeof(name));
			shim_text_put(&text, "PROMSHIM_TUNE: ");
			shim_value_put_shown(&text, item, SHOWN_VALUE_BYTES);
			complain(reading, name, equals == NULL ? "" : equals + 1,
					complaint, fallback);
		}
	}
}

static const char *read_value(struct reading *reading, const struct setting *setting,
		const char *value) {
	struct shim_settings *out = reading->out;

	switch (setting->kind) {
	case KIND_LATER:
		return shim_settings__not_here;
	case KIND_MODE:
		return shim_settings__read_mode(out, value);
	case KIND_DISABLE:
		return shim_value_parse_boolean(value, &reading->is_disabled)
				? NULL
				: "not a boolean (1 true yes on, 0 false no off)";
	case KIND_PORT:
		return shim_settings__read_port(out, value);
	case KIND_ADDRESS:
		return shim_settings__read_address(out, value);
	case KIND_SOCKET:
		return strlen(value) > SOCKET_PATH_MAX
				? "longer than 107 bytes, the most a socket can have"
				: shim_settings__copy(out->socket, sizeof(out->socket),
						  value);
	case KIND_NAME:
		return !shim_value_is_printable(value) ||
						strlen(value) >= setting->size_bytes
				? "not a name (1 to 63 bytes of UTF-8)"
				: shim_settings__copy((char *)out + setting->offset,
						  setting->size_bytes, value);
	case KIND_TEXT:
		return shim_settings__copy((char *)out + setting->offset,
				setting->size_bytes, value);
	case KIND_COLLECTORS:
		return shim_settings__read_collectors(out, value);
	case KIND_LOG:
		return shim_settings__read_log(out, value);
	case KIND_TUNE:
		read_tunes(reading, value);
		return NULL;
	}
	return NULL;
}

/* PROMSHIM_SERVICE_HOST, PROMSHIM_PORT_9090_TCP, ...: nobody wrote them, nobody is told. */
static bool is_from_kubernetes(const char *name) {
	return strncmp(name, "PROMSHIM_SERVICE_", 17) == 0 ||
			(strncmp(name, "PROMSHIM_PORT_", 14) == 0 && name[14] >= '0' &&
					name[14] <= '9');
}

static void report_unknown(struct reading *reading, const char *name) {
	char line[SHIM_MESSAGE_BYTES];
	struct shim_text text;
	uint32_t nearest = 4; /* letters off, at which it is no misspelling any more */
	const char *meant = NULL;

	if (is_from_kubernetes(name)) {
		return;
	}
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		uint32_t distance = shim_value_distance(name, settings[i].name);
		if (distance < nearest) {
			nearest = distance;
			meant = settings[i].name;
		}
	}
	shim_text_init(&text, line, sizeof(line));
	shim_value_put_shown(&text, name, SHOWN_VALUE_BYTES);
	if (meant != NULL) {
		shim_text_put(&text, " is not a setting; did you mean ");
		shim_text_put(&text, meant);
		shim_text_put(&text, "?");
	} else {
		shim_text_put(&text, " is not a setting; it is ignored.");
	}
	report(reading, line);
}

static void read_variable(struct reading *reading, const char *name, const char *value) {
	for (uint32_t i = 0; i < SETTING_COUNT; i++) {
		if (strcmp(name, settings[i].name) != 0) {
			continue;
		}
		if ((reading->seen >> i & 1) == 0 && value[0] != '\0') {
			const char *complaint = read_value(reading, &settings[i], value);
			if (complaint != NULL) {
				complain(reading, name, value, complaint,
						settings[i].fallback);
			}
		}
		reading->seen |= 1U << i;
		return;
	}
	report_unknown(reading, name);
}

static void set_defaults(struct shim_settings *out) {
	memset(out, 0, sizeof(*out));
	out->mode = SHIM_MODE_SERVE;
	out->port = 19964;
	memcpy(out->address, "127.0.0.1", sizeof("127.0.0.1"));
	memcpy(out->collectors, "all", sizeof("all"));
	memcpy(out->log, "off", sizeof("off"));
	out->slow_interval_ns = 10000000000;
	out->timeout_ns = 10000000000;
	out->max_requests = 4;
}

static void report_summary(struct reading *reading) {
	char line[SHIM_MESSAGE_BYTES];
	struct shim_text text;
	const struct shim_settings *out = reading->out;
	if (reading->report == NULL) {
		return;
	}
	if (out->invalid > reading->reports) {
		shim_text_init(&text, line, sizeof(line));
		shim_text_put(&text, "And ");
		shim_text_uint(&text, out->invalid - reading->reports);
		shim_text_put(&text,
				" more settings that are unknown or bad; they are ignored.");
		reading->report(SHIM_WARNING, line);
	}
	if (out->mode == SHIM_MODE_SERVE && out->port < 0 && out->socket[0] == '\0') {
		reading->report(SHIM_WARNING,
				"PROMSHIM_PORT=none without PROMSHIM_SOCKET: nothing can be scraped. "
				"Set one of them.");
	}
}

void shim_settings_read(struct shim_settings *out, char *const *environment,
		void (*report_line)(int level, const char *line)) {
	struct reading reading = { .out = out, .report = report_line };
	char name[SHOWN_VALUE_BYTES + 16];

	set_defaults(out);
	if (environment == NULL) {
		return;
	}
	for (; *environment != NULL; environment++) {
		const char *equals;
		if (strncmp(*environment, "PROMSHIM_", 9) != 0 ||
				(equals = strchr(*environment, '=')) == NULL) {
			continue;
		}
		size_t length = (size_t)(equals - *environment);
		length = length < sizeof(name) ? length : sizeof(name) - 1;
		memcpy(name, *environment, length);
		name[length] = '\0';
		read_variable(&reading, name, equals + 1);
	}
	if (reading.is_disabled) {
		out->mode = SHIM_MODE_OFF;
	}
	report_summary(&reading);
}

static void print_tunes(const struct shim_settings *values, struct shim_text *text) {
	shim_text_put(text, "slow_interval=");
	shim_value_put_duration(text, values->slow_interval_ns);
	shim_text_put(text, ",max_requests=");
	shim_text_uint(text, values->max_requests);
	shim_text_put(text, ",timeout=");
	shim_value_put_duration(text, values->timeout_ns);
	shim_text_put(text, ",seccomp=");
	shim_text_uint(text, values->seccomp);
}

/* Appends the value; nothing when the setting is not in force. */
static void print_value(const struct shim_settings *values, const struct setting *setting,
		struct shim_text *text) {
	switch (setting->kind) {
	case KIND_LATER:
	case KIND_DISABLE: /* shows as the mode */
		return;
	case KIND_MODE:
		shim_text_put(text,
				values->mode <= SHIM_MODE_OFF
						? shim_settings__modes[values->mode]
						: "?");
		return;
	case KIND_PORT:
		if (values->port < 0) {
			shim_text_put(text, "none");
		} else {
			shim_text_uint(text, (uint64_t)values->port);
		}
		return;
	case KIND_TUNE:
		print_tunes(values, text);
		return;
	case KIND_ADDRESS:
	case KIND_SOCKET:
	case KIND_NAME:
	case KIND_TEXT:
	case KIND_COLLECTORS:
	case KIND_LOG:
		for (const char *c = (const char *)values + setting->offset; *c != '\0';
				c++) {
			char shown = *c == '\n' ? '?' : *c; /* a line stays a line */
			shim_text_put_bytes(text, &shown, 1);
		}
		return;
	}
}

void shim_settings_print(const struct shim_settings *values, char *out,
		size_t size_bytes) {
	char line[SHIM_PATH_BYTES + 64];
	struct shim_text all, text;

	shim_text_init(&all, out, size_bytes);
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		shim_text_init(&text, line, sizeof(line));
		shim_text_put(&text, settings[i].name);
		shim_text_put(&text, "=");
		size_t empty_bytes = text.used_bytes;
		print_value(values, &settings[i], &text);
		bool is_set = text.used_bytes > empty_bytes;
		shim_text_put(&text, "\n");
		if (is_set &&
				all.used_bytes + text.used_bytes <
						size_bytes) { /* whole or not */
			shim_text_put_bytes(&all, line, text.used_bytes);
		}
	}
}
