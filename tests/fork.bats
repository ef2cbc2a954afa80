#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# fork and its kin: children count for themselves, nothing hangs, what is spawned is unharmed.
# bats file_tags=area:fork

setup() {
	load helpers/common
	common_setup
}

teardown() {
	[[ ! -s pid ]] || kill -KILL "$(<pid)" 2>/dev/null || true
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

@test "after 1,000 generations of forks a process has the mappings and the memory of the first" {
	local mappings addresses resident last
	PROMSHIM_MODE=count run -0 preload "$targets/generations" 1000
	assert_equal "${#lines[@]}" 2
	read -r _ mappings _ addresses _ resident <<<"${lines[0]}"
	read -r -a last <<<"${lines[1]}"
	assert_equal "${last[1]} ${last[3]}" "$mappings $addresses"
	# memory, but for what the kernel copies sooner or later
	((last[5] < resident + 250)) || fail "resident pages: $resident, then ${last[5]}"
}

# bats test_tags=trap:T33
@test "a forked child serves its own page beside its parent's" {
	local child parent
	PROMSHIM_PORT_FILE="$PWD/port.%p" start_silent "$targets/fork" serve
	wait_until grep -q child "$out"
	wait_until grep -q parent "$out"
	child="$(sed -n 's/child //p' "$out")"
	parent="$(sed -n 's/parent //p' "$out")"
	wait_for_file "port.$parent"
	wait_for_file "port.$child"
	scrape "$(<"port.$parent")"
	assert_metric promshim_malloc_allocations_total -eq 5
	go_on
	wait_until grep -q made "$out"
	scrape "$(<"port.$child")"
	assert_metric promshim_malloc_allocations_total -eq "$(sed -n 's/made //p' "$out")"
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T33
@test "a daemon is served by its final process" {
	local daemon
	STOP="$PWD/stop" PIDFILE="$PWD/pid" PROMSHIM_PORT_FILE="$PWD/port.%p" \
		run -0 preload "$targets/fork" daemon
	assert_output ""
	wait_for_file pid
	daemon="$(<pid)"
	wait_for_file "port.$daemon"
	scrape "$(<"port.$daemon")"
	assert_metric promshim_malloc_allocations_total -ge 1234
	touch stop
	wait_until is_over "$daemon"
	rm pid
}

# Tells whether a process has ended; whose child it became may be slow to take notice.
is_over() {
	[[ ! -e "/proc/$1" ]] || grep -q '^State:.*Z' "/proc/$1/status"
}

# bats test_tags=trap:T31,trap:T32
@test "vfork, posix_spawn, system, popen and _Fork work as without us" {
	assert_unchanged "$targets/fork" spawn 20
}

# bats test_tags=trap:T29
@test "400 forks from threads, while threads allocate, do not hang" {
	run -0 preload "$targets/fork" storm 400
	assert_output forked
}

# bats test_tags=trap:T29
@test "a fork storm in mode count does not hang" {
	PROMSHIM_MODE=count run -0 preload "$targets/fork" storm 200
	assert_output forked
}

# bats test_tags=trap:T29,trap:T56
@test "a fork storm under scrapes does not hang" {
	local i
	start "$targets/fork" storm 100 until-told
	for i in {1..5}; do
		fetch "http://127.0.0.1:$port/metrics" || fail "no page"
	done
	scrape
	go_on
	expect forked
	finish
	assert_equal "$status" 0
}

@test "a shell script with pipes and subshells is unchanged" {
	assert_unchanged bash -c '
		for i in {1..50}; do (echo "$i" | sed s/1/2/); done
		exit 4'
}
