/* SPDX-License-Identifier: MIT */
#include "preload/text.h"

#include <errno.h>
#include <string.h>

/* clang-format off */
#define NAME(error) [error] = #error
/* Arrays and not pointers: nothing for the loader to relocate. */
static const char errno_names[][16] = {
	NAME(EPERM), NAME(ENOENT), NAME(ESRCH), NAME(EINTR), NAME(EIO), NAME(ENXIO),
	NAME(E2BIG), NAME(ENOEXEC), NAME(EBADF), NAME(ECHILD), NAME(EAGAIN), NAME(ENOMEM),
	NAME(EACCES), NAME(EFAULT), NAME(EBUSY), NAME(EEXIST), NAME(EXDEV), NAME(ENODEV),
	NAME(ENOTDIR), NAME(EISDIR), NAME(EINVAL), NAME(ENFILE), NAME(EMFILE), NAME(ENOTTY),
	NAME(ETXTBSY), NAME(EFBIG), NAME(ENOSPC), NAME(ESPIPE), NAME(EROFS), NAME(EMLINK),
	NAME(EPIPE), NAME(EDOM), NAME(ERANGE), NAME(EDEADLK), NAME(ENAMETOOLONG),
	NAME(ENOLCK), NAME(ENOSYS), NAME(ENOTEMPTY), NAME(ELOOP), NAME(ENODATA), NAME(ETIME),
	NAME(EPROTO), NAME(EBADMSG), NAME(EOVERFLOW), NAME(EILSEQ), NAME(EUSERS),
	NAME(ENOTSOCK), NAME(EDESTADDRREQ), NAME(EMSGSIZE), NAME(EPROTOTYPE),
	NAME(ENOPROTOOPT), NAME(EPROTONOSUPPORT), NAME(EOPNOTSUPP), NAME(EAFNOSUPPORT),
	NAME(EADDRINUSE), NAME(EADDRNOTAVAIL), NAME(ENETDOWN), NAME(ENETUNREACH),
	NAME(ECONNABORTED), NAME(ECONNRESET), NAME(ENOBUFS), NAME(ENOTCONN),
	NAME(ETIMEDOUT), NAME(ECONNREFUSED), NAME(EHOSTUNREACH), NAME(EALREADY),
	NAME(EINPROGRESS), NAME(ESTALE), NAME(EDQUOT), NAME(ECANCELED),
};
#undef NAME
/* clang-format on */

void shim_text_init(struct shim_text *text, char *bytes, size_t size_bytes) {
	text->bytes = bytes;
	text->size_bytes = size_bytes;
	text->used_bytes = 0;
	if (size_bytes > 0) {
		bytes[0] = '\0';
	}
}

void shim_text_put_bytes(struct shim_text *text, const char *bytes, size_t size_bytes) {
	if (text->size_bytes == 0) {
		return;
	}
	size_t room = text->size_bytes - 1 - text->used_bytes;
	size_t taken = size_bytes < room ? size_bytes : room;

	memcpy(text->bytes + text->used_bytes, bytes, taken);
	text->used_bytes += taken;
	text->bytes[text->used_bytes] = '\0';
}

void shim_text_put(struct shim_text *text, const char *string) {
	shim_text_put_bytes(text, string, strlen(string));
}

void shim_text_uint(struct shim_text *text, uint64_t value) {
	char digits[20];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	shim_text_put_bytes(text, digits + first, sizeof(digits) - first);
}

void shim_text_errno(struct shim_text *text, int error) {
	size_t count = sizeof(errno_names) / sizeof(errno_names[0]);

	if (error > 0 && (size_t)error < count && errno_names[error][0] != '\0') {
		shim_text_put(text, errno_names[error]);
		return;
	}
	shim_text_put(text, "errno ");
	if (error < 0) {
		shim_text_put(text, "-");
	}
	shim_text_uint(text, error < 0 ? 0U - (uint64_t)error : (uint64_t)error);
}
