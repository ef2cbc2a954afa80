#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Signals go where they went before: never to a thread of ours, never lost, and a handler that
# allocates loses no count.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# Sends three signals, one after the other was taken.
assert_takes_signals() {
	start "$targets/signals" "$1"
	expect ready
	kill -USR1 "$pid"
	expect "took USR1"
	kill -TERM "$pid"
	expect "took TERM"
	kill -INT "$pid"
	finish
	assert_equal "$status" 0
	run -0 cat "$out"
	assert_output "ready
took USR1
took TERM
took other"
}

# bats test_tags=trap:T45
@test "a sigwait program takes every signal itself" {
	assert_takes_signals sigwait
}

# bats test_tags=trap:T45
@test "a signalfd program takes every signal itself" {
	assert_takes_signals signalfd
}

# bats test_tags=trap:T45
@test "a SIGPROF handler that mallocs loses no count" {
	local i pairs
	local -A t
	for i in {1..3}; do
		run -0 count "$targets/signals" profile
		pairs="$output"
		totals t
		assert_equal "${t[allocations]} ${t[frees]} ${t[live_bytes]}" "$pairs $pairs 0"
	done
}

# bats test_tags=trap:T35
@test "a host that waits for any child sees none of ours" {
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/signals" children
	expect ready
	scrape
	wait_until shows_allocator
	go_on
	expect "0 children"
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T45,trap:T46
@test "no handler of the host's runs and no call is interrupted on our account" {
	start "$targets/signals" quiet
	expect ready
	scrape
	go_on
	scrape
	go_on
	scrape
	go_on
	expect "0 handlers ran"
	finish
	assert_equal "$status" 0
}
