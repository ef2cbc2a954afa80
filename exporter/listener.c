/* SPDX-License-Identifier: MIT */
#include "exporter/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "exporter/base/address.h"
#include "exporter/base/kernel.h"

enum { BACKLOG = 128, SOCKET_FLAGS = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK };

union any_address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

static const struct prom_listener closed = { .fd = -1 };

/* Fills `out` from a number; false when `address` is none. */
static bool address_parse(const char *address, int port, union any_address *out) {
	memset(out, 0, sizeof(*out));
	if (strcmp(address, "localhost") == 0) {
		address = "127.0.0.1";
	}
	if (base_address_ipv4(address, (uint8_t *)&out->ipv4.sin_addr)) {
		out->ipv4.sin_family = AF_INET;
		out->ipv4.sin_port = htons((uint16_t)port);
		return true;
	}
	if (base_address_ipv6(address, out->ipv6.sin6_addr.s6_addr)) {
		out->ipv6.sin6_family = AF_INET6;
		out->ipv6.sin6_port = htons((uint16_t)port);
		return true;
	}
	return false;
}

static bool address_is_loopback(const union any_address *address) {
	if (address->any.sa_family == AF_INET) {
		return ntohl(address->ipv4.sin_addr.s_addr) >> 24 == 127;
	}
	return IN6_IS_ADDR_LOOPBACK(&address->ipv6.sin6_addr);
}

static int option_set(int fd, int level, int option, int value) {
	return kernel_setsockopt(fd, level, option, &value, sizeof(value));
}

static int tcp_listen(struct prom_listener *listener, const union any_address *address) {
	bool is_ipv4 = address->any.sa_family == AF_INET;
	socklen_t size = is_ipv4 ? sizeof(address->ipv4) : sizeof(address->ipv6);
	union any_address bound = { 0 };
	socklen_t bound_size = sizeof(bound);
	int fd = kernel_socket(address->any.sa_family, SOCKET_FLAGS, 0);
	if (fd < 0) {
		return fd;
	}
	/* TCP_NODELAY is inherited by what is accepted */
	int r = option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0) {
		r = option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	}
	if (r == 0 && !is_ipv4) {
		r = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY,
				!IN6_IS_ADDR_UNSPECIFIED(&address->ipv6.sin6_addr));
	}
	if (r == 0) {
		r = kernel_bind(fd, address, size);
	}
	if (r == 0) {
		r = kernel_listen(fd, BACKLOG);
	}
	if (r == 0) {
		r = kernel_getsockname(fd, &bound, &bound_size);
	}
	if (r < 0) {
		(void)kernel_close(fd);
		return r;
	}
	listener->fd = fd;
	listener->port = ntohs(is_ipv4 ? bound.ipv4.sin_port : bound.ipv6.sin6_port);
	listener->is_loopback = address_is_loopback(address);
	return 0;
}

int prom_listener_open_tcp(struct prom_listener *listener, const char *address,
		int port) {
	union any_address number;
	*listener = closed;
	bool is_any = strcmp(address, "*") == 0;
	if (port < 0 || port > UINT16_MAX ||
			!address_parse(is_any ? "::" : address, port, &number)) {
		return -EINVAL;
	}
	int r = tcp_listen(listener, &number);
	if (is_any &&
			(r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL ||
					r == -EPROTONOSUPPORT)) {
		address_parse("0.0.0.0", port, &number);
		r = tcp_listen(listener, &number);
	}
	return r;
}

/* As lstat(2). */
static int path_status(const char *path, struct statx *out) {
	return kernel_statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW,
			STATX_TYPE | STATX_MODE | STATX_INO, out);
}

static uint64_t device_of(const struct statx *status) {
	return (uint64_t)status->stx_dev_major << 32 | status->stx_dev_minor;
}

/* Removes a socket that nobody serves; 0, or why it stays. */
static int stale_remove(const struct sockaddr_un *address) {
	struct statx status;
	int r = path_status(address->sun_path, &status);
	if (r < 0) {
		return r;
	}
	if (!S_ISSOCK(status.stx_mode)) {
		return -ENOTSOCK;
	}
	int fd = kernel_socket(AF_UNIX, SOCKET_FLAGS, 0);
	if (fd < 0) {
		return fd;
	}
	r = kernel_connect(fd, address, sizeof(*address));
	(void)kernel_close(fd);
	if (r != -ECONNREFUSED) {
		return r == 0 || r == -EAGAIN ? -EADDRINUSE : r;
	}
	return kernel_unlinkat(AT_FDCWD, address->sun_path, 0);
}

/*
 * The mode is set on the unbound socket, from which bind(2) takes it, so that no umask
 * widens it and no path is followed; fchmodat is for kernels that do otherwise. Until
 * listen(2) nobody can connect anyway.
 */
static int unix_listen(int fd, const struct sockaddr_un *address, struct statx *status) {
	int r = kernel_fchmod(fd, 0600);
	if (r < 0) {
		return r;
	}
	r = kernel_bind(fd, address, sizeof(*address));
	if (r == -EADDRINUSE) {
		r = stale_remove(address);
		if (r == 0) {
			r = kernel_bind(fd, address, sizeof(*address));
		}
	}
	if (r < 0) {
		return r;
	}
	r = path_status(address->sun_path, status);
	if (r == 0 && (status->stx_mode & 0777) != 0600) {
		r = kernel_fchmodat(AT_FDCWD, address->sun_path, 0600);
	}
	if (r == 0) {
		r = kernel_listen(fd, BACKLOG);
	}
	if (r < 0) {
		(void)kernel_unlinkat(AT_FDCWD, address->sun_path, 0);
	}
	return r;
}

int prom_listener_open_unix(struct prom_listener *listener, const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct statx status;
	size_t size = strlen(path);
	*listener = closed;
	if (size == 0 || size >= sizeof(address.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, size);
	int fd = kernel_socket(AF_UNIX, SOCKET_FLAGS, 0);
	if (fd < 0) {
		return fd;
	}
	int r = unix_listen(fd, &address, &status);
	if (r < 0) {
		(void)kernel_close(fd);
		return r;
	}
	listener->fd = fd;
	listener->path = path;
	listener->device = device_of(&status);
	listener->inode = status.stx_ino;
	return 0;
}

void prom_listener_close(struct prom_listener *listener) {
	struct statx status;
	if (listener->fd < 0) {
		return;
	}
	if (listener->path != NULL && path_status(listener->path, &status) == 0 &&
			device_of(&status) == listener->device &&
			status.stx_ino == listener->inode) {
		(void)kernel_unlinkat(AT_FDCWD, listener->path, 0);
	}
	(void)kernel_close(listener->fd);
	*listener = closed;
}

int prom_listener_accept(const struct prom_listener *listener) {
	return kernel_accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
