/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "exporter/cli.h"

static const char help[] =
		"usage: promshim run [options] -- CMD [ARG...]\n"
		"       promshim check CMD|PID|URL\n"
		"       promshim --help | --version\n"
		"\n"
		"  run     start CMD with libpromshim.so preloaded, say where its metrics are\n"
		"  check   say whether a program, a process or a page is instrumented, and why not\n"
		"\n"
		"`promshim run --help` lists the options; promshim(1) tells the rest.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", prom_cli_run },
	{ "check", prom_cli_check },
};

static bool is_one_of(const char *word, const char *a, const char *b) {
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int main(int argc, char **argv) {
	if (argc < 2) {
		fputs(help, stderr);
		return PROM_EXIT_USAGE;
	}
	if (is_one_of(argv[1], "--help", "-h") || strcmp(argv[1], "help") == 0) {
		fputs(help, stdout);
		return 0;
	}
	if (is_one_of(argv[1], "--version", "-V")) {
		puts("promshim " PROMSHIM_VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			return commands[i].run(argc - 1, argv + 1);
		}
	}
	prom_cli_line(stderr, "promshim: %s is not a command. See promshim --help.",
			argv[1]);
	return PROM_EXIT_USAGE;
}
