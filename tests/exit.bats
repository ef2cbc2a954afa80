#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# However a program ends, it ends as without us; where it runs its exit handlers, the text file is
# there and complete.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# ends_alike HOW: same status and output with and without us, in both modes.
ends_alike() {
	local mode
	for mode in serve count; do
		PROMSHIM_MODE=$mode PROMSHIM_TEXTFILE="$page" assert_unchanged "$targets/exit" "$1"
	done
}

# bats test_tags=trap:T41
@test "return from main leaves a page with everything on it" {
	ends_alike return
	run -23 count "$targets/exit" return
	# 1000 pairs in main; the atexit handler's runs before ours
	assert_metric promshim_malloc_allocations_total -ge 1001
	assert_metric promshim_malloc_frees_total -ge 1001
	assert_metric process_resident_memory_bytes -gt 100000
	assert_metric promshim_allocator_heap_bytes -ge 100000
}

@test "a program that ends on a stack of two pages, or under a trap at inexact results, leaves a page" {
	local mode how
	for mode in count serve; do
		for how in signal_stack inexact; do
			rm -f "$page"
			PROMSHIM_MODE="$mode" PROMSHIM_PORT=0 PROMSHIM_TEXTFILE="$page" \
				run -5 --separate-stderr preload "$targets/ends" "$how"
			assert_equal "$stderr" ""
			check_page "$page"
			assert_metric promshim_malloc_allocations_total -ge 1
		done
	done
}

@test "threads of ours that are made under a trap at inexact results serve" {
	PROMSHIM_PORT_FILE="$PWD/port.%p" start_silent "$targets/ends" child
	wait_until grep -q child "$out"
	port_file="port.$(sed -n 's/child //p' "$out")"
	wait_for_file "$port_file"
	port="$(<"$port_file")"
	scrape
	scrape
	finish
	assert_equal "$status" 5
	assert_equal "$(<"$err")" ""
}

# bats test_tags=trap:T41
@test "exit from a worker leaves a page" {
	ends_alike worker
	run -23 count "$targets/exit" worker
	assert_metric promshim_malloc_allocations_total -ge 1002
	assert_metric promshim_thread_starts_total -eq 1
}

# bats test_tags=trap:T41
@test "exit while threads allocate leaves a page" {
	ends_alike race
	run -23 count "$targets/exit" race
	assert_metric promshim_thread_starts_total -eq 8
	assert_metric promshim_malloc_allocations_total -ge 1801
}

# bats test_tags=trap:T41
@test "_exit, quick_exit, abort, signals and exec end as without us" {
	local how
	for how in _exit quick_exit abort signal segv exec; do
		ends_alike "$how"
	done
}

@test "a served process that returns leaves a page too" {
	PROMSHIM_TEXTFILE="$page" start "$targets/idle" 9
	expect ready
	cp "$port_file" port
	finish
	assert_equal "$status" 9
	check_page "$page"
	assert_metric promshim_malloc_allocations_total -eq 0
}

@test "%p and %n in the text file's name are pid and program" {
	PROMSHIM_TEXTFILE="$PWD/%n-%p.prom" run -0 preload "$targets/family" keep
	run -0 ls
	assert_output --regexp 'family-[0-9]+\.prom'
	page="$(ls -- *.prom)"
	check_page "$page"
	assert_metric 'promshim_malloc_live_bytes{program="family"}' -eq 1000
}

@test "a text file that cannot be written changes nothing but the messages" {
	local path
	for path in /nonexistent/page /proc/page /dev/full/page / . ""; do
		PROMSHIM_TEXTFILE="$path" assert_unchanged "$targets/exit" return
		PROMSHIM_TEXTFILE="$path" PROMSHIM_LOG="$PWD/log" run -23 preload "$targets/exit" return
		if [[ -n "$path" ]]; then
			run -0 grep -c PROMSHIM_TEXTFILE log
			assert_output 1
			rm log
		fi
	done
}

@test "an old page is replaced whole, or not at all" {
	printf 'old\n' >"$page"
	ln "$page" linked
	PROMSHIM_TEXTFILE="$page" run -0 preload "$targets/family" nothing
	check_page "$page"
	run -0 cat linked
	assert_output old
	run -0 ls
	refute_output --regexp 'tmp|\.new'
}

@test "a limit on file sizes does not kill the host" {
	local mode
	for mode in serve count; do
		# what it says itself would kill it, in a file
		PROMSHIM_MODE=$mode PROMSHIM_TEXTFILE="$page" assert_unchanged \
			bash -c 'ulimit -f 0; exec "$0" return >/dev/null' "$targets/exit"
		assert_equal "$status" 23
	done
}
