/* SPDX-License-Identifier: MIT */
/*
 * A C program that tests its weak references before it calls them. Whatever is there must
 * work; what nobody has must stay NULL.
 */

#include <stddef.h>

#include "target.h"

extern void *malloc(size_t size) __attribute__((weak));
extern void free(void *p) __attribute__((weak));
extern void *reallocarray(void *p, size_t count, size_t size) __attribute__((weak));
extern void free_sized(void *p, size_t size) __attribute__((weak));
extern void nobody_has_this(void) __attribute__((weak));
extern void *je_malloc(size_t size) __attribute__((weak));
extern void *_Znwm(size_t size) __attribute__((weak)); /* new */
extern void _ZdlPv(void *p) __attribute__((weak)); /* delete */
extern void *_ZnamRKSt9nothrow_t(size_t size, const void *tag) __attribute__((weak));
extern void _ZdaPvm(void *p, size_t size) __attribute__((weak));

static void use(void *p, size_t size) {
	MUST(p != NULL);
	memset(p, 1, size);
}

int main(void) {
	end_some_day();
	MUST(malloc != NULL && free != NULL && reallocarray != NULL);
	MUST(nobody_has_this == NULL && je_malloc == NULL);
	void *p = malloc(100);
	use(p, 100);
	p = reallocarray(p, 20, 10);
	use(p, 200);
	if (free_sized != NULL)
		free_sized(p, 200);
	else
		free(p);
	if (_Znwm != NULL) {
		MUST(_ZdlPv != NULL);
		p = _Znwm(100);
		use(p, 100);
		_ZdlPv(p);
	}
	if (_ZnamRKSt9nothrow_t != NULL) {
		MUST(_ZdaPvm != NULL);
		p = _ZnamRKSt9nothrow_t(100, "");
		use(p, 100);
		_ZdaPvm(p, 100);
	}
	say("tested");
	return 0;
}
