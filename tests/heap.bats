#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The page is served from memory of our own, whatever has become of the host's heap.
# bats file_tags=area:serve

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

@test "a host that holds its allocator's lock for ever is served" {
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/arena_lock"
	expect locked
	# more than ten slow ticks of 100 ms: the keeper hangs in the lock by then
	local until=$((SECONDS + 3)) pages=0
	while ((SECONDS < until)); do
		scrape
		pages=$((pages + 1))
	done
	((pages >= 5)) || fail "only $pages pages"
	assert_metric promshim_malloc_allocations_total -ge 2
	run -1 grep "malloc came back" "$out"
	finish
	assert_equal "$status" 0
}

@test "a host that has overwritten its heap is served, and lives" {
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/overwritten"
	expect healthy
	scrape
	assert_metric promshim_malloc_allocations_total -eq 400
	go_on
	expect overwritten
	local until=$((SECONDS + 3))
	while ((SECONDS < until)); do
		scrape
	done
	assert_metric promshim_malloc_frees_total -eq 134
	finish
	assert_equal "$status" 0
}

says_that_the_heap_is_damaged() {
	scrape # glibc is only asked while somebody scrapes
	[[ "$(metric promshim_exporter_messages_total)" == 1 ]] && grep -q 'the heap is damaged' log
}

@test "who has overwritten the heap is told so, once" {
	PROMSHIM_TUNE=slow_interval=100ms PROMSHIM_LOG="$PWD/log" start "$targets/overwritten"
	expect healthy
	wait_until shows_allocator
	go_on
	expect overwritten
	wait_until says_that_the_heap_is_damaged
	finish
	assert_equal "$status" 0
}

# The process that asks glibc waits for a lock that never comes: $asking.
somebody_asks() {
	scrape
	asking="$(cat "/proc/$pid/task"/*/children)"
	[[ -n "$asking" || -s log ]]
}

@test "a heap is not called damaged because somebody killed who asks for its figures" {
	local killed
	PROMSHIM_TUNE=slow_interval=100ms PROMSHIM_LOG="$PWD/log" start "$targets/arena_lock"
	expect locked
	# each of them proves it, if it comes in time
	for killed in {1..4}; do
		wait_until somebody_asks
		# shellcheck disable=SC2086 # one pid and a blank
		kill -KILL $asking 2>/dev/null || true
	done
	wait_until somebody_asks
	[[ ! -s log ]] || fail "$(<log)"
	assert_metric promshim_exporter_messages_total -eq 0
	finish
	assert_equal "$status" 0
}
