/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/cli.h"
#include "exporter/cli_check.h"
#include "exporter/cli_client.h"

enum { PROGRAMS_MAX = 33 }; /* the 32 that a group has, and "other" */

struct page {
	bool is_ours;
	char version[32];
	size_t program_count;
	char programs[PROGRAMS_MAX][64];
};

/* Returns whether the line is a sample of family `name`. */
static bool is_sample(const char *line, const char *name) {
	size_t bytes = strlen(name);
	return strncmp(line, name, bytes) == 0 &&
			(line[bytes] == '{' || line[bytes] == ' ');
}

/* Copies the value of a label as it is spelled on the line; Returns false without one. */
static bool find_label(const char *line, const char *name, char *out, size_t size_bytes) {
	size_t name_bytes = strlen(name), bytes = 0;
	const char *at = strchr(line, '{');

	while (at != NULL && *at != '\0') {
		const char *value;
		at++; /* '{' or ',' */
		value = strstr(at, "=\"");
		if (value == NULL) {
			return false;
		}
		value += 2;
		for (bytes = 0; value[bytes] != '"' && value[bytes] != '\0'; bytes++) {
			bytes += value[bytes] == '\\' && value[bytes + 1] != '\0';
		}
		if ((size_t)(value - 2 - at) == name_bytes &&
				strncmp(at, name, name_bytes) == 0) {
			snprintf(out, size_bytes, "%.*s", (int)bytes, value);
			return true;
		}
		at = value[bytes] == '"' && value[bytes + 1] == ',' ? value + bytes + 1
								    : NULL;
	}
	return false;
}

static void add_program(struct page *page, const char *line) {
	char program[64];

	if (!find_label(line, "program", program, sizeof(program))) {
		return;
	}
	for (size_t i = 0; i < page->program_count; i++) {
		if (strcmp(page->programs[i], program) == 0) {
			return;
		}
	}
	if (page->program_count < PROGRAMS_MAX) {
		memcpy(page->programs[page->program_count++], program, sizeof(program));
	}
}

/* Takes one sample: who is on the page, and which of its hooks are not reached. */
static void read_sample(struct page *page, const char *line, struct prom_findings *out,
		FILE *details) {
	const char *value = strrchr(line, ' ');
	char hook[64] = "?", program[64] = "?";

	if (is_sample(line, "promshim_build_info")) {
		page->is_ours = true;
		(void)find_label(line, "version", page->version, sizeof(page->version));
	}
	if (strncmp(line, "promshim_", 9) == 0) {
		add_program(page, line);
	}
	if (!is_sample(line, "promshim_hooks_active")) {
		return;
	}
	prom_cli_line(details, "  %s", line);
	if (value != NULL && strtod(value, NULL) < 1) {
		(void)find_label(line, "hook", hook, sizeof(hook));
		(void)find_label(line, "program", program, sizeof(program));
		prom_finding_add(out, PROM_VERDICT_PARTLY,
				"Calls of %s in %s bypass the hooks and are not counted; the rest is. "
				"promshim check on its pid says more.",
				hook, program);
	}
}

static void check_body(char *body, struct prom_findings *out, FILE *details) {
	struct page *page = calloc(1, sizeof(*page));
	char *line, names[512] = "";
	size_t used = 0;

	if (page == NULL) {
		prom_finding_add(out, PROM_VERDICT_NO, "No memory.");
		return;
	}
	while ((line = strsep(&body, "\n")) != NULL) {
		read_sample(page, line, out, details);
	}
	for (size_t i = 0; i < page->program_count && used < sizeof(names); i++) {
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
				i > 0 ? ", " : "", page->programs[i]);
	}
	if (!page->is_ours) {
		out->count = 0;
		prom_finding_add(out, PROM_VERDICT_NO,
				"Somebody else answers there: no promshim_build_info on the page. Look at "
				"the address that promshim run or promshim check PID says.");
	} else {
		prom_finding_add(out, PROM_VERDICT_YES, "promshim %s, programs: %s",
				page->version, page->program_count > 0 ? names : "none");
		prom_cli_line(details, "  %-10s %s", "version", page->version);
		for (size_t i = 0; i < page->program_count; i++) {
			prom_cli_line(details, "  %-10s %s", i == 0 ? "programs" : "",
					page->programs[i]);
		}
	}
	free(page);
}

/* Adds why there is no reply, with what to look at. */
static void check_failure(int error, const struct prom_url *url,
		const struct prom_reply *reply, struct prom_findings *out) {
	if (reply->error != NULL) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"The name %s cannot be resolved (%s). Give a number.",
				url->host, reply->error);
	} else if (error == ECONNREFUSED && url->socket[0] == '\0') {
		prom_finding_add(out, PROM_VERDICT_NO,
				"Connection refused: nobody listens on port %s of %s. promshim check PID "
				"says whether the process serves, and where; in a container set "
				"PROMSHIM_ADDRESS=*",
				url->port, url->host);
	} else if (error == ECONNREFUSED || error == ENOENT) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"%s. promshim check PID says whether the process serves, and where.",
				error == ENOENT ? "There is no such socket"
						: "Connection refused: its process has ended");
	} else if (error == ETIMEDOUT) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"No answer within 5 s. Look at firewalls in between, and whether the "
				"process is stopped.");
	} else if (error == EMSGSIZE) {
		prom_finding_add(out, PROM_VERDICT_NO,
				"Somebody else answers there: the page has no end. Check the address.");
	} else {
		prom_finding_add(out, PROM_VERDICT_NO,
				"It cannot be asked (%s). Check the address.",
				prom_cli_error(error));
	}
}

static void check_reply(struct prom_reply *reply, struct prom_findings *out,
		FILE *details) {
	switch (reply->status) {
	case 200:
		check_body(reply->body, out, details);
		break;
	case 0:
		prom_finding_add(out, PROM_VERDICT_NO,
				"Somebody else answers there, and not with HTTP. Check the port.");
		break;
	case 404:
		prom_finding_add(out, PROM_VERDICT_NO,
				"404: there is no such page. Metrics are at /metrics.");
		break;
	case 421:
		prom_finding_add(out, PROM_VERDICT_NO,
				"421: bound to loopback it answers to local names only. Ask for it as "
				"localhost, or set PROMSHIM_ADDRESS.");
		break;
	default:
		prom_finding_add(out, PROM_VERDICT_NO,
				"It answers with status %d instead of a page. Check the address.",
				reply->status);
		break;
	}
}

void prom_check_page(const struct prom_url *url, struct prom_findings *out,
		FILE *details) {
	struct prom_reply reply;
	int r = prom_url_fetch(url, &reply);

	if (r < 0) {
		check_failure(-r, url, &reply, out);
	} else {
		check_reply(&reply, out, details);
	}
	prom_reply_finish(&reply);
}
