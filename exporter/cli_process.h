/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_CLI_PROCESS_H
#define EXPORTER_CLI_PROCESS_H

/*
 * What /proc tells about the start of another process and the place it runs in.
 *
 * Environment and auxiliary vector are as execve(2) left them, unless the process wrote over
 * them; paths are those that the process sees, below its own root.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct prom_process {
	pid_t pid;
	int namespace_pid; /* its pid for itself, in the innermost namespace */
	bool is_secure; /* AT_SECURE */
	bool is_filtered; /* a seccomp filter is in force; of its first thread */
	char *environment; /* "NAME=value" strings, each NUL-terminated; NULL = cannot be read */
	size_t environment_bytes;
};

/*
 * Reads what the struct holds.
 *
 * Returns  0; -ESRCH no such process; -ECHILD it is a zombie. Then nothing is held
 */
int prom_process_init(struct prom_process *process, pid_t pid);
void prom_process_finish(struct prom_process *process);

/* Copies the value of `name`, cut; Returns false when it is unset or empty, or not known. */
bool prom_process_environment(const struct prom_process *process, const char *name,
		char *out, size_t size_bytes);

/* Copies the first entry of LD_PRELOAD that names libpromshim.so; Returns false for none. */
bool prom_process_preload_entry(const char *preload, char *out, size_t size_bytes);

/* Writes where we find what the process calls `path`; Returns false when too long. */
bool prom_process_path(const struct prom_process *process, const char *path, char *out,
		size_t size_bytes);

/* Tells whether `name` lies in a folder where its loader looks (ld.so.conf is not read). */
bool prom_process_has_library(const struct prom_process *process, const char *name);

/* Tells whether it has another network than we or process 1 of this machine. */
bool prom_process_is_network_elsewhere(const struct prom_process *process);

/* Tells whether a container engine left its mark in its root. */
bool prom_process_is_in_container(const struct prom_process *process);

/* Tells whether somebody in its network listens on TCP `port`, and the user of the socket. */
bool prom_process_port_owner(const struct prom_process *process, unsigned port,
		unsigned *uid);

#endif
