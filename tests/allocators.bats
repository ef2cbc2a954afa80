#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Other allocators: behind us everything is exact; before us nothing is seen, and that is said.
# bats file_tags=area:count

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# Totals with an allocator behind us are the target's own, by its usable sizes.
assert_exact_behind() {
	local -A without with
	local pair name
	need_subject "$1"
	behind="$subject" run -0 count "$targets/exact" 4 0
	totals without
	assert_metric "promshim_hooks_active{hook=\"malloc\"}" -eq 1
	run -0 grep -c "allocator=\"$1\"" "$page"
	behind="$subject" run -0 count "$targets/exact" 4 500
	totals with
	for pair in $output; do
		name="${pair%%=*}"
		assert_equal "$name $((with[$name] - without[$name]))" "$name ${pair#*=}"
	done
	# all that the program took it gave back, in usable bytes too
	assert_equal "${with[live_bytes]}" "${without[live_bytes]}"
	assert_equal "${with[live_blocks]}" "${without[live_blocks]}"
}

# bats test_tags=trap:T13,trap:T15,trap:T20
@test "counts and bytes are exact with jemalloc behind us" {
	assert_exact_behind jemalloc
}

# bats test_tags=trap:T13,trap:T15,trap:T20
@test "counts and bytes are exact with mimalloc behind us" {
	assert_exact_behind mimalloc
}

# bats test_tags=trap:T13,trap:T15,trap:T20
@test "counts and bytes are exact with tcmalloc behind us" {
	assert_exact_behind tcmalloc
}

# The allocator's malloc comes first: nothing is counted, nothing breaks, and the page says so.
assert_visible_before() {
	need_subject "$1"
	ahead="$subject" run -0 count "$targets/exact" 2 100
	assert_metric 'promshim_hooks_active{hook="malloc"}' -eq 0
	assert_metric 'promshim_hooks_active{hook="pthread_create"}' -eq 1
	assert_metric promshim_thread_starts_total -eq 2
	ahead="$subject" run -0 count "$targets/cxx" 10
	assert_output done
	assert_metric 'promshim_hooks_active{hook="malloc"}' -eq 0
	assert_metric 'promshim_hooks_active{hook="operator_new"}' -eq 0
}

# bats test_tags=trap:T14
@test "jemalloc before us is said on the page" {
	assert_visible_before jemalloc
}

# bats test_tags=trap:T14
@test "mimalloc before us is said on the page" {
	assert_visible_before mimalloc
}

# bats test_tags=trap:T14
@test "tcmalloc before us is said on the page" {
	assert_visible_before tcmalloc
}

# bats test_tags=trap:T02,trap:T37
@test "with other allocators behind us the page is served and family cases hold" {
	local name
	for name in jemalloc mimalloc tcmalloc; do
		need_subject "$name"
		behind="$subject" start "$targets/exact" 4 100 wait
		scrape
		go_on
		wait_until grep -q allocations= "$out"
		scrape
		finish
		assert_equal "$name $status" "$name 0"
		behind="$subject" run -0 count "$targets/family" free_keeps_errno
		behind="$subject" run -0 count "$targets/family" reallocarray_overflows
		behind="$subject" run -0 count "$targets/family" strdup_once
		behind="$subject" run -0 count "$targets/threads" rounds_of_tsd 20
		behind="$subject" run -0 count "$targets/threads" plain 100
		behind="$subject" run -0 count "$targets/dlsyms"
	done
}

@test "a function that the allocator behind us lacks is not its own" {
	need_subject jemalloc
	run -0 bare LD_PRELOAD="$subject" "$targets/family" pvalloc_keeps
	behind="$subject" run -0 count "$targets/family" pvalloc_keeps
	assert_metric promshim_uncounted_events_total -eq 100
}

# bats test_tags=trap:T16
@test "an allocator without malloc_usable_size is counted by calls, bytes are left out" {
	run -0 bare LD_PRELOAD="$targets/libown.so" "$targets/threads" plain 8
	behind="$targets/libown.so" run -0 count "$targets/threads" plain 8
	assert_metric promshim_thread_ends_total -eq 8
	behind="$targets/libown.so" run -0 count "$targets/family" calloc_zeroes
	assert_metric promshim_malloc_allocations_total -eq 2
	assert_metric promshim_malloc_frees_total -eq 2
	assert_metric promshim_malloc_request_size_bytes_sum -eq 10000
	assert_metric promshim_malloc_live_blocks -eq 0
	refute_metric promshim_malloc_allocated_bytes_total
	refute_metric promshim_malloc_freed_bytes_total
	refute_metric promshim_malloc_live_bytes
}

@test "an allocator that the executable exports bypasses the hooks, and the page says so" {
	run -0 bare "$targets/own_malloc"
	run -0 count "$targets/own_malloc"
	assert_output done
	assert_metric 'promshim_hooks_active{hook="malloc"}' -eq 0
	assert_metric 'promshim_hooks_active{hook="pthread_create"}' -eq 1
}

# bats test_tags=trap:T17
@test "an allocator hidden in the executable bypasses the hooks, and the page says so" {
	run -0 bare "$targets/own_malloc_hidden"
	start "$targets/own_malloc_hidden" wait
	wait_until slow_tick_said_it
	finish
	assert_equal "$status" 0
}

slow_tick_said_it() {
	scrape
	[[ "$(metric 'promshim_hooks_active{hook="malloc"}')" == 0 ]]
}

# bats test_tags=trap:T18
@test "an executable that overrides malloc and free alone works as without us" {
	run -0 bare "$targets/own_malloc_partial"
	run -0 count "$targets/own_malloc_partial"
	assert_output done
	assert_metric 'promshim_hooks_active{hook="malloc"}' -eq 0
}

@test "with glibc every hook is active" {
	run -0 count "$targets/cxx" 1
	assert_metric 'promshim_hooks_active{hook="malloc"}' -eq 1
	assert_metric 'promshim_hooks_active{hook="operator_new"}' -eq 1
	assert_metric 'promshim_hooks_active{hook="pthread_create"}' -eq 1
}
