/* SPDX-License-Identifier: MIT */
/* An object for LD_AUDIT: it lives in a name space with a libc of its own, and watches. */

#include <link.h>

#include "target.h"

unsigned la_version(unsigned version);
unsigned la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie);

unsigned la_version(unsigned version) {
	return version;
}

unsigned la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie) {
	void *p = malloc(100);
	KEEP(p);
	free(p);
	return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
