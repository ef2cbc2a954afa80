/* SPDX-License-Identifier: MIT */
#include "exporter/cli_process.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/cli.h"

enum {
	FILE_MAX = 8 << 20
}; /* an environment is at most a quarter of the stack's limit */

static void proc_path(char *out, size_t size_bytes, pid_t pid, const char *name) {
	snprintf(out, size_bytes, "/proc/%d/%s", pid, name);
}

/* Returns the file's bytes and a NUL behind them, to be freed; NULL on any error. */
static char *read_file(pid_t pid, const char *name, size_t *size_bytes) {
	char path[64], *bytes = NULL;
	size_t used = 0, room = 0;
	int fd;

	proc_path(path, sizeof(path), pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return NULL;
	}
	for (;;) {
		ssize_t n;
		if (room - used < 2) {
			char *larger = room < FILE_MAX ? realloc(bytes, room * 2 + 4096)
						       : NULL;
			if (larger == NULL) {
				goto fail;
			}
			bytes = larger;
			room = room * 2 + 4096;
		}
		n = read(fd, bytes + used, room - used - 1);
		if (n < 0) {
			goto fail;
		}
		if (n == 0) {
			break;
		}
		used += (size_t)n;
	}
	close(fd);
	bytes[used] = '\0';
	*size_bytes = used;
	return bytes;
fail:
	close(fd);
	free(bytes);
	return NULL;
}

/*
 * Returns a thread of `pid` other than the first, 0 if there is none. After main's
 * pthread_exit the first is a zombie and most of its files are empty; /proc takes the
 * number of any thread, and shows the process by it.
 */
static pid_t other_thread(pid_t pid) {
	char path[64];
	pid_t found = 0;

	proc_path(path, sizeof(path), pid, "task");
	DIR *folder = opendir(path);
	while (folder != NULL && found == 0) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): the command has one thread */
		const struct dirent *entry = readdir(folder);
		if (entry == NULL) {
			break;
		}
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		found = tid != pid ? tid : 0;
	}
	if (folder != NULL) {
		closedir(folder);
	}
	return found;
}

/* Reads State and NSpid, the pids from our namespace to the innermost. */
static int read_status(struct prom_process *process) {
	size_t bytes;
	char *status = read_file(process->pid, "status", &bytes), *line;
	bool is_zombie;

	if (status == NULL) {
		return -ESRCH;
	}
	is_zombie = strstr(status, "\nState:\tZ") != NULL ||
			strstr(status, "\nState:\tX") != NULL;
	process->is_filtered = strstr(status, "\nSeccomp:\t2") != NULL;
	line = strstr(status, "\nNSpid:");
	process->namespace_pid = process->pid;
	if (line != NULL) {
		char *end = line + 1 + strcspn(line + 1, "\n");
		*end = '\0';
		while (end > line && end[-1] != '\t' && end[-1] != ':') {
			end--;
		}
		process->namespace_pid = (int)strtol(end, NULL, 10);
	}
	free(status);
	pid_t thread = is_zombie ? other_thread(process->pid) : 0;
	if (thread != 0) {
		process->pid = thread;
		return 0;
	}
	return is_zombie ? -ECHILD : 0;
}

/* Source  proc(5), auxv: pairs of unsigned long, until AT_NULL */
static bool read_is_secure(pid_t pid) {
	size_t bytes;
	char *auxv = read_file(pid, "auxv", &bytes);
	unsigned long pair[2];
	bool is_secure = false;

	for (size_t at = 0; auxv != NULL && at + sizeof(pair) <= bytes;
			at += sizeof(pair)) {
		memcpy(pair, auxv + at, sizeof(pair));
		if (pair[0] == AT_NULL) {
			break;
		}
		if (pair[0] == AT_SECURE) {
			is_secure = pair[1] != 0;
		}
	}
	free(auxv);
	return is_secure;
}

int prom_process_init(struct prom_process *process, pid_t pid) {
	int r;

	memset(process, 0, sizeof(*process));
	process->pid = pid;
	if (pid <= 0) {
		return -ESRCH;
	}
	r = read_status(process);
	if (r < 0) {
		return r;
	}
	process->is_secure = read_is_secure(pid);
	process->environment = read_file(pid, "environ", &process->environment_bytes);
	return 0;
}

void prom_process_finish(struct prom_process *process) {
	free(process->environment);
	process->environment = NULL;
}

bool prom_process_environment(const struct prom_process *process, const char *name,
		char *out, size_t size_bytes) {
	const char *at = process->environment, *end;
	size_t name_bytes = strlen(name);

	if (at == NULL) {
		return false;
	}
	end = at + process->environment_bytes; /* a NUL stands there */
	while (at < end) {
		if (strncmp(at, name, name_bytes) == 0 && at[name_bytes] == '=' &&
				at[name_bytes + 1] != '\0') {
			snprintf(out, size_bytes, "%s", at + name_bytes + 1);
			return true;
		}
		at += strlen(at) + 1;
	}
	return false;
}

bool prom_process_preload_entry(const char *preload, char *out, size_t size_bytes) {
	while (*preload != '\0') {
		size_t bytes = strcspn(preload, " :");
		snprintf(out, size_bytes, "%.*s", (int)bytes, preload);
		if (strncmp(prom_cli_basename(out), "libpromshim.so", 14) == 0) {
			return true;
		}
		preload += bytes;
		preload += strspn(preload, " :");
	}
	return false;
}

bool prom_process_path(const struct prom_process *process, const char *path, char *out,
		size_t size_bytes) {
	/* a relative path was relative to where it started, which nobody knows; try where it is */
	int n = snprintf(out, size_bytes, "/proc/%d/%s%s", process->pid,
			path[0] == '/' ? "root" : "cwd/", path);
	return n > 0 && (size_t)n < size_bytes;
}

bool prom_process_has_library(const struct prom_process *process, const char *name) {
	static const char folders[] =
			PROMSHIM_LIBDIR ":/lib:/usr/lib:/lib64:/usr/lib64:"
					"/usr/local/lib:/lib/x86_64-linux-gnu:"
					"/usr/lib/x86_64-linux-gnu";
	char list[4096], file[PATH_MAX], path[PATH_MAX + 64], *next = list, *folder;
	char own[2048] = "";

	(void)prom_process_environment(process, "LD_LIBRARY_PATH", own, sizeof(own));
	snprintf(list, sizeof(list), "%s:%s", own, folders);
	while ((folder = strsep(&next, ":;")) != NULL) {
		if (folder[0] == '\0') {
			continue;
		}
		snprintf(file, sizeof(file), "%s/%s", folder, name);
		/* NOLINTNEXTLINE(readability-suspicious-call-argument): named for what they are */
		if (prom_process_path(process, file, path, sizeof(path)) &&
				access(path, F_OK) == 0) {
			return true;
		}
	}
	return false;
}

/* Tells whether the network namespaces of both are known and differ. */
static bool networks_differ(pid_t pid, const char *other) {
	struct stat a, b;
	char path[64];

	proc_path(path, sizeof(path), pid, "ns/net");
	return stat(path, &a) == 0 && stat(other, &b) == 0 &&
			(a.st_ino != b.st_ino || a.st_dev != b.st_dev);
}

bool prom_process_is_network_elsewhere(const struct prom_process *process) {
	return networks_differ(process->pid, "/proc/self/ns/net") ||
			networks_differ(process->pid, "/proc/1/ns/net");
}

bool prom_process_is_in_container(const struct prom_process *process) {
	static const char *const marks[] = { "/.dockerenv", "/run/.containerenv" };
	char path[64];

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (prom_process_path(process, marks[i], path, sizeof(path)) &&
				access(path, F_OK) == 0) {
			return true;
		}
	}
	return false;
}

/* Source  proc_net_tcp in Documentation/networking of Linux; state 0A is LISTEN */
static bool is_listener(char *line, unsigned port, unsigned *uid) {
	enum { LOCAL = 1, STATE = 3, UID = 7, FIELDS };
	const char *fields[FIELDS], *colon;
	size_t count = 0;
	char *field;

	while (count < FIELDS && (field = strsep(&line, " ")) != NULL) {
		if (field[0] != '\0') {
			fields[count++] = field;
		}
	}
	colon = count == FIELDS ? strchr(fields[LOCAL], ':') : NULL;
	if (colon == NULL || strcmp(fields[STATE], "0A") != 0 ||
			strtoul(colon + 1, NULL, 16) != port) {
		return false;
	}
	*uid = (unsigned)strtoul(fields[UID], NULL, 10);
	return true;
}

bool prom_process_port_owner(const struct prom_process *process, unsigned port,
		unsigned *uid) {
	static const char *const tables[] = { "net/tcp", "net/tcp6" };
	bool found = false;

	for (size_t i = 0; i < 2 && !found; i++) {
		size_t bytes;
		char *table = read_file(process->pid, tables[i], &bytes), *next = table,
		     *line;
		while (!found && (line = strsep(&next, "\n")) != NULL) {
			found = is_listener(line, port, uid);
		}
		free(table);
	}
	return found;
}
