/* SPDX-License-Identifier: MIT */
/* A preloaded object that stands in for getresuid, and works only once its constructor has run. */

#include <dlfcn.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

static int (*real)(uid_t *, uid_t *, uid_t *);

int getresuid(uid_t *r, uid_t *e, uid_t *s) {
	return real(r, e, s);
}

__attribute__((constructor)) static void come(void) {
	*(void **)&real = dlsym(RTLD_NEXT, "getresuid");
}
