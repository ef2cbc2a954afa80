/* SPDX-License-Identifier: MIT */
/*
 * The functions of <string.h> that the object uses, and those that the compiler calls by itself, as
 * the object's own: hidden, so that no reference of ours can be bound to what a host or another
 * preloaded object has under these names. Meanings are those of C17, 7.24, and of the manual for
 * memrchr, memmem and strnlen.
 *
 * Linked into the object alone. Programs (the command, the tests) have libc's.
 *
 * Built without the optimisation that would make calls of memset and memcpy of these loops.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* -fno-builtin: what follows is no declaration of builtins, and calls nothing but itself. */

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
	void *start = to;
#if defined(__x86_64__)
	/* one instruction, fast for all sizes since 2012 (ERMS), and right on every processor */
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
#else
	unsigned char *out = to;
	const unsigned char *in = from;
	while (size-- > 0) {
		*out++ = *in++;
	}
#endif
	return start;
}

void *memmove(void *to, const void *from, size_t size) {
	unsigned char *out = to;
	const unsigned char *in = from;
	if ((uintptr_t)out - (uintptr_t)in >=
			size) { /* forwards, also where they overlap */
#if defined(__x86_64__)
		return memcpy(to, from, size);
#else
		for (size_t i = 0; i < size; i++) {
			out[i] = in[i];
		}
		return to;
#endif
	}
	while (size-- > 0) {
		out[size] = in[size];
	}
	return to;
}

void *memset(void *bytes, int value, size_t size) {
#if defined(__x86_64__)
	void *out = bytes;
	__asm__ volatile("rep stosb" : "+D"(out), "+c"(size) : "a"(value) : "memory");
#else
	unsigned char *out = bytes;
	while (size-- > 0) {
		*out++ = (unsigned char)value;
	}
#endif
	return bytes;
}

int memcmp(const void *a, const void *b, size_t size) {
	const unsigned char *x = a;
	const unsigned char *y = b;
	for (; size > 0; size--, x++, y++) {
		if (*x != *y) {
			return *x - *y;
		}
	}
	return 0;
}

/* clang compares for equality with this one. */
int bcmp(const void *a, const void *b, size_t size) {
	return memcmp(a, b, size);
}

void *memchr(const void *bytes, int value, size_t size) {
	const unsigned char *at = bytes;
	for (; size > 0; size--, at++) {
		if (*at == (unsigned char)value) {
			return (void *)(uintptr_t)at;
		}
	}
	return NULL;
}

void *memrchr(const void *bytes, int value, size_t size) {
	const unsigned char *at = bytes;
	while (size-- > 0) {
		if (at[size] == (unsigned char)value) {
			return (void *)(uintptr_t)(at + size);
		}
	}
	return NULL;
}

void *memmem(const void *bytes, size_t size, const void *wanted, size_t wanted_size) {
	const unsigned char *at = bytes;
	for (; size >= wanted_size; size--, at++) {
		if (memcmp(at, wanted, wanted_size) == 0) {
			return (void *)(uintptr_t)at;
		}
	}
	return NULL;
}

size_t strnlen(const char *text, size_t most) {
	size_t length = 0;
	while (length < most && text[length] != '\0') {
		length++;
	}
	return length;
}

size_t strlen(const char *text) {
	return strnlen(text, SIZE_MAX);
}

char *strchr(const char *text, int value) {
	for (;; text++) {
		if (*text == (char)value) {
			return (char *)(uintptr_t)text;
		}
		if (*text == '\0') {
			return NULL;
		}
	}
}

char *strrchr(const char *text, int value) {
	return memrchr(text, value, strlen(text) + 1);
}

int strncmp(const char *a, const char *b, size_t most) {
	for (; most > 0; most--, a++, b++) {
		if (*a != *b) {
			return (unsigned char)*a - (unsigned char)*b;
		}
		if (*a == '\0') {
			break;
		}
	}
	return 0;
}

int strcmp(const char *a, const char *b) {
	return strncmp(a, b, SIZE_MAX);
}

char *strncpy(char *restrict to, const char *restrict from, size_t size) {
	size_t length = strnlen(from, size);
	memcpy(to, from, length);
	memset(to + length, 0, size - length);
	return to;
}

size_t strspn(const char *text, const char *set) {
	size_t length = 0;
	while (text[length] != '\0' && strchr(set, text[length]) != NULL) {
		length++;
	}
	return length;
}

size_t strcspn(const char *text, const char *set) {
	size_t length = 0;
	while (strchr(set, text[length]) == NULL) { /* its end is found in every set */
		length++;
	}
	return length;
}

char *strstr(const char *text, const char *wanted) {
	return memmem(text, strlen(text), wanted, strlen(wanted));
}
