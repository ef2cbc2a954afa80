/* SPDX-License-Identifier: MIT */
#include "preload/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "preload/layout.h"
#include "preload/value.h"
#include "tests/unit/tap.h"

static char lines[64][512];
static int line_count;

static void keep_line(int level, const char *line) {
	if (line_count < 64) {
		snprintf(lines[line_count], sizeof(lines[0]), "%s", line);
	}
	line_count++;
}

static void read_all(struct shim_settings *out, char *const *environment) {
	line_count = 0;
	lines[0][0] = '\0';
	memset(out, 0x55, sizeof(*out));
	shim_settings_read(out, environment, keep_line);
}

static void read_one(struct shim_settings *out, const char *variable) {
	char *environment[] = { (char *)(uintptr_t)variable, NULL };
	read_all(out, environment);
}

static void test_defaults(void) {
	struct shim_settings settings;
	char *environment[] = { "PATH=/bin",
		"PROMSHIM_PORT=", "PROMSHIM_LOG=", "PROMSHIM=1",
		"PROMSHIM_TUNE=", "PROMSHIM_MODE", NULL };
	char printed[SHIM_SETTINGS_BYTES];
	read_all(&settings, environment);
	is(line_count, 0, "empty is unset, other names are nobody's business");
	is(settings.invalid, 0, "and nothing is invalid");
	shim_settings_print(&settings, printed, sizeof(printed));
	is_text(printed,
			"PROMSHIM_MODE=serve\nPROMSHIM_PORT=19964\nPROMSHIM_ADDRESS=127.0.0.1\n"
			"PROMSHIM_COLLECTORS=all\nPROMSHIM_LOG=off\n"
			"PROMSHIM_TUNE=slow_interval=10s,max_requests=4,timeout=10s,seccomp=0\n",
			"the defaults");
	read_all(&settings, NULL);
	is(settings.port, 19964, "no environment is the defaults, too");
}

static void test_good(void) {
	struct shim_settings settings;
	char printed[SHIM_SETTINGS_BYTES],
			*environment[] = { "PROMSHIM_MODE=count", "PROMSHIM_PORT=0",
				"PROMSHIM_PORT=1", /* the first counts, as with getenv */
				"PROMSHIM_ADDRESS=::1", "PROMSHIM_SOCKET=/run/a.sock",
				"PROMSHIM_PORT_FILE=/tmp/%p",
				"PROMSHIM_PROGRAM=k\xc3\xa4se", "PROMSHIM_INCLUDE=redis*",
				"PROMSHIM_EXCLUDE=sh,bash",
				"PROMSHIM_COLLECTORS=-allocator, -threads ",
				"PROMSHIM_TEXTFILE=/tmp/%n.prom", "PROMSHIM_LOG=stderr",
				"PROMSHIM_TUNE=timeout=1500ms,max_requests=8", NULL };
	read_all(&settings, environment);
	is(line_count, 0, "good values give no message");
	shim_settings_print(&settings, printed, sizeof(printed));
	is_text(printed,
			"PROMSHIM_MODE=count\nPROMSHIM_PORT=0\nPROMSHIM_ADDRESS=::1\n"
			"PROMSHIM_SOCKET=/run/a.sock\nPROMSHIM_PORT_FILE=/tmp/%p\n"
			"PROMSHIM_PROGRAM=k\xc3\xa4se\nPROMSHIM_INCLUDE=redis*\n"
			"PROMSHIM_EXCLUDE=sh,bash\nPROMSHIM_COLLECTORS=malloc,process\n"
			"PROMSHIM_TEXTFILE=/tmp/%n.prom\nPROMSHIM_LOG=stderr\n"
			"PROMSHIM_TUNE=slow_interval=10s,max_requests=8,timeout=1500ms,seccomp=0\n",
			"and are in force");
	is(settings.timeout_ns, 1500000000, "durations are nanoseconds");
	shim_settings_print(&settings, printed, 40);
	is_text(printed, "PROMSHIM_MODE=count\nPROMSHIM_PORT=0\n",
			"printing cuts whole lines");
	read_one(&settings, "PROMSHIM_PORT=none");
	is(settings.port, -1, "no port");
	is_text(lines[0],
			"PROMSHIM_PORT=none without PROMSHIM_SOCKET: nothing can be scraped. Set one "
			"of them.",
			"is told when there is no socket");
	is(settings.invalid, 0, "but is not invalid");
}

static void test_disable(void) {
	static const char *const yes[] = { "1", "true", "YES", "On" };
	static const char *const no[] = { "0", "False", "no", "off" };
	struct shim_settings settings;
	char variable[64];

	for (size_t i = 0; i < 4; i++) {
		snprintf(variable, sizeof(variable), "PROMSHIM_DISABLE=%s", yes[i]);
		char *environment[] = { variable, "PROMSHIM_MODE=serve", NULL };
		read_all(&settings, environment);
		is(settings.mode, SHIM_MODE_OFF, variable);
		snprintf(variable, sizeof(variable), "PROMSHIM_DISABLE=%s", no[i]);
		read_one(&settings, variable);
		is(settings.mode, SHIM_MODE_SERVE, variable);
	}
}

static void test_bad(void) {
	static const struct {
		const char *variable, *line;
	} cases[] = {
		{ "PROMSHIM_PORT=99640",
				"PROMSHIM_PORT=99640: not a port (0 to 65535); using 19964." },
		{ "PROMSHIM_PORT=-1",
				"PROMSHIM_PORT=-1: not a port (0 to 65535); using 19964." },
		{ "PROMSHIM_PORT= 80",
				"PROMSHIM_PORT= 80: not a port (0 to 65535); using 19964." },
		{ "PROMSHIM_PORT=18446744073709551617",
				"PROMSHIM_PORT=18446744073709551617: not a port (0 to 65535); using "
				"19964." },
		{ "PROMSHIM_PORT=tcp://10.0.0.1:80",
				"PROMSHIM_PORT=tcp://10.0.0.1:80: Kubernetes sets this for a service "
				"named promshim; rename the service or set enableServiceLinks: false. "
				"Using 19964." },
		{ "PROMSHIM_PROT=1",
				"PROMSHIM_PROT is not a setting; did you mean PROMSHIM_PORT?" },
		{ "PROMSHIM_port=1",
				"PROMSHIM_port is not a setting; did you mean PROMSHIM_PORT?" },
		{ "PROMSHIM_COLLECTOR=1",
				"PROMSHIM_COLLECTOR is not a setting; did you mean "
				"PROMSHIM_COLLECTORS?" },
		{ "PROMSHIM_XYZZY_PLUGH=1",
				"PROMSHIM_XYZZY_PLUGH is not a setting; it is ignored." },
		{ "PROMSHIM_ADDRESS=myhost",
				"PROMSHIM_ADDRESS=myhost: names are not looked up; give a number or "
				"*. Using 127.0.0.1." },
		{ "PROMSHIM_MODE=publish",
				"PROMSHIM_MODE=publish: not in this version; using serve." },
		{ "PROMSHIM_MODE=on",
				"PROMSHIM_MODE=on: not a mode (serve, count, off); using serve." },
		{ "PROMSHIM_DISABLE=maybe",
				"PROMSHIM_DISABLE=maybe: not a boolean (1 true yes on, 0 false no "
				"off); using 0." },
		{ "PROMSHIM_LOG=stdout",
				"PROMSHIM_LOG=stdout: not off, stderr or a path with a /; using off." },
		{ "PROMSHIM_COLLECTORS=malloc,hepa",
				"PROMSHIM_COLLECTORS=malloc,hepa: no such collector (malloc, threads, "
				"process, allocator); using all." },
		{ "PROMSHIM_COLLECTORS=-self",
				"PROMSHIM_COLLECTORS=-self: no such collector (malloc, threads, "
				"process, allocator); using all." },
		{ "PROMSHIM_COLLECTORS=profile",
				"PROMSHIM_COLLECTORS=profile: profile is not in this version; using "
				"all." },
		{ "PROMSHIM_DIR=/dev/shm/x",
				"PROMSHIM_DIR=/dev/shm/x: not in this version; it is ignored." },
		{ "PROMSHIM_TUNE=timeout=5",
				"PROMSHIM_TUNE: timeout=5: not a duration with its unit (500ms, 10s, "
				"5m); using 10s." },
		{ "PROMSHIM_TUNE=seccomp=2",
				"PROMSHIM_TUNE: seccomp=2: neither 0 nor 1; using 0." },
		{ "PROMSHIM_TUNE=max_requests=0",
				"PROMSHIM_TUNE: max_requests=0: out of range (1 to 64); using 4." },
		{ "PROMSHIM_TUNE=shm_max=16MiB",
				"PROMSHIM_TUNE: shm_max=16MiB: not in this version; it is ignored." },
		{ "PROMSHIM_TUNE=fast",
				"PROMSHIM_TUNE: fast=: no such entry; it is ignored." },
		{ "PROMSHIM_PROGRAM=a\nb",
				"PROMSHIM_PROGRAM=a?b: not a name (1 to 63 bytes of UTF-8); using the "
				"executable's name." },
		{ "PROMSHIM_PROGRAM=\xff",
				"PROMSHIM_PROGRAM=?: not a name (1 to 63 bytes of UTF-8); using the "
				"executable's name." },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct shim_settings settings, defaults;
		read_all(&defaults, NULL);
		read_one(&settings, cases[i].variable);
		is_text(lines[0], cases[i].line, cases[i].line); /* one line, printable */
		defaults.invalid = 1;
		ok(line_count == 1 && memcmp(&settings, &defaults, sizeof(settings)) == 0,
				"... and the default is in force");
	}
}

static void test_kubernetes(void) {
	struct shim_settings settings;
	char *environment[] = { "PROMSHIM_SERVICE_HOST=10.0.0.1",
		"PROMSHIM_SERVICE_PORT=80", "PROMSHIM_PORT_80_TCP_ADDR=10.0.0.1", NULL };
	read_all(&settings, environment);
	is(line_count, 0,
			"what Kubernetes adds for a service of our name is no misspelling");
}

static void test_addresses(void) {
	static const char *const values[] = { "0.0.0.0", "127.0.0.1", "256.1.1.1",
		"1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4 ", "::", "::1",
		":::", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1::2::3",
		"12345::", "g::", "::ffff:1.2.3.4", "::ffff:1.2.3.256",
		"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4::", ":1",
		"1:", "fe80::1%eth0", "[::1]", "", ".", ":" };
	static const char letters[] = "01f.:::g";
	int differences = 0;
	unsigned char bytes[16];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		bool expected = inet_pton(AF_INET, values[i], bytes) == 1 ||
				inet_pton(AF_INET6, values[i], bytes) == 1;
		is(shim_value_is_address(values[i]), expected, values[i]);
	}
	srandom(1);
	for (int round = 0; round < 300000; round++) {
		char value[24];
		size_t length = (size_t)random() % 20;
		for (size_t i = 0; i < length; i++) {
			value[i] = letters[(size_t)random() % 8];
		}
		value[length] = '\0';
		bool expected = inet_pton(AF_INET, value, bytes) == 1 ||
				inet_pton(AF_INET6, value, bytes) == 1;
		if (shim_value_is_address(value) != expected) {
			printf("# %s\n", value);
			differences++;
		}
	}
	is(differences, 0, "addresses are what inet_pton takes");
}

static void test_durations(void) {
	static const char *const bad[] = { "10", "s", "1.5s", "10 s", "-1s", "10S", "1d",
		"9223372036854775808ns", "9223372037s", "" };
	uint64_t duration_ns = 7;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ok(!shim_value_parse_duration(bad[i], &duration_ns) && duration_ns == 7,
				bad[i]);
	}
	ok(shim_value_parse_duration("9223372036854775807ns", &duration_ns),
			"longest duration");
	ok(shim_value_parse_duration("5m", &duration_ns) && duration_ns == 300000000000,
			"5m");
	is(shim_value_distance("kitten", "sitting"), 3, "kitten, sitting");
	is(shim_value_distance("", "abc"), 3, "nothing, abc");
	is(shim_value_distance("ab", "BA"), 1, "neighbours swapped");
}

static void test_expand(void) {
	char out[32];

	is(shim_settings_expand("/t/%n-%p%%x%q%", 42, "a/b", out, sizeof(out)), 0,
			"expands");
	is_text(out, "/t/a_b-42%x%q%", "and a name stays one name");
	is(shim_settings_expand("/t/%n%n%n%n", 1, "12345678", out, sizeof(out)),
			-ENAMETOOLONG, "too long");
	is_text(out, "", "leaves nothing half");
}

static void test_selects(void) {
	static const struct {
		const char *include, *exclude, *program;
		bool selected;
	} cases[] = {
		{ "", "", "a", true },
		{ "redis-*, nginx", "", "redis-server", true },
		{ "redis-*, nginx ,", "", "nginx", true },
		{ "redis-*,nginx", "", "nginx2", false },
		{ "", "*sh", "bash", false },
		{ "*", "ba?h", "bash", false },
		{ "*", "ba?h", "bah", true },
		{ "*a*b*c*", "", "xxaxxbxbxxcx", true },
		{ "*a*b*c", "", "xxaxxbxbxxcx", false },
		{ " , ,", "", "a", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static struct shim_settings settings;
		snprintf(settings.include, sizeof(settings.include), "%s",
				cases[i].include);
		snprintf(settings.exclude, sizeof(settings.exclude), "%s",
				cases[i].exclude);
		is(shim_settings_selects(&settings, cases[i].program), cases[i].selected,
				cases[i].include);
	}
}

static bool are_sane(const struct shim_settings *settings) {
	bool are_lines_whole = true;

	for (int i = 0; i < line_count && i < 64; i++) {
		are_lines_whole = are_lines_whole && shim_value_is_printable(lines[i]) &&
				strlen(lines[i]) < SHIM_MESSAGE_BYTES;
	}
	return are_lines_whole && settings->mode <= SHIM_MODE_OFF &&
			settings->port >= -1 && settings->port <= 65535 &&
			strlen(settings->address) < 64 &&
			strlen(settings->log) < SHIM_PATH_BYTES &&
			settings->max_requests > 0 && settings->max_requests <= 64 &&
			settings->timeout_ns > 0;
}

static const char *const names[] = { "MODE", "DISABLE", "PORT", "ADDRESS", "SOCKET",
	"PORT_FILE", "PROGRAM", "INCLUDE", "EXCLUDE", "COLLECTORS", "TEXTFILE", "LOG",
	"TUNE", "GROUP_BY", "" };

enum { NAME_COUNT = sizeof(names) / sizeof(names[0]), HUGE_BYTES = 100000 };

static void test_hostile(void) {
	static char huge[HUGE_BYTES + 64], huge_name[HUGE_BYTES + 64];
	static char variable[128], printed[SHIM_SETTINGS_BYTES];
	static const char alphabet[] = "0159ms=,-*:./%tcpall\xc3\xa4\xff\x01\n ";
	struct shim_settings settings;
	bool is_sane = true;

	for (size_t i = 0; i < NAME_COUNT; i++) {
		int length = snprintf(huge, 64, "PROMSHIM_%s=/", names[i]);
		memset(huge + length, i % 2 == 0 ? 'x' : '\xe4', HUGE_BYTES);
		read_one(&settings, huge);
		is_sane = is_sane && line_count == 1 && are_sane(&settings);
	}
	ok(is_sane, "huge values are refused in one line each");
	memset(huge_name, 'X', HUGE_BYTES);
	memcpy(huge_name, "PROMSHIM_", 9);
	memcpy(huge_name + HUGE_BYTES, "=1", 3);
	read_one(&settings, huge_name);
	ok(line_count == 1 && are_sane(&settings), "so is a huge name");

	srandom(1);
	for (int round = 0; round < 200000; round++) {
		int used = snprintf(variable, 64,
				"PROMSHIM_%s=", names[random() % NAME_COUNT]);
		size_t length = (size_t)random() % 32;
		for (size_t i = 0; i < length; i++) {
			variable[(size_t)used + i] = alphabet[(size_t)random() %
					(sizeof(alphabet) - 1)];
		}
		variable[(size_t)used + length] = '\0';
		read_one(&settings, variable);
		shim_settings_print(&settings, printed, sizeof(printed));
		if (!are_sane(&settings)) {
			is_sane = false;
			printf("# %s\n", variable);
		}
	}
	ok(is_sane, "nonsense leaves sane settings");
}

static void test_truncations(void) {
	static const char *const good[] = {
		"PROMSHIM_TUNE=slow_interval=10s,max_requests=4",
		"PROMSHIM_COLLECTORS=malloc,-threads", "PROMSHIM_ADDRESS=::ffff:127.0.0.1"
	};
	struct shim_settings settings;
	bool is_sane = true;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		for (size_t length = 0; length <= strlen(good[i]); length++) {
			char *cut = strndup(good[i],
					length); /* its own block: no byte behind it */
			read_one(&settings, cut);
			is_sane = is_sane && are_sane(&settings);
			free(cut);
		}
	}
	ok(is_sane, "every truncation is borne");
}

static void test_many(void) {
	static char names_of_many[1000][32];
	static char *environment[1001];
	struct shim_settings settings;

	for (int i = 0; i < 1000; i++) {
		snprintf(names_of_many[i], sizeof(names_of_many[i]),
				"PROMSHIM_NONSENSE_%d=1", i);
		environment[i] = names_of_many[i];
	}
	read_all(&settings, environment);
	is(line_count, 9, "many bad names give few lines");
	is_text(lines[8],
			"And 992 more settings that are unknown or bad; they are ignored.",
			"the last tells how many more");
	is(settings.invalid, 1000, "and all are counted");
}

int main(void) {
	test_defaults();
	test_good();
	test_disable();
	test_bad();
	test_kubernetes();
	test_addresses();
	test_durations();
	test_expand();
	test_selects();
	test_hostile();
	test_truncations();
	test_many();
	return tap_done();
}
