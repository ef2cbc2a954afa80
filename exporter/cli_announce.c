/* SPDX-License-Identifier: MIT */
#include "exporter/cli_announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "exporter/cli.h"
#include "exporter/cli_check.h"

enum { DEFAULT_PORT = 19964 };

int prom_announce_port(const char *value) {
	size_t digits = strspn(value, "0123456789");
	long port;

	if (strcmp(value, "none") == 0) {
		return -1;
	}
	port = strtol(value, NULL, 10);
	return digits > 0 && digits < 6 && value[digits] == '\0' && port <= 65535
			? (int)port
			: -EINVAL;
}

/* Fills `out` as the server will; Returns its size, or 0 when the server would refuse it. */
static socklen_t parse_address(const char *address, int port,
		struct sockaddr_storage *out) {
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	if (strcmp(address, "localhost") == 0) {
		address = "127.0.0.1";
	}
	if (strcmp(address, "*") == 0) {
		address = "0.0.0.0"; /* taken for either family is taken for both */
	}
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		return sizeof(*v6);
	}
	return 0;
}

/* Tries what the server will do; Returns 0 or the -errno that it will meet. */
static int try_bind(const struct sockaddr_storage *address, socklen_t bytes) {
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, r;

	if (fd < 0) {
		return -errno;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	r = bind(fd, (const struct sockaddr *)address, bytes) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* Expands %p (pid), %n (program) and %% as the object will: exec keeps the pid. */
static void expand(const char *pattern, const char *program, char *out,
		size_t size_bytes) {
	size_t used = 0;

	out[0] = '\0';
	for (; *pattern != '\0' && used < size_bytes; pattern++) {
		char c = *pattern;
		int n;
		if (c == '%') {
			c = pattern[1];
		}
		if (*pattern == '%' && c == 'p') {
			n = snprintf(out + used, size_bytes - used, "%d", getpid());
		} else if (*pattern == '%' && c == 'n') {
			n = snprintf(out + used, size_bytes - used, "%s", program);
		} else {
			n = snprintf(out + used, size_bytes - used, "%c", *pattern);
		}
		pattern += *pattern == '%' && (c == 'p' || c == 'n' || c == '%');
		used += (size_t)n;
	}
}

static void announce_free_port(const char *program, const char *address) {
	const char *pattern = prom_cli_setting("PROMSHIM_PORT_FILE");
	char file[PATH_MAX];

	if (pattern != NULL) {
		expand(pattern, program, file, sizeof(file));
		prom_cli_line(stderr,
				"promshim: metrics of %s at a free port of %s, which will be written to %s",
				program, address, file);
	} else {
		prom_cli_line(stderr,
				"promshim: metrics of %s at a free port of %s; promshim check %d says "
				"which, or use --port-file",
				program, address, getpid());
	}
}

static void announce_port(const char *program, const char *address, int port) {
	struct sockaddr_storage socket_address;
	socklen_t bytes = parse_address(address, port, &socket_address);
	bool is_any = strcmp(address, "*") == 0;
	bool is_v6;
	int r;

	if (bytes == 0) { /* the object falls back, and says so */
		address = "127.0.0.1";
		bytes = parse_address(address, port, &socket_address);
	}
	if (port == 0) {
		announce_free_port(program, address);
		return;
	}
	is_v6 = socket_address.ss_family == AF_INET6;
	r = try_bind(&socket_address, bytes);
	if (r == 0) {
		prom_cli_line(stderr,
				"promshim: metrics of %s at http://%s%s%s:%d/metrics%s",
				program, is_v6 ? "[" : "", is_any ? "localhost" : address,
				is_v6 ? "]" : "", port, is_any ? " (all addresses)" : "");
	} else if (r == -EADDRINUSE) {
		prom_cli_line(stderr,
				"promshim: port %d is taken on %s; %s runs and is counted, nothing is "
				"served; use --port",
				port, address, program);
	} else {
		prom_cli_line(stderr,
				"promshim: port %d of %s cannot be opened (%s); %s runs and is counted, "
				"nothing is served; use --port or --address",
				port, address, prom_cli_error(-r), program);
	}
}

/* As the settings read it: everything else is no, or refused. */
static bool is_disabled(void) {
	static const char *const words[] = { "1", "true", "yes", "on" };
	const char *value = prom_cli_setting("PROMSHIM_DISABLE");

	for (size_t i = 0; value != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(value, words[i]) == 0) {
			return true;
		}
	}
	return false;
}

static bool announce_mode(const char *program, const char *mode) {
	const char *textfile = prom_cli_setting("PROMSHIM_TEXTFILE");
	char file[PATH_MAX];

	if ((mode != NULL && strcmp(mode, "off") == 0) || is_disabled()) {
		prom_cli_line(stderr, "promshim: %s runs and is not counted (mode off)",
				program);
		return true;
	}
	if (mode == NULL || strcmp(mode, "count") != 0) {
		return false;
	}
	if (textfile != NULL) {
		expand(textfile, program, file, sizeof(file));
		prom_cli_line(stderr,
				"promshim: metrics of %s will be written to %s at exit",
				program, file);
	} else {
		prom_cli_line(stderr,
				"promshim: %s runs and is counted, nothing is served (mode count); use "
				"--textfile",
				program);
	}
	return true;
}

/*
 * Tells whether the program runs as who we are, so that the loader heeds LD_PRELOAD.
 *
 * Source  cap_bprm_creds_from_file in security/commoncap.c of Linux: secure when a set-id
 *         bit changes something, or file capabilities give something to who is not root
 */
static bool keeps_identity(const char *path) {
	struct stat status;

	return stat(path, &status) == 0 &&
			((status.st_mode & S_ISUID) == 0 || status.st_uid == getuid()) &&
			((status.st_mode & S_ISGID) == 0 ||
					(status.st_mode & S_IXGRP) == 0 ||
					status.st_gid == getgid()) &&
			(getuid() == 0 ||
					getxattr(path, "security.capability", NULL, 0) <=
							0);
}

/* Says so when the hooks cannot get into the program: any address would be a false promise. */
static bool announce_refusal(const char *program, const char *path) {
	struct prom_findings *findings = calloc(1, sizeof(*findings));
	bool is_refused = false;

	if (findings == NULL) {
		return false;
	}
	prom_check_executable(path, program, keeps_identity(path), findings);
	for (size_t i = 0; i < findings->count && !is_refused; i++) {
		if (findings->list[i].verdict == PROM_VERDICT_NO) {
			is_refused = true;
			prom_cli_line(stderr, "promshim: %s runs and is not counted. %s",
					program, findings->list[i].text);
		}
	}
	free(findings);
	return is_refused;
}

void prom_announce(const char *command, const char *path) {
	const char *program = prom_cli_setting("PROMSHIM_PROGRAM");
	const char *address = prom_cli_setting("PROMSHIM_ADDRESS");
	const char *socket_path = prom_cli_setting("PROMSHIM_SOCKET");
	const char *port_text = prom_cli_setting("PROMSHIM_PORT");
	int port = port_text != NULL ? prom_announce_port(port_text) : DEFAULT_PORT;

	if (program == NULL) {
		program = prom_cli_basename(command);
	}
	if (announce_refusal(program, path) ||
			announce_mode(program, prom_cli_setting("PROMSHIM_MODE"))) {
		return;
	}
	if (port == -1) {
		if (socket_path != NULL) {
			prom_cli_line(stderr, "promshim: metrics of %s at unix:%s",
					program, socket_path);
		} else {
			prom_cli_line(stderr,
					"promshim: %s runs and is counted, nothing is served (port none); use "
					"--socket",
					program);
		}
		return;
	}
	announce_port(program, address != NULL ? address : "127.0.0.1",
			port == -EINVAL ? DEFAULT_PORT : port);
}
