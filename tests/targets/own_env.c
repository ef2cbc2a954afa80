/* SPDX-License-Identifier: MIT */
/*
 * Brings its own getenv, putenv, setenv and unsetenv, as shells do: they know no variable, and
 * nobody but the program itself may rely on them. Prints how often somebody else did.
 */

#include "target.h"

static unsigned long others;
static int is_mine;

static void called(void) {
	others += !is_mine;
}

char *getenv(const char *name) {
	static char answer[] = "mine";
	called();
	return is(name, "MINE") ? answer : NULL;
}

int putenv(char *pair) {
	called();
	return 0;
}

int setenv(const char *name, const char *value, int overwrite) {
	called();
	return 0;
}

int unsetenv(const char *name) {
	called();
	return 0;
}

int main(void) {
	static char pair[] = "X=y";
	end_some_day();
	is_mine = 1;
	MUST(is(getenv("MINE"), "mine") && putenv(pair) == 0);
	MUST(setenv("X", "y", 1) == 0 && unsetenv("X") == 0 && getenv("X") == NULL);
	is_mine = 0;
	void *p = malloc(100);
	KEEP(p);
	free(p);
	say("%lu calls by others", others);
	wait_for_test();
	return 5;
}
