/* SPDX-License-Identifier: MIT */
#include "exporter/cli_check.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/cli.h"
#include "exporter/cli_client.h"

static const char help[] =
		"usage: promshim check CMD|PID|URL\n"
		"\n"
		"  CMD   a program, by path or by name: can it be instrumented?\n"
		"  PID   a process: is it instrumented, does it serve? (a CMD of digits: ./123)\n"
		"  URL   http://HOST:PORT[/PATH] or unix:/PATH: is that a page of promshim?\n"
		"\n"
		"exit code: 0 yes, 1 no, 3 partly, 2 usage\n";

static const struct {
	const char *word;
	int exit_code;
} answers[] = {
	[PROM_VERDICT_YES] = { "yes", PROM_EXIT_YES },
	[PROM_VERDICT_PARTLY] = { "partly", PROM_EXIT_PARTLY },
	[PROM_VERDICT_NO] = { "no", PROM_EXIT_NO },
};

void prom_finding_add(struct prom_findings *findings, enum prom_verdict verdict,
		const char *format, ...) {
	struct prom_finding *finding;
	size_t context_bytes;
	va_list arguments;

	if (findings->count == PROM_FINDINGS_MAX) {
		return;
	}
	finding = &findings->list[findings->count++];
	finding->verdict = verdict;
	context_bytes = strlen(findings->context);
	memcpy(finding->text, findings->context, context_bytes);
	va_start(arguments, format);
	vsnprintf(finding->text + context_bytes, sizeof(finding->text) - context_bytes,
			format, arguments);
	va_end(arguments);
}

enum prom_verdict prom_findings_verdict(const struct prom_findings *findings) {
	enum prom_verdict worst = PROM_VERDICT_YES;

	for (size_t i = 0; i < findings->count; i++) {
		if (findings->list[i].verdict > worst) {
			worst = findings->list[i].verdict;
		}
	}
	return worst;
}

static int print(const char *subject, const struct prom_findings *findings) {
	enum prom_verdict verdict = prom_findings_verdict(findings);

	for (size_t i = 0; i < findings->count; i++) {
		if (findings->list[i].verdict == verdict) {
			prom_cli_line(stdout, "promshim check %s: %s. %s", subject,
					answers[verdict].word, findings->list[i].text);
		}
	}
	return answers[verdict].exit_code;
}

static bool is_pid(const char *subject, pid_t *pid) {
	size_t digits = strspn(subject, "0123456789");
	long value;

	if (digits == 0 || digits > 10 || subject[digits] != '\0') {
		return false;
	}
	value = strtol(subject, NULL, 10);
	*pid = value > INT_MAX ? 0 : (pid_t)value;
	return true;
}

static bool is_url(const char *subject) {
	return strstr(subject, "://") != NULL || strncmp(subject, "unix:", 5) == 0;
}

/* Returns the exit code: usage when the subject contradicts itself. */
static int check(const char *subject, struct prom_findings *findings, FILE *details) {
	struct prom_url url;
	pid_t pid;

	if (is_pid(subject, &pid)) {
		prom_check_process(pid, findings, details);
	} else if (is_url(subject)) {
		const char *refusal = prom_url_parse(subject, &url);
		if (refusal != NULL) {
			prom_cli_line(stderr, "promshim check %s: %s", subject, refusal);
			return PROM_EXIT_USAGE;
		}
		prom_check_page(&url, findings, details);
	} else {
		prom_check_command(subject, findings);
	}
	return print(subject, findings);
}

int prom_cli_check(int argc, char **argv) {
	struct prom_findings *findings;
	char *details = NULL;
	size_t details_bytes = 0;
	FILE *file;
	int r;

	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(help, stdout);
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "--") == 0) {
		argc--;
		argv++;
	}
	if (argc != 2 || argv[1][0] == '\0' || argv[1][0] == '-') {
		fputs(help, stderr);
		return PROM_EXIT_USAGE;
	}
	findings = calloc(1, sizeof(*findings));
	file = open_memstream(&details, &details_bytes);
	if (findings == NULL || file == NULL) {
		free(findings);
		prom_cli_line(stderr, "promshim check: no memory.");
		return PROM_EXIT_FAILED;
	}
	r = check(argv[1], findings, file);
	fclose(file);
	fwrite(details, 1, details_bytes, stdout);
	free(details);
	free(findings);
	return r;
}
