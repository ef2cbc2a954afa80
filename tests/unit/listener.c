/* SPDX-License-Identifier: MIT */
#include "exporter/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/subject.h"

static void test_addresses(const struct subject *subject) {
	struct subject other;
	int port = (int)prom_server_port(subject->server);
	is(subject_listen(&other, "127.0.0.1", port, "", patient_ns), -EADDRINUSE,
			"port taken");
	subject_close(&other);
	is(subject_listen(&other, "localhost.", 0, "", patient_ns), -EINVAL,
			"names are not looked up");
	subject_close(&other);
	is(subject_listen(&other, "192.0.2.1", 0, "", patient_ns), -EADDRNOTAVAIL,
			"somebody else's address");
	subject_close(&other);
	is(subject_listen(&other, "127.0.0.1", -1, "", patient_ns), -EINVAL,
			"nothing to open");
	subject_close(&other);
	subject_start(&other, "*", 0, "", patient_ns);
	ok(!prom_server_is_loopback(other.server), "* is not loopback");
	int fd = client(&other);
	say(fd, "GET / HTTP/1.1\r\nHost: box.example\r\n\r\n");
	is(hear(fd, true), 200, "* serves IPv4, any Host");
	close(fd);
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)prom_server_port(other.server)),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	fd = client_socket(AF_INET6);
	int r = fd < 0 ? -1
		       : connect(fd, (const struct sockaddr *)&address, sizeof(address));
	say(fd, GET("/"));
	ok(r < 0 ? errno == EADDRNOTAVAIL || fd < 0 : hear(fd, true) == 200,
			"* serves IPv6 where there is any");
	close(fd);
	subject_stop(&other);
}

static void test_unix(const char *folder) {
	char path[100];
	struct subject first, second;
	struct stat status;
	snprintf(path, sizeof(path), "%s/s", folder);
	int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path, path, strlen(path));
	is(bind(stale, (const struct sockaddr *)&address, sizeof(address)), 0,
			"a stale socket");
	close(stale);
	mode_t mask = umask(0);
	subject_start(&first, "127.0.0.1", 0, path, patient_ns);
	ok(prom_server_is_loopback(first.server), "a UNIX socket beside a loopback port");
	is(umask(mask), 0, "umask is left alone");
	is(stat(path, &status), 0, "the socket is there");
	is(status.st_mode & 07777, 0600, "... for its owner only");
	int fd = unix_client(path);
	say(fd, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
	is(hear(fd, true), 200, "any Host on a UNIX socket");
	close(fd);
	is(subject_listen(&second, "127.0.0.1", -1, path, patient_ns), -EADDRINUSE,
			"a socket that answers is not replaced");
	subject_close(&second);
	is(subject_listen(&second, "127.0.0.1", 0, path, patient_ns), 0,
			"beside a port that is no error");
	is(prom_server_socket_error(second.server), -EADDRINUSE, "... but told");
	subject_close(&second);
	is(stat(path, &status), 0, "... and the other's socket stays");
	subject_stop(&first);
	is(stat(path, &status), -1, "the socket goes with its server");
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	is(subject_listen(&second, "127.0.0.1", -1, path, patient_ns), -ENOTSOCK,
			"a file is not replaced");
	subject_close(&second);
	is(stat(path, &status), 0, "... nor removed");
	unlink(path);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	char long_path[300];
	snprintf(long_path, sizeof(long_path), "/%s%s", path, path);
	is(subject_listen(&second, "127.0.0.1", -1, long_path, patient_ns), -ENAMETOOLONG,
			"a path that is too long");
	subject_close(&second);
}

int main(void) {
	char folder[] = "/tmp/promshim-listener-XXXXXX";
	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	struct subject subject;
	subject_start(&subject, "127.0.0.1", 0, "", patient_ns);
	test_addresses(&subject);
	subject_stop(&subject);
	test_unix(folder);
	rmdir(folder);
	return tap_done();
}
