#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# fork and its kin: children count for themselves, nothing hangs, what is spawned is unharmed.
# bats file_tags=area:fork

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# bats test_tags=trap:T33
@test "a forked child counts apart from its parent, live stays true on both sides" {
	local -A t
	local child parent
	PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$PWD/page.%p" run -0 preload "$targets/fork" apart
	child="$(sed -n 's/child //p' <<<"$output")"
	parent="$(sed -n 's/parent //p' <<<"$output")"
	page="page.$parent"
	check_page "$page"
	totals t
	assert_equal "parent ${t[allocations]} ${t[frees]} ${t[live_blocks]}" "parent 110 10 100"
	page="page.$child"
	check_page "$page"
	totals t
	assert_equal "child ${t[allocations]} ${t[frees]} ${t[live_blocks]} ${t[live_bytes]}" \
		"child 1000 1100 0 0"
}

# bats test_tags=trap:T33
@test "a forked child serves its own page beside its parent's" {
	local child parent
	PROMSHIM_PORT_FILE="$PWD/port.%p" start_silent "$targets/fork" serve
	wait_until grep -q child "$out"
	child="$(sed -n 's/child //p' "$out")"
	parent="$(sed -n 's/parent //p' "$out")"
	wait_for_file "port.$parent"
	wait_for_file "port.$child"
	scrape "$(<"port.$parent")"
	assert_metric promshim_malloc_allocations_total -eq 5
	scrape "$(<"port.$child")"
	assert_metric promshim_malloc_allocations_total -ge 500
	assert_metric promshim_malloc_allocations_total -le 710
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T33
@test "a daemon is served by its final process" {
	STOP="$PWD/stop" PROMSHIM_PORT_FILE="$PWD/port.%p" run -0 preload "$targets/fork" daemon
	assert_output ""
	wait_until served_by_daemon
	check_page "$page"
	assert_metric promshim_malloc_allocations_total -ge 1234
	touch stop
}

# One page of those that port files name has what the final process alone allocates.
served_by_daemon() {
	local file
	for file in port.*; do
		if [[ -s "$file" ]] && fetch "http://127.0.0.1:$(<"$file")/metrics" 2>/dev/null \
			&& (($(metric promshim_malloc_allocations_total) >= 1234)); then
			return 0
		fi
	done
	return 1
}

# bats test_tags=trap:T31,trap:T32
@test "vfork, posix_spawn, system, popen and _Fork work as without us" {
	assert_unchanged "$targets/fork" spawn 20
}

# bats test_tags=trap:T29
@test "2,000 forks from threads, while threads allocate, do not hang" {
	run -0 preload "$targets/fork" storm 2000
	assert_output forked
}

# bats test_tags=trap:T29
@test "a fork storm in mode count does not hang" {
	PROMSHIM_MODE=count run -0 preload "$targets/fork" storm 1000
	assert_output forked
}

# bats test_tags=trap:T29,trap:T56
@test "a fork storm under scrapes does not hang" {
	start "$targets/fork" storm 1000
	until grep -q forked "$out"; do
		fetch "http://127.0.0.1:$port/metrics" || break
	done
	finish
	assert_equal "$status" 0
}

@test "a shell script with pipes and subshells is unchanged" {
	assert_unchanged bash -c '
		for i in {1..50}; do (echo "$i" | sed s/1/2/); done
		exit 4'
}
