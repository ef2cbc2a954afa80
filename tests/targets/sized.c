/* SPDX-License-Identifier: MIT */
/* Uses a library with a pool of its own. */

#include "target.h"

void pool_work(void);

int main(void) {
	pool_work();
	return 0;
}
