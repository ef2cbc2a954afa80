#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Traps of running (tests/traps): forks, threads, contexts, signals and clocks of programs with one
# habit.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
	forget_faketime # of an earlier run, whose processes may have had the same numbers
}

teardown() {
	common_teardown
	forget_faketime
}

of_20000_bytes() {
	local upto
	upto="$(metric 'promshim_malloc_request_size_bytes_bucket{le="65536.0"}')"
	printf '%d\n' $((upto - $(metric 'promshim_malloc_request_size_bytes_bucket{le="16384.0"}')))
}

# bats test_tags=trap:T30
@test "handlers of fork that allocate, and children with threads, do not hang" {
	run -0 bare "$targets/atfork" handlers 10
	run -0 preload "$targets/atfork" handlers 100
	assert_output "all ended"
	run -0 count "$targets/atfork" handlers 100
	assert_output "all ended"
	assert_metric promshim_thread_starts_total -eq 3
}

# bats test_tags=trap:T30
@test "a fork in a signal handler does not hang" {
	run -0 bare "$targets/atfork" signal 10
	run -0 preload "$targets/atfork" signal 100
	assert_output "all ended"
	run -0 count "$targets/atfork" signal 100
	assert_output "all ended"
}

# bats test_tags=trap:T31
@test "children by the bare system call leave their parent's counts, page and port alone" {
	local -A t
	assert_unchanged "$targets/raw_clone" 10
	assert_equal "$status" 0
	PROMSHIM_TEXTFILE="$PWD/page.%p" PROMSHIM_TUNE=slow_interval=100ms start "$targets/raw_clone" 10
	expect ready
	scrape
	local first="$port"
	go_on
	expect "all ended"
	scrape
	totals t
	assert_equal "${t[allocations]} ${t[frees]} ${t[live_blocks]}" "300 300 0"
	assert_equal "$(<"$port_file")" "$first"
	finish
	assert_equal "$status" 0
	page="page.$pid"
	check_page "$page"
	assert_metric promshim_malloc_allocations_total -eq 300
}

# bats test_tags=trap:T32
@test "a parent that starts others by vfork, posix_spawn, system and popen loses no count" {
	local -A few some many
	run -0 count "$targets/fork" spawn 10
	totals few
	run -0 count "$targets/fork" spawn 20
	totals some
	run -0 count "$targets/fork" spawn 40
	totals many
	((some[allocations] > few[allocations])) || fail "system and popen allocate, and nothing was counted"
	assert_equal $((many[allocations] - some[allocations])) $((2 * (some[allocations] - few[allocations])))
	assert_equal $((many[frees] - some[frees])) $((2 * (some[frees] - few[frees])))
	assert_equal "${many[live_blocks]}" "${few[live_blocks]}"
}

# bats test_tags=trap:T34
@test "what a host starts inherits LD_PRELOAD as it was, in its order, and every other variable" {
	local first="$targets/libown.so" expected
	cp "$targets/libmodule.so" last.so
	# shellcheck disable=SC2016 # for another shell to expand
	ahead="$first" behind="$PWD/last.so" run -0 preload A=b EMPTY= bash -c 'env; exec env'
	expected="LD_PRELOAD=$first:$shim_so:$PWD/last.so"
	assert_equal "$(grep -cxF "$expected" <<<"$output")" 2
	assert_equal "$(grep -cx 'A=b\|EMPTY=' <<<"$output")" 4
	run -0 bare -i LD_PRELOAD="$shim_so" Z=1 A=2 /usr/bin/env
	assert_output "LD_PRELOAD=$shim_so
Z=1
A=2"
}

# bats test_tags=trap:T35
@test "a thread that executes another program is followed by a page of that program" {
	start "$targets/exec_threads"
	expect ready
	scrape
	go_on
	expect again
	wait_until serves_again
	check_page "$page"
	assert_metric promshim_malloc_allocations_total -lt 1000
	assert_metric promshim_thread_starts_total -eq 0
	finish
	assert_equal "$status" 8
	# and without a port
	PROMSHIM_MODE=count assert_unchanged "$targets/supervisor" "$targets/exec_threads"
}

# The page of the program that came second: 777 blocks, where the first one's had no end.
serves_again() {
	port="$(<"$port_file")"
	is_served && [[ "$(metric promshim_malloc_allocations_total)" == 777 ]]
}

# bats test_tags=trap:T35
@test "a program that a shell becomes has no child that it did not start" {
	local i
	local -a lists=()
	for i in {1..20}; do
		# shellcheck disable=SC2016 # for another shell to expand
		PROMSHIM_EXCLUDE=idle start_silent bash -c 'exec "$0" 0' "$targets/idle"
		expect ready
		lists=("/proc/$pid/task"/*/children)
		assert_equal "${#lists[@]} $(cat "${lists[@]}")" "1 "
		finish
		assert_equal "$status" 0
	done
}

# bats test_tags=trap:T35
@test "supervisors and process 1 of a container see the processes that they started, and no more" {
	local count
	# whatever we do on the side when they end
	for count in {1..100..4}; do
		PROMSHIM_TUNE=slow_interval=100ms run -0 preload "$targets/supervisor" "$targets/threads" plain "$count"
		assert_line "process 0, 1 ended, status 0"
	done
	((EUID == 0)) || missing root
	unshare --pid --fork --mount-proc true 2>unshare.err || missing "unshare: $(<unshare.err)"
	PROMSHIM_TUNE=slow_interval=100ms assert_unchanged unshare --pid --fork --mount-proc \
		"$targets/supervisor" "$targets/threads" plain 500
	assert_equal "$(tail -n 1 shim.out)" "process 1, 1 ended, status 0"
}

# bats test_tags=trap:T35
@test "process 1 of a container is served, and ends as without us" {
	((EUID == 0)) || missing root
	unshare --pid --fork --mount-proc true 2>unshare.err || missing "unshare: $(<unshare.err)"
	PROMSHIM_INCLUDE=threads start unshare --pid --fork --mount-proc "$targets/threads" held 3
	expect "all there"
	scrape
	assert_metric promshim_threads -eq 3
	wait_until threads_of_process_are 4
	assert_metric process_resident_memory_bytes -gt 100000
	finish
	assert_equal "$status" 0
}

threads_of_process_are() {
	scrape
	[[ "$(metric process_threads)" == "$1" ]]
}

# bats test_tags=trap:T40
@test "2,000 threads at once cost little memory, which later ones use again" {
	local before
	bare "$targets/crowd" 2000 2 </dev/null >crowd 2>&1 || missing "2,000 threads: $(<crowd)" # pids.max, ulimit -u
	start "$targets/crowd" 2000 2
	expect "all there 2"
	scrape
	assert_metric promshim_threads -eq 2000
	before="$(metric 'promshim_segment_bytes{state="private"}')"
	# a block is below 3 KiB
	((before < 2000 * 3072)) || fail "$before bytes for 2000 threads"
	go_on
	expect "all gone 2"
	expect "all there 1"
	scrape
	assert_metric 'promshim_segment_bytes{state="private"}' -le "$before"
	assert_metric promshim_thread_starts_total -eq 4000
	assert_metric promshim_uncounted_events_total -eq 0
	go_on
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T42
@test "a jump out of a handler that came in the middle of our hook loses that call alone" {
	local -A none some
	local mode
	behind="$targets/libleap.so"
	run -0 bare LD_PRELOAD="$behind" "$targets/leap" 50
	assert_output "300 leaps"
	for mode in serve count; do
		PROMSHIM_MODE=$mode run -0 preload "$targets/leap" 50
		assert_output "300 leaps"
	done
	run -0 count "$targets/leap" 0
	totals none
	run -0 count "$targets/leap" 50
	totals some
	# 2 threads, 3 functions, 50 times: 10 pairs each, and the call that never came back
	assert_equal $((some[allocations] - none[allocations])) 3000
	assert_equal $((some[frees] - none[frees])) 3000
	assert_equal "${some[live_bytes]}" "${none[live_bytes]}"
	behind=
	run -0 count "$targets/leap" 50
	assert_output "0 leaps"
}

# bats test_tags=trap:T43
@test "contexts that wander between threads, and alternate stacks, are counted exactly" {
	local -A t
	run -0 bare "$targets/fibers" 50
	assert_output 1310
	run -0 preload "$targets/fibers" 50
	assert_output 1310
	run -0 count "$targets/fibers" 50
	assert_equal "$(of_20000_bytes)" 1310
	totals t
	((t[live_bytes] < 20000)) || fail "${t[live_bytes]} bytes live"
	assert_metric promshim_thread_ends_total -eq 100
}

# bats test_tags=trap:T44
@test "threads find their attributes, names and masks as without us; aio works" {
	local mode
	for mode in serve count; do
		PROMSHIM_MODE=$mode assert_unchanged "$targets/attributes"
		assert_equal "$status $(tail -n 1 bare.out)" "0 written"
		assert_equal "$(wc -l <bare.out)" 7
	done
}

# bats test_tags=trap:T44
@test "threads of ours are named as ours" {
	local -A names=()
	local task name
	start "$targets/idle"
	expect ready
	scrape # the server is there later than its port, and has its name when it answers
	for task in "/proc/$pid/task"/*; do
		name="$(<"$task/comm")"
		[[ "${task##*/}" == "$pid" || "$name" == promshim-* ]] || fail "a thread is called $name"
		names[$name]=1
	done
	assert_equal "${#names[@]}" 3
}

# bats test_tags=trap:T46
@test "a host that lives on its own faults is served, its handlers stay its own" {
	local mode
	for mode in serve count; do
		PROMSHIM_MODE=$mode assert_unchanged "$targets/faults" 100
	done
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/faults" 20000
	scrape
	expect "20000 repaired, 40000 jumped, 20000 of them for a file"
	scrape
	go_on
	expect "still mine"
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T55
@test "no counter falls and none counts twice while threads come and go" {
	local last="$BATS_TEST_TMPDIR/last" pages=0 started=0
	local -A t
	PROMSHIM_TEXTFILE="$PWD/end" start "$targets/threads" endless 1000
	until ((pages >= 30 && started >= 20000)); do
		fetch "http://127.0.0.1:$port/metrics"
		assert_not_below "$last" "$page"
		started="$(metric promshim_thread_starts_total)"
		mv "$page" "$last"
		pages=$((pages + 1))
	done
	go_on
	finish
	assert_equal "$status" 0
	started="$(sed -n 's/ started$//p' "$out")"
	page=end
	# at most what was started, each page before it too, as none fell
	assert_not_below "$last" "$page"
	totals t
	assert_equal "${t[starts]} ${t[ends]}" "$started $started"
	# 10 blocks of 20000 bytes of each thread, a size that libc itself does not ask for
	assert_equal "$(of_20000_bytes)" $((10 * started))
}

# No counter of a page is below an earlier page's.
assert_not_below() {
	[[ -e "$1" ]] || return 0
	run -0 awk '
		!/^#/ && /_(total|bucket|count|sum)[{ ]/ {
			if (NR == FNR) { before[$1] = $2; next }
			if ($2 + 0 < before[$1] + 0) print $1, "fell from", before[$1], "to", $2
			seen++
		}
		END { if (seen < 30) print "only", seen, "counters" }' "$1" "$2"
	assert_output ""
}

# bats test_tags=trap:T56
@test "hosts that end while they are scraped end as without us" {
	local i scraper
	for i in {1..10}; do
		start "$targets/threads" held 5
		expect "all there"
		# until nobody answers any more
		(
			exec {input}>&- # or the host would wait for it
			page=other
			# the pid, too: somebody else's host may get the port
			while [[ -e "/proc/$pid" ]] && is_served; do :; done
		) 3>&- &
		scraper=$!
		scrape
		finish
		assert_equal "$status $(<"$err")" "0 "
		assert_equal "$(tail -n 1 "$out")" "done"
		wait "$scraper" || true
	done
}

# bats test_tags=trap:T58
@test "a program that says much says the same when nothing can be served" {
	# shellcheck disable=SC2016 # for another shell to expand
	local program='for i in {1..200}; do echo "$i"; echo "error $i" >&2; done; ls /nonexistent; echo "${0##*/}" "$#"; exit 41'
	hold_port
	PROMSHIM_PORT="$held" assert_unchanged bash -c "$program" bash 1 2
	assert_equal "$status $(wc -l <bare.out) $(wc -l <bare.err)" "41 201 201"
	PROMSHIM_SOCKET=/nonexistent/socket assert_unchanged bash -c "$program" bash 1 2
	PROMSHIM_PORT=none PROMSHIM_SOCKET=/proc/socket PROMSHIM_PORT_FILE=/nonexistent/port PROMSHIM_TEXTFILE=/proc/page \
		PROMSHIM_LOG=/nonexistent/log assert_unchanged bash -c "$program" bash 1 2
	PROMSHIM_PORT=1 PROMSHIM_ADDRESS=203.0.113.1 assert_unchanged /usr/bin/python3 -c '
import sys
for i in range(2000): print(i, file=sys.stdout if i % 2 else sys.stderr)
sys.exit("an error")'
	assert_equal "$status" 1
}

# Without and with us in front of the object that makes up the time, and behind it: a command does
# the same, and in the end leaves its page.
assert_same_in_made_up_time() {
	run -0 bare LD_PRELOAD="$subject" "$@"
	local expected="$output" order
	for order in "$shim_so:$subject" "$subject:$shim_so"; do
		rm -f "$page"
		PROMSHIM_TEXTFILE="$page" run -0 bare LD_PRELOAD="$order" "$@"
		assert_output "$expected"
		check_page "$page" || fail "no page in $FAKETIME: $*"
	done
}

# bats test_tags=trap:T62
@test "a host whose clock stands, runs back, or races does as without us" {
	local FAKETIME
	need_subject faketime
	export FAKETIME
	for FAKETIME in '2000-01-01 00:00:00' '-20y x0.01' '+30y' '@2000-01-01 00:00:00 x1000'; do
		assert_same_in_made_up_time date +%Y
		assert_same_in_made_up_time "$targets/threads" plain 50
		assert_same_in_made_up_time "$targets/main_exit" 0
		! unshare --user true 2>/dev/null || assert_same_in_made_up_time unshare --user true
	done
}

# bats test_tags=trap:T62
@test "our intervals are real time where the host's clock is made up" {
	local FAKETIME
	need_subject faketime
	export FAKETIME
	behind="$subject"
	local from
	for FAKETIME in '2000-01-01 00:00:00' '@2000-01-01 00:00:00 x1000'; do
		from="$SECONDS"
		start "$targets/threads" held 3
		expect "all there"
		# what is published once a second
		wait_until threads_of_process_are 4
		go_on
		go_on
		go_on
		expect "all gone"
		wait_until threads_of_process_are 1
		assert_metric promshim_thread_lifetime_seconds_sum -gt 0
		# no longer than 3 threads could live
		assert_metric promshim_thread_lifetime_seconds_sum -le $((3 * (SECONDS - from + 1)))
		finish
		assert_equal "$status" 0
		PROMSHIM_TUNE=timeout=1s start "$targets/idle"
		run -0 half_a_request
		# without a word if the half came later than the second that it had
		[[ -z "$output" || "$output" == 'HTTP/1.1 408 Request Timeout' ]] || fail "$output"
		finish
		assert_equal "$status" 0
	done
}

# Sends the started host half a request, and waits for what it says to that: its first line.
half_a_request() {
	bare python3 -c '
import os, socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=int(os.environ["TESTS_PATIENCE"]))
peer.sendall(b"GET /metrics HTTP/1.1\r\n")
print(peer.makefile().readline().strip())' "$port"
}
