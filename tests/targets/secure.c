/* SPDX-License-Identifier: MIT */
/* Installed setuid by its test: says whether the loader mapped a shim into it. */

#include <fcntl.h>
#include <sys/auxv.h>

#include "target.h"

int main(void) {
	static char maps[1 << 16];
	int descriptor = open("/proc/self/maps", O_RDONLY);
	size_t used = 0;
	for (ssize_t n; used < sizeof maps - 1; used += (size_t)n)
		if ((n = read(descriptor, maps + used, sizeof maps - 1 - used)) <= 0)
			break;
	say("secure %lu, %s", getauxval(AT_SECURE),
			strstr(maps, "libpromshim") != NULL ? "mapped" : "not mapped");
	return 0;
}
