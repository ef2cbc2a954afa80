#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Threads: however they start and end, they are counted, their blocks are, and they end.
# bats file_tags=area:threads

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# assert_threads CASE COUNT PAIRS: COUNT threads started and ended, and PAIRS blocks of theirs.
# What glibc allocates for threads varies with its cache of stacks; blocks of 20000 bytes are the
# target's alone.
assert_threads() {
	local -A t
	run -0 bare "$targets/threads" "$1" "$2"
	run -0 count "$targets/threads" "$1" "$2"
	assert_output done
	totals t
	assert_equal "${t[starts]} started, ${t[ends]} ended" "$2 started, $2 ended"
	assert_equal "$(of_20000_bytes)" "$3"
	assert_metric promshim_threads -eq 0
	assert_metric promshim_thread_stack_reserved_bytes -eq 0
	assert_metric promshim_thread_lifetime_seconds_count -eq "$2"
	assert_metric promshim_uncounted_events_total -eq 0
}

of_20000_bytes() {
	local upto
	upto="$(metric 'promshim_malloc_request_size_bytes_bucket{le="65536.0"}')"
	printf '%d\n' $((upto - $(metric 'promshim_malloc_request_size_bytes_bucket{le="16384.0"}')))
}

@test "threads that return are counted" {
	assert_threads plain 3000 30000
}

# bats test_tags=trap:T38
@test "threads that call pthread_exit are counted" {
	assert_threads exits 3000 30000
}

# bats test_tags=trap:T40
@test "threads with the smallest stack there is live as without us" {
	assert_threads small 1000 10000
}

# bats test_tags=trap:T40
@test "threads on a stack of the program's own live as without us" {
	assert_threads own_stack 500 5000
}

# bats test_tags=trap:T37
@test "blocks that are taken and given in all four rounds of TSD destructors are counted" {
	assert_threads rounds_of_tsd 500 2500
	assert_metric promshim_malloc_live_bytes -lt 20000
}

# bats test_tags=trap:T38
@test "cancelled threads are counted, those in an allocating loop too" {
	run -0 bare "$targets/threads" cancelled 300
	run -0 count "$targets/threads" cancelled 300
	assert_metric promshim_thread_ends_total -eq 300
	assert_metric promshim_threads -eq 0
	run -0 count "$targets/threads" cancelled_busy 300
	assert_metric promshim_thread_ends_total -eq 300
	assert_metric promshim_threads -eq 0
}

# bats test_tags=trap:T44
@test "threads of thrd_create are counted" {
	assert_threads c11 500 5000
}

# bats test_tags=trap:T44
@test "threads that libc starts for timers allocate and end as without us" {
	run -0 bare "$targets/threads" timers 20
	run -0 count "$targets/threads" timers 20
	assert_output done
	assert_equal "$(of_20000_bytes)" 200
}

# bats test_tags=trap:T44
@test "threads that cannot be made are failures, and leave nothing" {
	local -A t
	run -0 bare "$targets/threads" refused 2000
	run -0 count "$targets/threads" refused 2000
	assert_output done
	totals t
	assert_equal "${t[start_failures]} ${t[starts]} ${t[ends]}" "2000 1 1"
	assert_metric promshim_thread_stack_reserved_bytes -eq 0
}

# bats test_tags=trap:T44
@test "threads that the limit of processes refuses are failures" {
	go_public threads
	page="$public/page" # the target is nobody when it writes
	run -0 bare "$targets/threads" refused_by_limit 10
	run -0 count "$targets/threads" refused_by_limit 10
	assert_metric promshim_thread_start_failures_total -eq 20
	assert_metric promshim_thread_starts_total -eq 0
}

# bats test_tags=trap:T44
@test "a host that may have no more threads at all runs on without being served" {
	go_public
	run -0 --separate-stderr preload bash -c '
		[[ $EUID != 0 ]] || exec setpriv --reuid 65534 --clear-groups -- "$0" -c "$1"
		eval "$1"' bash 'ulimit -u 1; printf "%s\n" "as before"'
	assert_output "as before"
	assert_equal "$stderr" ""
}

# bats test_tags=trap:T38
@test "detached threads are counted" {
	start "$targets/threads" detached 500
	expect started
	wait_until all_ended 500
	assert_metric promshim_thread_starts_total -eq 500
	assert_metric promshim_threads -eq 0
	assert_equal "$(of_20000_bytes)" 5000
	finish
	assert_equal "$status" 0
}

all_ended() {
	scrape
	[[ "$(metric promshim_thread_ends_total)" == "$1" ]]
}

@test "living threads are on the page, with their stacks, without ours" {
	start "$targets/threads" held 20
	expect "all there"
	scrape
	assert_metric promshim_threads -eq 20
	assert_metric promshim_thread_stack_reserved_bytes -eq $((20 << 20))
	wait_until process_threads_are 21
	local i
	for i in {1..20}; do
		go_on
	done
	expect "all gone"
	scrape
	assert_metric promshim_threads -eq 0
	assert_metric promshim_thread_stack_reserved_bytes -eq 0
	assert_metric promshim_thread_ends_total -eq 20
	wait_until process_threads_are 1
	finish
	assert_equal "$status" 0
}

process_threads_are() {
	scrape
	[[ "$(metric process_threads)" == "$1" ]]
}

# Output of main_exit without and with us, lines of threads in any order.
assert_main_exit() {
	run -0 bare "$targets/main_exit" "$@"
	local expected
	expected="$(sort <<<"$output")"
	run -0 preload "$targets/main_exit" "$@"
	assert_equal "$(sort <<<"$output")" "$expected"
	PROMSHIM_MODE=count run -0 preload "$targets/main_exit" "$@"
	assert_equal "$(sort <<<"$output")" "$expected"
}

# bats test_tags=trap:T39
@test "main's pthread_exit ends the process when it is the last thread" {
	assert_main_exit 0
}

# bats test_tags=trap:T39
@test "main's pthread_exit ends the process when the last thread is gone" {
	local i
	for i in {1..20}; do
		assert_main_exit 3
	done
}

# bats test_tags=trap:T39
@test "a cancelled main ends the process when the last thread is gone" {
	local i
	for i in {1..10}; do
		assert_main_exit 3 cancel
	done
}

# bats test_tags=trap:T39
@test "after main's pthread_exit the page is served, and figures are those of the process" {
	start "$targets/main_exit" 2 wait
	expect "main ends"
	wait_until process_threads_are 2
	assert_metric process_resident_memory_bytes -gt 100000
	assert_metric process_open_fds -ge 3
	assert_metric promshim_threads -eq 2
	go_on
	go_on
	finish
	assert_equal "$status" 0
	run -0 cat "$out"
	assert_output --partial "atexit ran
buffered, "
}

# bats test_tags=trap:T39
@test "after main's pthread_exit SIGTERM ends the process" {
	start "$targets/main_exit" 2 wait
	expect "main ends"
	kill -TERM "$pid"
	finish
	assert_equal "$status" 143
}

# bats test_tags=trap:T41,slow
@test "a thread of ours that gets no processor for seconds is waited for, and the text file is written" {
	local task
	PROMSHIM_TEXTFILE="$page" start "$targets/idle" 7
	expect ready
	task="$(grep -lx promshim-keeper "/proc/$pid/task"/*/comm)"
	task="${task%/comm}"
	"$SOURCE_ROOT/tests/helpers/hold-thread" "$pid" "${task##*/}" 2 {input}>&- >held 2>&1 3>&- 4>&- 10>&- &
	wait_for_file held
	[[ "$(<held)" == held ]] || missing "$(<held)"
	finish
	assert_equal "$status" 7
	check_page "$page"
}

# bats test_tags=trap:T39
@test "the text file is written when main's pthread_exit ended the process" {
	run -0 count "$targets/main_exit" 3
	assert_metric promshim_thread_ends_total -eq 3
	PROMSHIM_TEXTFILE="$PWD/other" run -0 preload "$targets/main_exit" 3
	check_page other
}
