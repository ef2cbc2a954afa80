/* SPDX-License-Identifier: MIT */
/* Opens a library by its bare name, which its own RUNPATH of $ORIGIN leads to. */

#include <dlfcn.h>

#include "target.h"

int main(void) {
	end_some_day();
	for (int i = 0; i < 3; i++) {
		void *module = dlopen("libmodule.so", i % 2 ? RTLD_NOW : RTLD_LAZY);
		MUST(module != NULL);
		void *(*take)(size_t);
		void (*give)(void *);
		*(void **)&take = dlsym(module, "module_take");
		*(void **)&give = dlsym(module, "module_give");
		MUST(take != NULL && give != NULL);
		give(take(100));
		MUST(dlclose(module) == 0);
	}
	MUST(dlopen("libnobody_has_this.so", RTLD_NOW) == NULL);
	say("%s", dlerror());
	return 0;
}
