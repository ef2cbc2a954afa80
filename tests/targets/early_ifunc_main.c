/* SPDX-License-Identifier: MIT */
/* Calls an indirect function whose resolver, in a library, allocated during relocation. */

#include "target.h"

int early_answer(void);
extern int (*early_pointer)(void);

int main(void) {
	end_some_day();
	MUST(early_answer() == 42 && early_pointer() == 42);
	say("answered");
	return 0;
}
