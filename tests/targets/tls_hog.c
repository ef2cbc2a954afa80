/* SPDX-License-Identifier: MIT */
/*
 * A host with 300 KB of static TLS: a thread's stack has to hold it, so 64 KiB are refused.
 * Starts threads, and lives until its input ends.
 */

#include <pthread.h>

#include "target.h"

static _Thread_local volatile char hog[300000] = { 1 };

static void *work(void *argument) {
	hog[sizeof hog - 1]++;
	return (void *)&hog[0];
}

int main(void) {
	pthread_t thread;
	end_some_day();
	for (int i = 0; i < 10; i++) {
		MUST(pthread_create(&thread, NULL, work, NULL) == 0);
		MUST(pthread_join(thread, NULL) == 0);
	}
	say("hog %d", hog[0] + hog[sizeof hog - 1]);
	wait_for_test();
	return 0;
}
