/* SPDX-License-Identifier: MIT */
#ifndef PRELOAD_TEXT_H
#define PRELOAD_TEXT_H

/*
 * Lines put together without stdio: bytes of fixed size, always NUL-terminated, cut when
 * full. Async-signal-safe.
 */

#include <stddef.h>
#include <stdint.h>

struct shim_text {
	char *bytes;
	size_t size_bytes;
	size_t used_bytes;
};

void shim_text_init(struct shim_text *text, char *bytes, size_t size_bytes);
void shim_text_put(struct shim_text *text, const char *string);
void shim_text_put_bytes(struct shim_text *text, const char *bytes, size_t size_bytes);
void shim_text_uint(struct shim_text *text, uint64_t value);

/* Appends "EADDRINUSE" for 98, ...: the short name of an errno, else "errno 4711". */
void shim_text_errno(struct shim_text *text, int error);

#endif
