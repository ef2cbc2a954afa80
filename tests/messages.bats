#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What we have to say goes where PROMSHIM_LOG says, one line each, and nowhere else.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

@test "nothing is said on stderr unless asked for" {
	PROMSHIM_PROT=1 PROMSHIM_MODE=nonsense start "$targets/idle"
	expect ready
	scrape
	finish
	assert_equal "$(<"$err")" ""
}

@test "LOG=stderr says one line each, in one form" {
	PROMSHIM_PROT=1 PROMSHIM_MODE=nonsense PROMSHIM_LOG=stderr start "$targets/idle"
	scrape
	assert_metric promshim_exporter_messages_total -ge 2
	finish
	run -0 cat "$err"
	assert_equal "${#lines[@]}" 2
	assert_line --index 0 --regexp "^promshim\\[$pid\\]: (warning|error): .*[.?]\$"
	assert_line --index 1 --regexp "^promshim\\[$pid\\]: (warning|error): .*[.?]\$"
	assert_output --partial "PROMSHIM_PROT"
	assert_output --partial "PROMSHIM_PORT"
	assert_output --partial "PROMSHIM_MODE=nonsense"
}

@test "a LOG path is appended to, and made if need be" {
	printf 'before\n' >log
	PROMSHIM_PROT=1 PROMSHIM_LOG="$PWD/log" run -0 preload "$targets/idle" 0 </dev/null
	PROMSHIM_PROT=1 PROMSHIM_LOG="$PWD/log" run -0 preload "$targets/idle" 0 </dev/null
	run -0 grep -c PROMSHIM_PROT log
	assert_output 2
	run -0 head -n 1 log
	assert_output before
	PROMSHIM_PROT=1 PROMSHIM_LOG="$PWD/new" run -0 preload "$targets/idle" 0 </dev/null
	run -0 grep -c PROMSHIM_PROT new
	assert_output 1
}

@test "a LOG path that cannot be written, or never answers, harms nothing" {
	local path
	mkfifo fifo
	for path in /nonexistent/log / /dev/full "$PWD/fifo"; do
		PROMSHIM_PROT=1 PROMSHIM_LOG="$path" assert_unchanged "$targets/idle" 3
	done
}

@test "LOG=stderr has what our own threads say too" {
	hold_port
	PROMSHIM_PORT="$held" PROMSHIM_LOG=stderr start_silent "$targets/idle"
	expect ready
	wait_until grep -q "^promshim\[$pid\]: warning: .*$held" "$err"
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T49
@test "stderr that the host has replaced is not written to" {
	# the text file's message comes at exit, when a file of the host's lies over 2
	PROMSHIM_TEXTFILE=/nonexistent/page PROMSHIM_LOG=stderr run -0 --separate-stderr preload \
		"$targets/fds" replace
	assert_equal "$stderr" ""
	run -0 cat replaced.file
	assert_output mine
	PROMSHIM_TEXTFILE=/nonexistent/page PROMSHIM_LOG=stderr run -0 --separate-stderr preload \
		"$targets/idle" </dev/null
	# shellcheck disable=SC2154 # run sets it
	[[ "$stderr" == *TEXTFILE* ]] || fail "no message where stderr is as it was: $stderr"
}

@test "unsafe bytes in a setting do not reach the log or the page" {
	PROMSHIM_MODE=$'\e[31m\n\xff"\\' PROMSHIM_LOG="$PWD/log" start "$targets/idle"
	scrape
	run -0 curl -q --silent --noproxy '*' "http://127.0.0.1:$port/"
	run -1 grep -P '\x1b|\xff' log
	run -0 grep -c PROMSHIM_MODE log
	assert_output 1
}

@test "an odd name of the executable is a label that every parser reads" {
	local name=$'odd "\\ \n\xff name'
	cp "$targets/idle" "$name"
	start "./$name"
	scrape
	run -0 grep -c 'promshim_malloc_allocations_total{program="odd' "$page"
	assert_output 1
	finish
	name="$(printf 'x%.0s' {1..200})"
	cp "$targets/idle" "$name"
	start "./$name"
	scrape
	finish
}
