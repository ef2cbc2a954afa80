// SPDX-License-Identifier: MIT
// Unwinds itself: with the library of the test's choice and by exceptions through a call that the
// shim passes on, in main and in a thread that is cancelled. Prints what it found.

#include <atomic>
#include <cstddef>
#include <new>
#include <pthread.h>
#include <unistd.h>

#include "target.h"

extern "C" int unw_backtrace(void **frames, int size) __attribute__((weak));

static std::atomic<bool> is_ready;
static volatile std::size_t huge = static_cast<std::size_t>(-1) / 4;

static int depth(int more) {
	void *frames[50];
	if (more > 0) {
		int found = depth(more - 1);
		KEEP(more);
		return found;
	}
	return unw_backtrace != nullptr ? unw_backtrace(frames, 50) : 0;
}

struct witness {
	int *gone;
	~witness() {
		++*gone;
	}
};

static void *work(void *gone) {
	witness here{ static_cast<int *>(gone) };
	for (int i = 0; i < 10; i++) {
		try {
			witness there{ static_cast<int *>(gone) };
			delete[] new char[huge];
		} catch (const std::bad_alloc &) {
		}
	}
	is_ready = true;
	for (;;)
		pause(); // until it is cancelled
	return nullptr;
}

int main() {
	static int gone;
	pthread_t thread;
	void *result;
	end_some_day();
	MUST(pthread_create(&thread, nullptr, work, &gone) == 0);
	while (!is_ready)
		sched_yield();
	MUST(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
	MUST(result == PTHREAD_CANCELED);
	say("%d gone, %d frames more", gone, depth(10) - depth(0));
	return 0;
}
