/* SPDX-License-Identifier: MIT */
/*
 * A preloaded object whose dlsym is everybody's, as those have that want to see OpenGL found. What is
 * next it finds from where it lies itself.
 */

#include <dlfcn.h>
#include <stdio.h>

void *dlsym(void *handle, const char *name) {
	static void *(*next)(void *, const char *);
	if (next == NULL)
		*(void **)&next = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
	void *volatile found =
			next(handle, name); /* no jump: the loader looks who calls */
	return found;
}
