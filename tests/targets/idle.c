/* SPDX-License-Identifier: MIT */
/* Does nothing: lives until its input ends, and returns the status it is given. */

#include "target.h"

int main(int argc, char **argv) {
	end_some_day();
	say("ready");
	wait_for_test();
	return argc > 1 ? (int)number(argv[1]) : 0;
}
