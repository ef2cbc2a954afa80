/* SPDX-License-Identifier: MIT */
#include "exporter/connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "exporter/base/kernel.h"

enum {
	ROUND_REQUESTS = 16, /* pipelined requests before others have their turn */
	IDLE_TIMEOUTS = 18, /* 3 min at the default of 10 s: scrapes keep theirs */
	DRAIN_BYTES = 1 << 18,
	OS_PAGE_BYTES = 4096,
};

static const uint64_t drain_ns = 500000000;
static const char text_type[] = "text/plain; charset=utf-8";

enum outcome { SENT, WAITS, CLOSED };

void prom_counts_init(struct prom_http_counts *counts) {
	static const int statuses[] = { 200, 400, 404, 405, 408, 413, 414, 421, 431, 500,
		503, 505 };
	memset(counts, 0, sizeof(*counts));
	memcpy(counts->status, statuses, sizeof(statuses));
}

static void count(struct prom_service *service, int status) {
	struct prom_http_counts *counts = &service->counts;
	for (unsigned i = 0; i < 16 && counts->status[i] != 0; i++) {
		counts->answers[i] += counts->status[i] == status;
	}
}

/* One line for replies that no handler writes. */
static const char *status_line(int status) {
	switch (status) {
	case 400:
		return "400 Bad Request: this is not HTTP/1.1 as RFC 9112 has it\n";
	case 404:
		return "404 Not Found\n";
	case 405:
		return "405 Method Not Allowed: only GET and HEAD\n";
	case 408:
		return "408 Request Timeout: the request did not come to its end in time\n";
	case 413:
		return "413 Content Too Large: requests have no body here\n";
	case 414:
		return "414 URI Too Long: metrics are at /metrics\n";
	case 421:
		return "421 Misdirected Request: Host is neither localhost, nor a loopback "
		       "number, nor PROMSHIM_ADDRESS\n";
	case 431:
		return "431 Request Header Fields Too Large: 8 KiB are enough\n";
	case 503:
		return "503 Service Unavailable: too many clients at once, or too slow ones\n";
	case 505:
		return "505 HTTP Version Not Supported: HTTP/1.1 and HTTP/1.0 are\n";
	default:
		return "500 Internal Server Error: the page does not fit its memory\n";
	}
}

static void state_take(struct prom_service *service, struct prom_connection *connection,
		enum prom_connection_state state, uint64_t lasts_ns) {
	connection->state = state;
	connection->since_ns = service->now_ns;
	connection->deadline_ns = service->now_ns + lasts_ns;
}

static int page_take(struct prom_service *service) {
	for (unsigned i = 0; i < service->page_count; i++) {
		if ((service->pages_taken & UINT64_C(1) << i) == 0) {
			service->pages_taken |= UINT64_C(1) << i;
			return (int)i;
		}
	}
	return -1;
}

/* Gives a page back; of all but the first, which every scrape uses, the memory too. */
static void page_release(struct prom_service *service, unsigned page) {
	char *start = service->pages + page * service->page_stride;
	service->pages_taken &= ~((UINT64_C(1) << page));
	if (page > 0 && kernel_madvise(start, service->page_stride, MADV_DONTNEED) == 0) {
		service->touched_bytes -= service->page_high[page];
		service->page_high[page] = 0;
	}
}

static void page_touch(struct prom_service *service, unsigned page, size_t used) {
	used = (used + OS_PAGE_BYTES - 1) / OS_PAGE_BYTES * OS_PAGE_BYTES;
	if (used > service->page_high[page]) {
		service->touched_bytes += used - service->page_high[page];
		service->page_high[page] = used;
	}
}

/* Keeps the start of a request until the rest comes. */
static void input_keep(struct prom_service *service, struct prom_connection *connection,
		const char *bytes, size_t size) {
	if (size > 0 && !connection->input_touched) {
		connection->input_touched = true;
		service->touched_bytes += PROM_HTTP_HEAD_MAX;
	}
	if (size > 0) {
		memmove(connection->input, bytes, size);
	}
	connection->input_used = size;
}

void prom_connection_open(struct prom_service *service,
		struct prom_connection *connection, int fd, bool over_tcp) {
	*connection = (struct prom_connection){ .input = connection->input,
		.fd = fd,
		.over_tcp = over_tcp };
	state_take(service, connection, PROM_CONNECTION_FRESH,
			service->config.timeout_ns);
}

void prom_connection_close(struct prom_service *service,
		struct prom_connection *connection) {
	if (connection->state == PROM_CONNECTION_WRITING) {
		page_release(service, connection->page);
	}
	if (connection->input_touched &&
			kernel_madvise(connection->input, PROM_HTTP_HEAD_MAX,
					MADV_DONTNEED) == 0) {
		service->touched_bytes -= PROM_HTTP_HEAD_MAX;
	}
	(void)kernel_close(connection->fd);
	connection->fd = -1;
	connection->state = PROM_CONNECTION_FREE;
}

/* Ends our side; the client's rest is read and dropped, so that it can read our reply. */
static void drain_start(struct prom_service *service,
		struct prom_connection *connection) {
	uint64_t timeout_ns = service->config.timeout_ns;
	if (kernel_shutdown(connection->fd, SHUT_WR) < 0) {
		prom_connection_close(service, connection);
		return;
	}
	state_take(service, connection, PROM_CONNECTION_DRAINING,
			timeout_ns < drain_ns ? timeout_ns : drain_ns);
}

static void drain(struct prom_service *service, struct prom_connection *connection) {
	ssize_t n = kernel_recvfrom(connection->fd, service->scratch, PROM_HTTP_HEAD_MAX,
			MSG_DONTWAIT, NULL, NULL);
	if (n == -EAGAIN || n == -EINTR) {
		return;
	}
	connection->drained_bytes += n > 0 ? (size_t)n : 0;
	if (n <= 0 || connection->drained_bytes > DRAIN_BYTES) {
		prom_connection_close(service, connection);
	}
}

/* Sends what is left of the reply in the connection's page, and gives the page back. */
static enum outcome reply_send(struct prom_service *service,
		struct prom_connection *connection) {
	while (connection->reply_left > 0) {
		ssize_t n = kernel_sendto(connection->fd, connection->reply,
				connection->reply_left, MSG_NOSIGNAL | MSG_DONTWAIT, NULL,
				0);
		if (n == -EAGAIN) {
			return WAITS;
		}
		if (n < 0 && n != -EINTR) {
			prom_connection_close(service, connection);
			return CLOSED;
		}
		if (n > 0) {
			connection->reply += n;
			connection->reply_left -= (size_t)n;
		}
	}
	page_release(service, connection->page);
	connection->state = PROM_CONNECTION_READING;
	if (connection->is_last) {
		drain_start(service, connection);
		return CLOSED;
	}
	return SENT;
}

/* A last reply without a page: a line on the stack, in one send or not at all. */
static void refusal_send(struct prom_service *service, struct prom_connection *connection,
		int status) {
	char bytes[512];
	struct prom_buf reply;
	const char *line = status_line(status);
	prom_buf_init(&reply, bytes, sizeof(bytes));
	prom_http_head(&reply, status, text_type, strlen(line), false);
	prom_buf_text(&reply, line);
	if (kernel_sendto(connection->fd, bytes, reply.used_bytes,
			    MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0) < 0) {
		prom_connection_close(service, connection);
		return;
	}
	count(service, status);
	drain_start(service, connection);
}

void prom_connection_refuse(struct prom_service *service,
		struct prom_connection *connection, int fd) {
	prom_connection_open(service, connection, fd, true);
	refusal_send(service, connection, 503);
}

void prom_connection_expel(struct prom_service *service,
		struct prom_connection *connection) {
	if (connection->state == PROM_CONNECTION_FRESH) {
		refusal_send(service, connection, 503);
	}
	if (connection->state != PROM_CONNECTION_FREE) {
		prom_connection_close(service, connection);
	}
}

static int reply_status(struct prom_service *service, struct prom_connection *connection,
		const struct prom_request *request, struct prom_buf *body,
		const char **type) {
	if (connection->over_tcp && service->is_loopback &&
			!prom_http_host_is_local(request->host,
					service->config.address)) {
		return 421;
	}
	if (request->method == PROM_METHOD_OTHER) {
		return 405;
	}
	int status = service->config.handler(service->config.user, request, body, type);
	return status == 200 && body->used_bytes == 0 ? 500 : status;
}

/*
 * Answers one request. The page is laid out so that the head ends where the body starts:
 * one send for both.
 */
static enum outcome request_answer(struct prom_service *service,
		struct prom_connection *connection, const struct prom_request *request) {
	char head_bytes[PROM_HEAD_ROOM];
	struct prom_buf head;
	struct prom_buf body;
	const char *type = text_type;
	int page = page_take(service);
	if (page < 0) {
		refusal_send(service, connection, 503);
		return CLOSED;
	}
	char *start = service->pages + (size_t)page * service->page_stride +
			PROM_HEAD_ROOM;
	prom_buf_init(&body, start, service->config.page_bytes);
	int status = reply_status(service, connection, request, &body, &type);
	if (body.used_bytes == 0) {
		type = text_type;
		prom_buf_text(&body, status_line(status));
	}
	count(service, status);
	connection->is_last = connection->is_single || !request->keep_alive;
	prom_buf_init(&head, head_bytes, sizeof(head_bytes));
	prom_http_head(&head, status, type, body.used_bytes, !connection->is_last);
	memcpy(start - head.used_bytes, head_bytes, head.used_bytes);
	page_touch(service, (unsigned)page, PROM_HEAD_ROOM + body.used_bytes);
	connection->page = (unsigned)page;
	connection->reply = start - head.used_bytes;
	connection->reply_left = head.used_bytes;
	if (request->method != PROM_METHOD_HEAD) {
		connection->reply_left += body.used_bytes;
	}
	state_take(service, connection, PROM_CONNECTION_WRITING,
			service->config.timeout_ns);
	return reply_send(service, connection);
}

/* Answers the requests in `bytes`, which may be the connection's own input. */
static void input_answer(struct prom_service *service, struct prom_connection *connection,
		const char *bytes, size_t size) {
	size_t at = 0;
	connection->has_more = false;
	for (unsigned answered = 0; at < size; answered++) {
		struct prom_request request;
		if (answered == ROUND_REQUESTS) {
			connection->has_more = true;
			break;
		}
		int r = prom_http_parse(bytes + at, size - at, &request);
		if (r == -EAGAIN) {
			break;
		}
		if (r < 0) {
			refusal_send(service, connection, -r);
			return;
		}
		at += request.head_size;
		enum outcome outcome = request_answer(service, connection, &request);
		if (outcome == WAITS) {
			input_keep(service, connection, bytes + at, size - at);
		}
		if (outcome != SENT) {
			return;
		}
	}
	input_keep(service, connection, bytes + at, size - at);
	if (at == size) {
		state_take(service, connection, PROM_CONNECTION_IDLE,
				service->config.timeout_ns * IDLE_TIMEOUTS);
	} else if (at > 0) {
		state_take(service, connection, PROM_CONNECTION_READING,
				service->config.timeout_ns);
	}
}

/*
 * Reads once: straight from the shared scratch if nothing is kept. Kept input is looked at
 * again only when a line has ended, or a client that sends single bytes would make us
 * parse the same head 8,000 times.
 */
static void input_read(struct prom_service *service, struct prom_connection *connection) {
	size_t kept = connection->input_used;
	char *bytes = kept == 0 ? service->scratch : connection->input;
	ssize_t n = kernel_recvfrom(connection->fd, bytes + kept,
			PROM_HTTP_HEAD_MAX - kept, MSG_DONTWAIT, NULL, NULL);
	if (n == -EAGAIN || n == -EINTR) {
		return;
	}
	if (n <= 0) {
		prom_connection_close(service, connection);
		return;
	}
	if (connection->state == PROM_CONNECTION_IDLE) {
		state_take(service, connection, PROM_CONNECTION_READING,
				service->config.timeout_ns);
	}
	connection->state = PROM_CONNECTION_READING; /* FRESH: its deadline stands */
	size_t size = kept + (size_t)n;
	if (kept > 0 && size < PROM_HTTP_HEAD_MAX &&
			memchr(bytes + kept, '\n', (size_t)n) == NULL) {
		connection->input_used = size;
		return;
	}
	input_answer(service, connection, bytes, size);
}

short prom_connection_events(const struct prom_connection *connection) {
	return connection->state == PROM_CONNECTION_WRITING ? POLLOUT : POLLIN;
}

void prom_connection_ready(struct prom_service *service,
		struct prom_connection *connection) {
	switch (connection->state) {
	case PROM_CONNECTION_WRITING:
		if (reply_send(service, connection) == SENT) {
			state_take(service, connection, PROM_CONNECTION_READING,
					service->config.timeout_ns);
			input_answer(service, connection, connection->input,
					connection->input_used);
		}
		break;
	case PROM_CONNECTION_DRAINING:
		drain(service, connection);
		break;
	case PROM_CONNECTION_FRESH:
	case PROM_CONNECTION_READING:
	case PROM_CONNECTION_IDLE:
		if (connection->has_more) {
			input_answer(service, connection, connection->input,
					connection->input_used);
		} else {
			input_read(service, connection);
		}
		break;
	case PROM_CONNECTION_FREE:
		break;
	}
}

void prom_connection_expire(struct prom_service *service,
		struct prom_connection *connection) {
	if (connection->state == PROM_CONNECTION_READING) {
		refusal_send(service, connection, 408);
	} else {
		prom_connection_close(service, connection);
	}
}
