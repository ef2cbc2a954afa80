/* SPDX-License-Identifier: MIT */
#include "preload/loader.h"

#include <dlfcn.h>
#include <string.h>

/*
 * dlsym is in libc.so.6 since 2.34 and in libdl.so.2 before. The old version name is in both;
 * weak, so that a program without libdl on an older libc gets NULL here and not a loader's
 * error. There the two __libc_ functions, which libc itself had for that, find it.
 */
#if defined(__x86_64__)
__asm__(".symver dlsym,dlsym@GLIBC_2.2.5");
#elif defined(__aarch64__)
__asm__(".symver dlsym,dlsym@GLIBC_2.17");
#endif
extern __typeof__(dlsym) dlsym __attribute__((weak));
extern void *__libc_dlopen_mode(const char *name, int mode) __attribute__((
		weak)); // NOLINT(bugprone-reserved-identifier): libc's own name
extern void *__libc_dlsym(void *handle, const char *name) __attribute__((
		weak)); // NOLINT(bugprone-reserved-identifier): libc's own name

typedef void *(*find_fn)(void *handle, const char *name);

static struct {
	find_fn find; /* dlsym */
	int (*address)(const void *p, Dl_info *out);
	void *(*open)(const char *name, int mode);
	char *(*error)(void);
} loader;

void shim_loader_init(void) {
	loader.find = dlsym;
	if (loader.find == NULL && __libc_dlopen_mode != NULL && __libc_dlsym != NULL) {
		/* the high bit is glibc's __RTLD_DLOPEN, which the function wants */
		void *libdl = __libc_dlopen_mode("libdl.so.2",
				(int)(RTLD_NOW | 0x80000000U));
		if (libdl != NULL) {
			void *found = __libc_dlsym(libdl, "dlsym");
			memcpy(&loader.find, &found, sizeof(found));
		}
	}
	if (loader.find == NULL) {
		return;
	}
	void *found = loader.find(RTLD_DEFAULT, "dladdr");
	memcpy(&loader.address, &found, sizeof(found));
	found = loader.find(RTLD_DEFAULT, "dlopen");
	memcpy(&loader.open, &found, sizeof(found));
	found = loader.find(RTLD_DEFAULT, "dlerror");
	memcpy(&loader.error, &found, sizeof(found));
}

/*
 * By a lookup that succeeds: glibc drops the old error at its start. dlerror would translate
 * the text, and that takes locks of libc before libc is ready for it: gdb hung in setlocale.
 */
void shim_loader_forget_errors(void) {
	if (loader.find != NULL &&
			loader.find(RTLD_DEFAULT, "gnu_get_libc_version") == NULL &&
			loader.error != NULL) {
		(void)loader.error();
	}
}

void *shim_loader_next(const char *name) {
	return loader.find != NULL ? loader.find(RTLD_NEXT, name) : NULL;
}

void *shim_loader_first(const char *name) {
	return loader.find != NULL ? loader.find(RTLD_DEFAULT, name) : NULL;
}

void *shim_loader_find_in(const char *object, const char *name) {
	void *handle = loader.open != NULL ? loader.open(object, RTLD_LAZY | RTLD_NOLOAD)
					   : NULL;
	return handle != NULL ? loader.find(handle, name) : NULL;
}

bool shim_loader_can_tell(void) {
	return loader.find != NULL && loader.address != NULL;
}

void *shim_loader_object_of(const void *p) {
	Dl_info info;
	if (p == NULL || loader.address == NULL || loader.address(p, &info) == 0) {
		return NULL;
	}
	return info.dli_fbase;
}

const char *shim_loader_file_of(const void *p) {
	Dl_info info;
	if (loader.address == NULL || loader.address(p, &info) == 0 ||
			info.dli_fname == NULL) {
		return "";
	}
	return info.dli_fname;
}
