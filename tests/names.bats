#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Names that the program or another preloaded object has, too: nobody of theirs is called, and nothing is
# asked of a loader that they have taken over.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# Makes a program with a function of its own of every name in tests/golden/names.txt, each of which
# ends it: it is ready, waits for the end of its input, and says that it ran to its end.
# make_namesake FILE FLAGS...
make_namesake() {
	{
		printf '%s\n' '#define _(name) void name(void) { __asm__ volatile("syscall" :: "a"(231L), "D"(3L)); }'
		sed '/^#/d; s/.*/_(&)/' "$SOURCE_ROOT/tests/golden/names.txt"
		printf '%s\n' 'extern int puts(const char *), getchar(void), fflush(void *);' \
			'int main(void) { puts("ready"); fflush(0); while (getchar() != -1) { } puts("ran to the end"); return 6; }'
	} >namesake.c
	gcc -w -fno-builtin -fno-stack-protector -o "$1" "${@:2}" namesake.c 2>gcc.err || fail "$(<gcc.err)"
}

@test "a program with functions of all names that were ever asked of libc is served, and is its own master" {
	local how
	for how in -O1 -rdynamic; do # exported, they come first for every object
		make_namesake namesake "$how"
		run -6 bare ./namesake </dev/null
		assert_output $'ready\nran to the end'
		PROMSHIM_TEXTFILE="$PWD/last" start ./namesake
		expect ready
		scrape
		assert_metric 'promshim_malloc_allocations_total{program="namesake"}' -gt 0
		run -0 curl --silent --fail --max-time "$TESTS_PATIENCE" --header 'Connection: close' "http://127.0.0.1:$port/"
		finish
		assert_equal "$status" 6
		assert_equal "$(<"$out")" $'ready\nran to the end'
		assert_equal "$(<"$err")" ""
		check_page last
	done
}

# Runs a program with an object on either side of ours, in every mode.
# assert_beside OBJECT [VARIABLE=VALUE...]
assert_beside() {
	local mode order
	for mode in serve count off; do
		for order in "$1:$shim_so" "$shim_so:$1"; do
			run -0 bare LD_PRELOAD="$order" PROMSHIM_MODE="$mode" PROMSHIM_PORT=0 \
				sh -c 'echo sh; /bin/echo child' </dev/null
			assert_output $'sh\nchild'
		done
	done
	local "ahead=$1"
	start "$targets/exact" 1 10 wait
	expect "threads wait"
	scrape
	assert_metric 'promshim_malloc_allocations_total{program="exact"}' -gt 0
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$err")" ""
}

@test "an object ahead of us whose dlsym is everybody's" {
	assert_beside "$targets/libhooks_dlsym.so"
}

@test "an object that looks for its functions under a lock, at the first open or close" {
	assert_beside "$targets/liblocked_open.so"
}

@test "an object whose functions work only once its constructor has run" {
	assert_beside "$targets/liblate_bound.so"
}

@test "an allocator that checks the blocks of another version's callers has its say, in its own words" {
	local debug=/lib/x86_64-linux-gnu/libc_malloc_debug.so.0
	[[ -e "$debug" ]] || missing "$debug"
	# glibc's checking allocator has its functions under no version that is anybody's default
	MALLOC_CHECK_=3 run bare LD_PRELOAD="$debug" "$targets/overrun"
	assert_equal "$status $output" '134 free(): invalid pointer'
	MALLOC_CHECK_=3 run bare LD_PRELOAD="$shim_so:$debug" PROMSHIM_PORT=0 "$targets/overrun"
	assert_equal "$status $output" '134 free(): invalid pointer'
}
