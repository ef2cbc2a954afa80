/* SPDX-License-Identifier: MIT */
/* pairs COUNT: malloc(64) and free, COUNT times, in the only thread there is. */

#include "target.h"

int main(int argc, char **argv) {
	MUST(argc == 2);
	end_some_day();
	for (unsigned long i = number(argv[1]); i > 0; i--) {
		void *p = malloc(64);
		KEEP(p);
		free(p);
	}
	return 0;
}
