/* SPDX-License-Identifier: MIT */
#ifndef EXPORTER_CLI_CHECK_H
#define EXPORTER_CLI_CHECK_H

/*
 * What `promshim check` found out: a list of findings, each a verdict and its reason.
 *
 * The worst verdict is the answer, and only its findings are printed: who is told "no"
 * need not read what would be half wrong besides. Details go to a text of their own, which is
 * printed below the answer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct prom_url; /* only by pointer here */

enum prom_verdict { PROM_VERDICT_YES, PROM_VERDICT_PARTLY, PROM_VERDICT_NO };

enum { PROM_FINDINGS_MAX = 16, PROM_FINDING_BYTES = 1024 };

struct prom_finding {
	enum prom_verdict verdict;
	char text[PROM_FINDING_BYTES]; /* "Reason. What to do." as found: not cleaned */
};

struct prom_findings {
	char context[256]; /* stands before every text added from now on: "A script of /bin/sh. " */
	size_t count;
	struct prom_finding list[PROM_FINDINGS_MAX]; /* further ones are forgotten */
};

/* Adds a finding; cut when too long. */
void prom_finding_add(struct prom_findings *findings, enum prom_verdict verdict,
		const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Returns the worst verdict; PROM_VERDICT_YES when there is no finding. */
enum prom_verdict prom_findings_verdict(const struct prom_findings *findings);

/* Can what execvp(3) would run as `name` be instrumented? Adds at least one finding. */
void prom_check_command(const char *name, struct prom_findings *out);

/*
 * As prom_check_command for the file at `path`, of which `name` is printed.
 *
 * is_secure_known  the caller knows whether the loader ignores LD_PRELOAD for this file: set-id
 *                  bits are not looked at, and nothing is added when all else is well
 */
void prom_check_executable(const char *path, const char *name, bool is_secure_known,
		struct prom_findings *out);

/* Is process `pid` instrumented, and does it serve? Adds at least one finding. */
void prom_check_process(pid_t pid, struct prom_findings *out, FILE *details);

/* Is the page at `url` one of ours? Adds at least one finding. */
void prom_check_page(const struct prom_url *url, struct prom_findings *out,
		FILE *details);

#endif
