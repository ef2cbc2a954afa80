#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# C++: each of the 8 forms of new and 12 of delete is counted once, whoever's they are; exceptions
# and cancellation pass through the shim's frames.
# bats file_tags=area:count

setup() {
	load helpers/common
	common_setup
}

# Counts cxx CALLS and checks that CALLS more than none are exactly 12 blocks of 1024 bytes each.
assert_counted_once() {
	local -A without with
	run -0 count "$targets/cxx" 0
	totals without
	run -0 count "$targets/cxx" 50
	assert_output done
	totals with
	assert_equal "allocations $((with[allocations] - without[allocations]))" "allocations 600"
	assert_equal "frees $((with[frees] - without[frees]))" "frees 600"
	assert_equal "requested $((with[requested] - without[requested]))" "requested 614400"
	assert_equal "live $((with[live_bytes] - without[live_bytes]))" "live 0"
}

# bats test_tags=trap:T14
@test "every form of new and delete is counted once with libstdc++" {
	assert_counted_once
}

# bats test_tags=trap:T14
@test "every form of new and delete is counted once with jemalloc behind us" {
	need_subject jemalloc
	behind="$subject" assert_counted_once
}

# bats test_tags=trap:T14
@test "every form of new and delete is counted once with mimalloc behind us" {
	need_subject mimalloc
	behind="$subject" assert_counted_once
}

# bats test_tags=trap:T14
@test "every form of new and delete is counted once with tcmalloc behind us" {
	need_subject tcmalloc
	behind="$subject" assert_counted_once
}

@test "new that fails is a bad_alloc through our frame, a handler's exception too" {
	local -A t
	run -0 bare "$targets/cxx" bad_alloc
	run -0 count "$targets/cxx" bad_alloc
	assert_output done
	totals t
	((t[failures] >= 8)) || fail "${t[failures]} failures"
	run -0 count "$targets/cxx" handler
	assert_output done
}

@test "bad_alloc passes through our frame with other allocators behind us" {
	local name
	# mimalloc's operators, as Debian builds them, cannot throw
	for name in jemalloc tcmalloc; do
		need_subject "$name"
		behind="$subject" run -0 count "$targets/cxx" handler
		assert_output done
		behind="$subject" run -0 count "$targets/cxx" bad_alloc
		assert_output done
	done
}

@test "counting goes on exactly after exceptions" {
	local -A without with
	run -0 count "$targets/cxx" 12
	totals without
	run -0 count "$targets/cxx" bad_alloc
	totals with
	# once() ran 12 times there and once here; what is left over is the exceptions'
	assert_equal "${with[live_bytes]}" "${without[live_bytes]}"
}

# bats test_tags=trap:T27
@test "a C program with a C++ plug-in throws, catches and is cancelled as without us" {
	local -A t
	local calls
	run -0 bare "$targets/plugin_host" "$targets/libplugin.so" 20
	run -0 count "$targets/plugin_host" "$targets/libplugin.so" 20
	assert_output done
	totals t
	# each call: a vector, a string and its 10 copies, an exception and its text
	((t[allocations] >= 20 * 13)) || fail "only ${t[allocations]} allocations"
	assert_equal "${t[starts]} ${t[ends]}" "1 1"
	preload "$targets/plugin_host" "$targets/libplugin.so" 20
	calls="${t[allocations]}"
	run -0 count "$targets/plugin_host" "$targets/libplugin.so" 40
	totals t
	# what one call allocates is the same for all: half of the growth per 10 calls
	assert_equal "$(((t[allocations] - calls) % 20))" 0
}

# bats test_tags=trap:T27
@test "a plug-in in C++ works with other allocators behind us" {
	local name
	for name in jemalloc mimalloc tcmalloc; do
		need_subject "$name"
		behind="$subject" run -0 count "$targets/plugin_host" "$targets/libplugin.so" 20
		assert_output done
	done
}
