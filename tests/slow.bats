#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What takes its time: storms of threads and forks, retries, waits.
# bats file_tags=area:threads,slow

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# bats test_tags=trap:T36
@test "100,000 short threads are counted exactly, in bounded memory" {
	local before
	run -0 count "$targets/threads" plain 100
	before="$(metric 'promshim_segment_bytes{state="private"}')"
	run -0 count "$targets/threads" plain 100000
	assert_metric promshim_thread_starts_total -eq 100000
	assert_metric promshim_thread_ends_total -eq 100000
	assert_metric promshim_uncounted_events_total -eq 0
	assert_metric 'promshim_segment_bytes{state="private"}' -le $((before + 65536))
	local upto below
	upto="$(metric 'promshim_malloc_request_size_bytes_bucket{le="65536.0"}')"
	below="$(metric 'promshim_malloc_request_size_bytes_bucket{le="16384.0"}')"
	assert_equal $((upto - below)) 1000000
}

# bats test_tags=trap:T55
@test "counters never fall and live is never negative while threads come and go" {
	start "$targets/threads" plain 10000000
	local i last=0 now
	for i in {1..100}; do
		fetch "http://127.0.0.1:$port/metrics" || break
		now="$(metric promshim_malloc_allocations_total)"
		((now >= last)) || fail "allocations fell from $last to $now"
		last="$now"
		assert_metric promshim_malloc_live_bytes -ge 0
		assert_metric promshim_malloc_live_bytes -lt 1000000
		assert_metric promshim_threads -le 8
	done
	((i > 10)) || fail "the target ended too early"
}

# bats test_tags=trap:T39
@test "main's pthread_exit ends the process in 300 races" {
	local i
	for i in {1..300}; do
		run -0 preload "$targets/main_exit" $((i % 8))
		assert_line "atexit ran"
	done
}

# bats test_tags=trap:T41
@test "exit while others allocate never hangs or crashes" {
	local i
	for i in {1..200}; do
		run -23 preload "$targets/exit" race
		run -23 count "$targets/exit" race
	done
}

# bats test_tags=trap:T29
@test "10,000 forks from threads that allocate do not hang" {
	run -0 preload "$targets/fork" storm 10000
	assert_output forked
	PROMSHIM_MODE=count run -0 preload "$targets/fork" storm 1000
	assert_output forked
}

@test "a port that was busy is served once it is free" {
	hold_port
	PROMSHIM_PORT="$held" PROMSHIM_LOG="$PWD/log" PROMSHIM_PORT_FILE="$PWD/port" \
		start_silent "$targets/idle" 4
	expect ready
	wait_until grep -q "$held" log
	release_port
	wait_for_file port
	assert_equal "$(<port)" "$held"
	scrape "$held"
	run -0 grep -c "$held" log
	assert_output 1
	finish
	assert_equal "$status" 4
}
