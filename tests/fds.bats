#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Descriptors: the host's numbers are its own, ours cannot be touched, and we hold nothing of the host's.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	[[ ! -s pid ]] || kill -KILL "$(<pid)" 2>/dev/null || true
	common_teardown
}

# bats test_tags=trap:T49
@test "the host's first descriptor is the same with us" {
	run -0 bare "$targets/fds" first </dev/null
	local expected="$output"
	start "$targets/fds" first
	expect "$(head -n 1 <<<"$expected")"
	scrape
	go_on
	scrape
	finish
	assert_equal "$status" 0
	run -0 cat "$out"
	assert_output "$expected"
}

# bats test_tags=trap:T49
@test "closing every descriptor does not touch the server" {
	start "$targets/fds" closefrom
	expect "closed: 0 1 2"
	scrape
	go_on
	expect "nothing was open"
	scrape
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T49
@test "dup2 over every number does not touch the server, and nothing of ours is written there" {
	start "$targets/fds" dup
	expect "laid over"
	scrape
	go_on
	expect "only mine"
	scrape
	finish
	assert_equal "$status" 0
	run -0 cat dup_over.file
	assert_output mine
}

# bats test_tags=trap:T49
@test "a limit of 8 descriptors is all the host's" {
	# 5, unless whoever runs the tests has left more open
	run -0 bare "$targets/fds" limit </dev/null
	local expected="$output"
	assert_line limited
	assert_line --regexp '^opened [1-5]$'
	start "$targets/fds" limit
	expect limited
	scrape
	go_on
	wait_until grep -q opened "$out"
	assert_equal "$(<"$out")" "$expected"
	scrape
	scrape
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T49
@test "the server starts under a limit of 8 descriptors" {
	# the shell before it has no port
	PROMSHIM_INCLUDE=idle start bash -c 'ulimit -n 8; exec "$0" 7' "$targets/idle"
	expect ready
	scrape
	finish
	assert_equal "$status" 7
}

# bats test_tags=trap:T49
@test "children inherit what they inherited without us" {
	run -0 bare "$targets/fds" inherit
	local expected="$output"
	run -0 preload "$targets/fds" inherit
	assert_output "$expected"
}

@test "locks and epoll of the host are unharmed" {
	start "$targets/fds" locks
	expect locked
	scrape
	go_on
	expect "still locked"
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T33
@test "the output of a daemon's starter ends when the starter does" {
	local daemon
	export STOP="$PWD/stop" PIDFILE="$PWD/pid"
	{
		preload "$targets/fork" daemon | cat >caught
		printf '%d\n' "${PIPESTATUS[0]}" >ended
	} 3>&- 4>&- 10>&- &
	wait_for_file pid
	daemon="$(<pid)"
	wait_for_file ended # while the daemon lives, which nobody has told to stop
	assert_equal "$(<ended)" 0
	assert_equal "$(<caught)" ""
	run ! is_over "$daemon"
	touch stop
	wait_until is_over "$daemon"
	rm pid
}

# Tells whether a process has ended; whose child it became may be slow to take notice.
is_over() {
	[[ ! -e "/proc/$1" ]] || grep -q '^State:.*Z' "/proc/$1/status"
}
