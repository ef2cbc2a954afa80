// SPDX-License-Identifier: MIT
// cxx CALLS: calls each of the 8 forms of operator new CALLS times and gives the blocks back by
// each of the 12 forms of operator delete. 12 allocations of 1024 bytes and 12 frees per call.
// cxx bad_alloc: an exception passes through the shim's frame. cxx handler: so does what a
// new_handler throws.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "target.h"

static volatile std::size_t size = 1024; // what aligned forms would round up to
static volatile std::size_t huge = SIZE_MAX / 4;
static const std::align_val_t alignment{ 64 };

static void *kept(void *p) {
	MUST(p != nullptr);
	KEEP(p);
	return p;
}

static void once() {
	::operator delete(kept(::operator new(size)));
	::operator delete(kept(::operator new(size)), size);
	::operator delete[](kept(::operator new[](size)));
	::operator delete[](kept(::operator new[](size)), size);
	::operator delete(kept(::operator new(size, std::nothrow)), std::nothrow);
	::operator delete[](kept(::operator new[](size, std::nothrow)), std::nothrow);
	::operator delete(kept(::operator new(size, alignment)), alignment);
	::operator delete(kept(::operator new(size, alignment)), size, alignment);
	::operator delete[](kept(::operator new[](size, alignment)), alignment);
	::operator delete[](kept(::operator new[](size, alignment)), size, alignment);
	::operator delete(kept(::operator new(size, alignment, std::nothrow)), alignment,
			std::nothrow);
	::operator delete[](kept(::operator new[](size, alignment, std::nothrow)),
			alignment, std::nothrow);
}

static void bad_alloc() {
	int caught = 0;
	for (int i = 0; i < 3; i++) {
		try {
			kept(::operator new(huge));
		} catch (const std::bad_alloc &) {
			caught++;
		}
		try {
			kept(::operator new[](huge, alignment));
		} catch (const std::bad_alloc &) {
			caught++;
		}
	}
	MUST(caught == 6);
	MUST(::operator new(huge, std::nothrow) == nullptr);
	MUST(::operator new[](huge, alignment, std::nothrow) == nullptr);
	once();
}

static void handler() {
	int caught = 0;
	std::set_new_handler([] { throw 42; });
	try {
		kept(::operator new(huge));
	} catch (int) {
		caught++;
	}
	MUST(caught == 1);
	once();
}

int main(int argc, char **argv) {
	end_some_day();
	if (argc == 2 && is(argv[1], "bad_alloc"))
		bad_alloc();
	else if (argc == 2 && is(argv[1], "handler"))
		handler();
	else
		for (unsigned long i = number(argv[1]); i > 0; i--)
			once();
	say("done");
	return 0;
}
