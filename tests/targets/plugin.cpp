// SPDX-License-Identifier: MIT
// A C++ plug-in for a C program: allocates, throws and catches, holds an object with a destructor
// over a cancellation point.

#include <cstdlib>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

extern "C" int plugin_run(int calls);
extern "C" void *plugin_wait(void *destroyed);

int plugin_run(int calls) {
	int caught = 0;
	for (int i = 0; i < calls; i++) {
		std::vector<std::string> strings(10, std::string(100, 'x'));
		try {
			strings.at(11);
		} catch (const std::out_of_range &) {
			caught++;
		}
	}
	return caught;
}

struct witness {
	int *destroyed;
	~witness() {
		*destroyed = 1;
	}
};

// Cancelled in pause: the destructor has to run, and the memory to be given back.
void *plugin_wait(void *destroyed) {
	witness w{ static_cast<int *>(destroyed) };
	std::string held(1000, 'x');
	for (;;)
		pause();
}
