/* SPDX-License-Identifier: MIT */
/*
 * The first allocation of the process is libc's own, in newlocale and under its lock, as p11-kit
 * does; with -DMAIN the program, which wants that lock.
 */

#include <locale.h>

#include "target.h"

void early_locale(void);

#ifdef MAIN
int main(void) {
	end_some_day();
	early_locale(); /* so that the library is needed */
	MUST(setlocale(LC_ALL, "C") != NULL);
	locale_t other = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
	if (other != (locale_t)0)
		freelocale(other);
	MUST(setlocale(LC_ALL, "") != NULL);
	say("done");
	return 0;
}
#else
void early_locale(void) {
}

__attribute__((constructor)) static void early(void) {
	locale_t locale = newlocale(LC_ALL_MASK, "POSIX", (locale_t)0);
	if (locale != (locale_t)0)
		freelocale(locale);
}
#endif
