/* SPDX-License-Identifier: MIT */
/*
 * A client's bytes over a socket pair, through the whole of a connection: once at once and once
 * in pieces. Byte 0 is the size of the pieces, byte 1 how the client reads; the rest is sent.
 */
#include "exporter/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum {
	PAGE_BYTES = 48 << 10,
	BIG_BYTES = 40 << 10,
	STREAM_MAX = 24 << 10,
	REPLIES_ROOM = 32 << 20,
	IS_SLOW = 1, /* bits of byte 1: reads little at a time, over a small socket */
	IS_TCP = 2,
	IS_SILENT = 4, /* does not end its side: waits for the deadline */
};

static struct prom_service service;
static struct prom_connection connection;
static char replies[2][REPLIES_ROOM];

struct client {
	int fd;
	char *bytes;
	size_t used;
};

static int answer(void *user, const struct prom_request *request, struct prom_buf *body,
		const char **type) {
	*type = "text/plain; charset=utf-8";
	prom_buf_text(body, "path ");
	prom_buf_put(body, request->path.bytes, request->path.size);
	prom_buf_text(body, " query ");
	prom_buf_put(body, request->query.bytes, request->query.size);
	if (request->path.size == 4 && memcmp(request->path.bytes, "/big", 4) == 0) {
		memset(body->bytes + body->used_bytes, 'b', BIG_BYTES);
		body->used_bytes += BIG_BYTES;
	}
	return request->path.size == 1 ? 200 : 404;
}

static char *memory_map(size_t size) {
	char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(bytes != MAP_FAILED);
	return bytes;
}

static void service_start(void) {
	if (service.pages == NULL) {
		service.page_stride = PAGE_BYTES + 4096;
		service.pages = memory_map(service.page_stride * 2);
		service.scratch = memory_map(PROM_HTTP_HEAD_MAX);
		connection.input = memory_map(PROM_HTTP_HEAD_MAX);
	}
	service.config = (struct prom_server_config){ .address = "127.0.0.1",
		.timeout_ns = 1000,
		.page_bytes = PAGE_BYTES,
		.handler = answer };
	service.is_loopback = true;
	service.page_count = 2;
	service.now_ns = 1;
	prom_counts_init(&service.counts);
}

/* Reads what is there; at most a little when the client is slow. */
static size_t client_read(struct client *client, unsigned flags) {
	size_t room = (flags & IS_SLOW) != 0 ? 3000 : 1 << 20;
	REQUIRE(client->used + room <= REPLIES_ROOM);
	ssize_t n = recv(client->fd, client->bytes + client->used, room, MSG_DONTWAIT);
	client->used += n > 0 ? (size_t)n : 0;
	return n > 0 ? (size_t)n : 0;
}

/* Does what the server's loop would, until both sides have nothing to do. */
static void settle(struct client *client, unsigned flags) {
	for (unsigned turns = 0; turns < 200000; turns++) {
		bool is_ready = false;
		if (connection.state != PROM_CONNECTION_FREE) {
			struct pollfd polled = { .fd = connection.fd,
				.events = prom_connection_events(&connection) };
			is_ready = (poll(&polled, 1, 0) == 1 && polled.revents != 0) ||
					connection.has_more;
		}
		if (is_ready) {
			prom_connection_ready(&service, &connection);
		}
		if (client_read(client, flags) == 0 && !is_ready) {
			return;
		}
	}
	REQUIRE(client == NULL); /* it never comes to rest */
}

static void client_send(struct client *client, unsigned flags, const uint8_t *bytes,
		size_t size) {
	for (size_t sent = 0; sent < size;) {
		ssize_t n = send(client->fd, bytes + sent, size - sent,
				MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		settle(client, flags);
		if (n <= 0 && connection.state == PROM_CONNECTION_FREE) {
			return;
		}
	}
}

static void converse(struct client *client, unsigned flags, const uint8_t *bytes,
		size_t size, size_t piece) {
	int pair[2];
	const int small = 4096;
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	if ((flags & IS_SLOW) != 0) {
		(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	}
	client->fd = pair[1];
	prom_connection_open(&service, &connection, pair[0], (flags & IS_TCP) != 0);
	for (size_t at = 0; at < size; at += piece) {
		client_send(client, flags, bytes + at,
				size - at < piece ? size - at : piece);
	}
	/* what is half here must have its end in a line, or pieces could differ by when they come */
	client_send(client, flags, (const uint8_t *)"\r\n\r\n", 4);
	if ((flags & IS_SILENT) == 0) {
		(void)shutdown(client->fd, SHUT_WR);
		settle(client, flags);
	}
	for (int i = 0; i < 2 && connection.state != PROM_CONNECTION_FREE; i++) {
		service.now_ns = connection.deadline_ns;
		prom_connection_expire(&service, &connection);
		settle(client, flags);
	}
	REQUIRE(connection.state == PROM_CONNECTION_FREE && connection.fd == -1);
	REQUIRE(service.pages_taken == 0);
	close(pair[1]);
}

/* Where `word` is in what is left from `at`, as an index; `size` when it is not there. */
static size_t find(const char *bytes, size_t at, size_t size, const char *word) {
	size_t length = strlen(word);
	for (; at + length <= size; at++) {
		if (memcmp(&bytes[at], word, length) == 0) {
			return at;
		}
	}
	return size;
}

/* Each reply has a head of ours and as many bytes as that says; Returns how many there are. */
static uint64_t replies_count(const char *bytes, size_t size) {
	uint64_t count = 0;
	for (size_t at = 0; at < size; count++) {
		static const char name[] = "\r\nContent-Length: ";
		REQUIRE(find(bytes, at, at + 9, "HTTP/1.1 ") == at);
		size_t end = find(bytes, at, size, "\r\n\r\n");
		size_t length = find(bytes, at, size, name);
		REQUIRE(length < end && end < size);
		size_t body = strtoul(&bytes[length + sizeof(name) - 1], NULL, 10);
		at = end + 4;
		REQUIRE(body > 0);
		if (at < size && find(bytes, at, at + 9, "HTTP/1.1 ") != at) {
			REQUIRE(size - at >= body); /* else it was a HEAD */
			at += body;
		}
	}
	return count;
}

static uint64_t answers_sum(void) {
	uint64_t sum = 0;
	for (unsigned i = 0; i < 16; i++) {
		sum += service.counts.answers[i];
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct client clients[2] = { 0 };
	if (size < 2 || size > STREAM_MAX) {
		return 0;
	}
	for (size_t i = 0; i < 2; i++) {
		size_t piece = i == 0 ? STREAM_MAX : (size_t)data[0] + 1;
		service_start();
		clients[i].bytes = replies[i];
		converse(&clients[i], data[1], data + 2, size - 2, piece);
		REQUIRE(service.touched_bytes == service.page_high[0]);
		REQUIRE(replies_count(clients[i].bytes, clients[i].used) ==
				answers_sum());
	}
	/* to a client that does not read, a refusal that finds no room is left out: the last reply */
	size_t common = clients[0].used < clients[1].used ? clients[0].used
							  : clients[1].used;
	REQUIRE((data[1] & IS_SLOW) != 0 || clients[0].used == clients[1].used);
	REQUIRE(memcmp(clients[0].bytes, clients[1].bytes, common) == 0);
	return 0;
}
