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
	# three times over, as a page wants it, a process asks the allocator, and waits for the lock in vain
	local i asked
	for i in 1 2 3; do
		asked="$(faults_of_children)"
		scrape
		wait_until has_asked
	done
	scrape
	assert_metric promshim_malloc_allocations_total -ge 2
	refute_metric promshim_allocator_heap_bytes
	run -1 grep "malloc came back" "$out"
	finish
	assert_equal "$status" 0
}

# Prints how many page faults the ended children of the host had: its own are none.
faults_of_children() {
	local -a fields
	read -r -a fields <"/proc/$pid/stat"
	printf '%d' "${fields[10]}" # cminflt of proc(5)
}

has_asked() {
	(($(faults_of_children) > asked))
}

@test "a host that has overwritten its heap is served, and lives" {
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/overwritten"
	expect healthy
	scrape
	assert_metric promshim_malloc_allocations_total -eq 400
	go_on
	expect overwritten
	wait_until says_something # once the allocator was asked
	assert_metric promshim_malloc_frees_total -eq 134
	fetch "http://127.0.0.1:$port/"
	run -0 grep -c 'the heap is damaged' "$page"
	scrape
	finish
	assert_equal "$status" 0
}

says_something() {
	scrape
	(($(metric promshim_exporter_messages_total) == 1))
}

# The process that asks glibc waits for a lock that never comes: $asking, another one each time.
somebody_asks_anew() {
	local child before="$asking"
	scrape
	for child in $(cat "/proc/$pid/task"/*/children); do
		asking="$child"
	done
	[[ "$asking" != "$before" || -s log ]]
}

# A crash of eight copies in succession is damage, so more than that are killed.
# bats test_tags=slow
@test "a heap is not called damaged because somebody killed who asks for its figures" {
	local killed asking=""
	PROMSHIM_TUNE=slow_interval=100ms PROMSHIM_LOG="$PWD/log" start "$targets/arena_lock"
	expect locked
	for killed in {1..12}; do
		wait_until somebody_asks_anew
		kill -KILL "$asking" 2>/dev/null || true
	done
	wait_until somebody_asks_anew
	[[ ! -s log ]] || fail "$(<log)"
	assert_metric promshim_exporter_messages_total -eq 0
	finish
	assert_equal "$status" 0
}
