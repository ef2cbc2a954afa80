/* SPDX-License-Identifier: MIT */
/*
 * What `promshim check URL` makes of what it is given and of what answers. The first line is a
 * URL; the rest is the reply of whoever is there, byte by byte, over a socket.
 */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "exporter/cli_check.h"
#include "exporter/cli_client.h"
#include "tests/fuzz/fuzz.h"

static struct { /* written before a request is sent, read by the thread that answers it */
	const char *bytes;
	size_t size;
} reply;

static int listener = -1;
static char socket_path[64];

static void *serve(void *unused) {
	(void)unused;
	for (;;) {
		char request[4096];
		int fd = accept(listener, NULL, NULL);
		REQUIRE(fd >= 0);
		ssize_t n = recv(fd, request, sizeof(request), 0);
		for (size_t sent = 0; n > 0 && sent < reply.size;) {
			n = send(fd, reply.bytes + sent, reply.size - sent, MSG_NOSIGNAL);
			sent += n > 0 ? (size_t)n : 0;
		}
		close(fd);
	}
	return NULL;
}

static void remove_socket(void) {
	unlink(socket_path);
}

static void server_start(void) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t thread;
	snprintf(socket_path, sizeof(socket_path), "/tmp/promshim-fuzz-%d", getpid());
	strcpy(address.sun_path, socket_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)unlink(socket_path);
	REQUIRE(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	REQUIRE(listen(listener, 16) == 0);
	(void)atexit(remove_socket);
	REQUIRE(pthread_create(&thread, NULL, serve, NULL) == 0);
	REQUIRE(pthread_detach(thread) == 0);
}

/* Each part has an end, and what goes into a request line cannot begin another. */
static void url_check(const char *text) {
	struct prom_url url;
	memset(&url, 0xa5, sizeof(url));
	const char *refusal = prom_url_parse(text, &url);
	if (refusal != NULL) {
		REQUIRE(refusal[0] != '\0');
		return;
	}
	REQUIRE(memchr(url.socket, '\0', sizeof(url.socket)) != NULL);
	REQUIRE(memchr(url.host, '\0', sizeof(url.host)) != NULL);
	REQUIRE(memchr(url.path, '\0', sizeof(url.path)) != NULL);
	REQUIRE((url.socket[0] != '\0') != (url.host[0] != '\0'));
	REQUIRE(url.path[0] == '/');
	for (const char *c = url.path; *c != '\0'; c++) {
		REQUIRE((unsigned char)*c > ' ' && *c != 0x7f);
	}
	for (const char *c = url.host; *c != '\0'; c++) {
		REQUIRE((unsigned char)*c > ' ' && *c != 0x7f && *c != '/');
	}
	long port = strtol(url.port, NULL, 10);
	REQUIRE(port > 0 && port < 65536);
}

static void page_check(void) {
	static struct prom_findings findings;
	struct prom_url url;
	char text[80], *details = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&details, &size);

	REQUIRE(file != NULL);
	snprintf(text, sizeof(text), "unix:%s", socket_path);
	REQUIRE(prom_url_parse(text, &url) == NULL);
	memset(&findings, 0, sizeof(findings));
	prom_check_page(&url, &findings, file);
	fclose(file);
	REQUIRE(findings.count > 0 && findings.count <= PROM_FINDINGS_MAX);
	for (size_t i = 0; i < findings.count; i++) {
		REQUIRE(memchr(findings.list[i].text, '\0', PROM_FINDING_BYTES) != NULL);
	}
	for (size_t i = 0; i < size; i++) { /* goes to a terminal */
		unsigned char c = (unsigned char)details[i];
		REQUIRE(c == '\n' || (c >= ' ' && c != 0x7f));
	}
	free(details);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const uint8_t *feed = size == 0 ? NULL : memchr(data, '\n', size);
	size_t line = feed == NULL ? size : (size_t)(feed - data);
	char *text = calloc(1, line + 1);
	if (text == NULL) {
		abort();
	}
	if (line > 0) {
		memcpy(text, data, line);
	}
	url_check(text);
	free(text);
	if (feed != NULL) {
		if (listener < 0) {
			server_start();
		}
		reply.bytes = (const char *)feed + 1;
		reply.size = size - line - 1;
		page_check();
	}
	return 0;
}
