/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exporter/cli.h"
#include "exporter/cli_announce.h"

static const char help[] =
		"usage: promshim run [options] -- CMD [ARG...]\n"
		"\n"
		"  --port N           port of the metrics; 0 = any free, none = no TCP  [19964]\n"
		"  --address A        a number, localhost or *                          [127.0.0.1]\n"
		"  --program NAME     value of the label `program`                      [CMD's name]\n"
		"  --socket PATH      serve on a UNIX socket too\n"
		"  --port-file PATH   where the port is written; %p pid, %n program\n"
		"  --textfile PATH    write the last page there at exit; %p, %n\n"
		"  --mode M           serve, count, off                                 [serve]\n"
		"  --log L            off, stderr or a path                             [off]\n"
		"  --help             this text\n"
		"\n"
		"Each option sets the variable of its name, PROMSHIM_PORT and so on, for CMD.\n"
		"exit code: that of CMD; 127 CMD not found, 126 CMD cannot be run,\n"
		"125 promshim failed, 2 usage\n";

static const struct option options[] = {
	{ "port", required_argument, NULL, 'P' },
	{ "address", required_argument, NULL, 'A' },
	{ "program", required_argument, NULL, 'N' },
	{ "socket", required_argument, NULL, 'S' },
	{ "port-file", required_argument, NULL, 'F' },
	{ "textfile", required_argument, NULL, 'T' },
	{ "mode", required_argument, NULL, 'M' },
	{ "log", required_argument, NULL, 'L' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int usage(const char *reason, const char *value) {
	if (reason != NULL) {
		prom_cli_line(stderr, "promshim run: %s: %s. See promshim run --help.",
				value, reason);
	} else {
		fputs(help, stderr);
	}
	return PROM_EXIT_USAGE;
}

/*
 * Sets the variable of an option. What is typed here is refused at once; what stands in the
 * environment is not, as the object itself treats it with a message.
 */
static int set_option(const struct option *option, const char *value) {
	char name[64] = "PROMSHIM_";
	size_t bytes = strlen(name);

	if (strcmp(option->name, "port") == 0 && prom_announce_port(value) == -EINVAL) {
		return usage("not a port (0 to 65535, none)", value);
	}
	if (strcmp(option->name, "mode") == 0 && strcmp(value, "serve") != 0 &&
			strcmp(value, "count") != 0 && strcmp(value, "off") != 0) {
		return usage("not a mode (serve, count, off)", value);
	}
	for (const char *c = option->name; *c != '\0'; c++) {
		name[bytes] = '_';
		if (*c != '-') {
			name[bytes] = (char)(*c - 'a' + 'A');
		}
		bytes++;
	}
	name[bytes] = '\0';
	if (prom_cli_set(name, value) < 0) {
		prom_cli_line(stderr, "promshim run: no memory.");
		return PROM_EXIT_FAILED;
	}
	return 0;
}

/* Returns the canonical path when the file is there, else NULL. */
static const char *existing(const char *path, char out[PATH_MAX]) {
	return realpath(path, out) != NULL && access(out, R_OK) == 0 ? out : NULL;
}

/* Finds the object: named by PROMSHIM_SO, beside this build, installed beside us, installed. */
static const char *find_object(char out[PATH_MAX]) {
	static const char *const beside[] = {
		"../preload/libpromshim.so",
		"../" PROMSHIM_LIBDIR_RELATIVE "/libpromshim.so",
	};
	const char *named = prom_cli_setting("PROMSHIM_SO");
	char own[PATH_MAX], path[PATH_MAX + 128];
	ssize_t n;

	if (named != NULL) {
		return existing(named, out);
	}
	n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	for (size_t i = 0; n > 0 && i < sizeof(beside) / sizeof(beside[0]); i++) {
		own[n] = '\0';
		snprintf(path, sizeof(path), "%.*s%s",
				(int)(prom_cli_basename(own) - own), own, beside[i]);
		if (existing(path, out) != NULL) {
			return out;
		}
	}
	return existing(PROMSHIM_LIBDIR "/libpromshim.so", out);
}

/* Tells whether an object of this name is among the entries of `list`. */
static bool is_preloaded(const char *list) {
	char entry[PATH_MAX];

	while (*list != '\0') {
		size_t bytes = strcspn(list, " :");
		snprintf(entry, sizeof(entry), "%.*s", (int)bytes, list);
		if (strcmp(prom_cli_basename(entry), "libpromshim.so") == 0) {
			return true;
		}
		list += bytes;
		list += strspn(list, " :");
	}
	return false;
}

/* Appends `object` to LD_PRELOAD; Returns 0 or -errno. */
static int preload(const char *object) {
	const char *list = prom_cli_setting("LD_PRELOAD");
	char *longer;
	int r;

	if (list == NULL) {
		return prom_cli_set("LD_PRELOAD", object);
	}
	if (asprintf(&longer, "%s:%s", list, object) < 0) {
		return -ENOMEM;
	}
	r = prom_cli_set("LD_PRELOAD", longer);
	free(longer);
	return r;
}

/* Puts the object into our environment; Returns 0 or the exit code. */
static int prepare(void) {
	char object[PATH_MAX];
	const char *named = prom_cli_setting("PROMSHIM_SO");
	const char *list = prom_cli_setting("LD_PRELOAD");

	if (list != NULL && is_preloaded(list)) { /* we may be what it was meant for */
		(void)prom_cli_set("PROMSHIM_SO", NULL);
		return 0;
	}
	if (find_object(object) == NULL) {
		prom_cli_line(stderr,
				"promshim run: libpromshim.so is not %s%s. CMD was not started. Set "
				"PROMSHIM_SO to its path.",
				named != NULL ? "at "
					      : "beside this command nor in " PROMSHIM_LIBDIR,
				named != NULL ? named : "");
		return PROM_EXIT_FAILED;
	}
	if (strpbrk(object, " :") != NULL) {
		prom_cli_line(stderr,
				"promshim run: %s has a blank or colon in its path, where LD_PRELOAD "
				"splits. CMD was not started. Copy it to a path without, and set "
				"PROMSHIM_SO.",
				object);
		return PROM_EXIT_FAILED;
	}
	(void)prom_cli_set("PROMSHIM_SO",
			NULL); /* ours alone: in CMD it would be an unknown setting */
	if (preload(object) < 0) {
		prom_cli_line(stderr, "promshim run: no memory. CMD was not started.");
		return PROM_EXIT_FAILED;
	}
	return 0;
}

int prom_cli_run(int argc, char **argv) {
	char path[PATH_MAX];
	int c, index = 0, r;

	opterr = 0;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((c = getopt_long(argc, argv, "+:h", options, &index)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (c == '?' || c == ':') {
			return usage(c == ':' ? "needs a value" : "is not an option",
					argv[optind - 1]);
		}
		r = set_option(&options[index], optarg);
		if (r != 0) {
			return r;
		}
	}
	if (optind >= argc) {
		return usage(NULL, NULL);
	}
	argv += optind;
	r = prepare();
	if (r != 0) {
		return r;
	}
	/* nothing is promised for what cannot be run; execvp says why */
	if (prom_cli_find(argv[0], path, sizeof(path)) == 0) {
		prom_announce(argv[0], path);
	}
	execvp(argv[0], argv);
	r = errno;
	prom_cli_line(stderr, "promshim run: %s cannot be run: %s.", argv[0],
			prom_cli_error(r));
	return r == ENOENT ? PROM_EXIT_NOT_FOUND : PROM_EXIT_CANNOT_RUN;
}
