#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Hosts under seccomp filters that kill at any call but the host's own: those that the host
# installs, and those that were there before it.

setup() {
	load helpers/common
	common_setup
	export PROMSHIM_TEXTFILE="$BATS_TEST_TMPDIR/last" PROMSHIM_LOG="$BATS_TEST_TMPDIR/log"
}

teardown() {
	common_teardown
}

# Every call that we make in a host, one a line.
table() {
	sed -nE 's/^KERNEL_OTHER\([A-Z]+, ([a-z_0-9]+)\)$/\1/p; s/^KERNEL_CALL[0-6]\([A-Z]+, [a-z_]+, ([a-z_0-9]+)[,)].*/\1/p' \
		"$SOURCE_ROOT/exporter/base/kernel.def"
}

# Whether a started host has threads of ours.
has_our_threads() {
	grep -qs promshim "/proc/$pid/task/"*/comm
}

# bats test_tags=trap:T48
@test "a host that filters its own thread lives on without a call of ours, in each mode" {
	local way list mode
	for way in prctl syscall number strict; do
		for list in work thread; do
			[[ "$way $list" != "strict thread" ]] || continue
			for mode in serve count off; do
				PROMSHIM_MODE="$mode" assert_unchanged "$targets/seccomp" "$way" "$list"
				assert_equal "$status" 0
			done
		done
	done
}

# bats test_tags=trap:T48
@test "a host that filters all its threads lives on, without ours" {
	local list mode
	for list in work thread; do
		for mode in serve count; do
			PROMSHIM_MODE="$mode" assert_unchanged "$targets/seccomp" tsync "$list"
			assert_equal "$status" 0
		done
	done
	start "$targets/seccomp" tsync thread
	has_our_threads || fail 'nothing was served before'
	go_on
	expect filtered
	! has_our_threads || fail 'our threads are still there'
	run "$promshim" check "$pid"
	assert_output --partial 'the program puts a seccomp filter on all its threads'
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T48
@test "a host that filters its own thread is served on, and counted exactly" {
	start "$targets/seccomp" prctl thread
	go_on
	expect filtered
	scrape
	# two rounds of 1,000, and a block of each of 30 threads; libc makes the threads' own
	assert_metric promshim_malloc_allocations_total -ge 2030
	assert_metric promshim_malloc_request_size_bytes_sum -ge $((2 * 500500 + 30 * 100))
	assert_metric promshim_uncounted_events_total -eq 30
	assert_metric promshim_threads -eq 0
	grep -q 'make no system call of ours' "$BATS_TEST_TMPDIR/log"
	finish
	assert_equal "$status" 0
	[[ ! -e "$BATS_TEST_TMPDIR/last" ]] || fail 'the text file was written under the filter'
}

# bats test_tags=trap:T48
@test "a host that changes its ids under its filter makes no call but its own" {
	local mode
	for mode in serve count; do
		PROMSHIM_MODE="$mode" assert_unchanged "$targets/seccomp" prctl ids
		assert_equal "$status" 0
	done
}

@test "a host with functions of its own by our hooks' names is not called by us" {
	assert_unchanged "$targets/seccomp" own work
	assert_equal "$status" 0
}

# bats test_tags=trap:T39
@test "a host whose only thread ends by the number of exit ends" {
	assert_unchanged "$targets/seccomp" exit work
	assert_equal "$status" 3
	start "$targets/seccomp" exit work
	scrape
	finish
	assert_equal "$status" 3
}

# bats test_tags=trap:T48
@test "a filter that the kernel refuses, or a question about filters, changes nothing" {
	local way
	for way in refused asked vfork; do
		start "$targets/seccomp" "$way" thread
		go_on
		expect filtered
		wait_until is_served
		go_on
		finish
		assert_equal "$status" 0
		# what was seen as a filter would keep it from being written
		grep -q promshim_malloc_allocations_total "$BATS_TEST_TMPDIR/last"
		rm "$BATS_TEST_TMPDIR/last"
	done
}

# The filter in front of a command: it allows what starts a program, and what that does itself.
# bats test_tags=trap:T48
@test "a program that starts under a filter is left alone, and check says why" {
	local program
	for program in /bin/true "$targets/idle"; do
		assert_unchanged "$targets/seccomp" exec start "$program"
		assert_equal "$status" 0
	done
	start_silent "$targets/seccomp" exec start "$targets/idle"
	expect ready
	! has_our_threads || fail 'threads of ours under a filter that forbids them'
	run "$promshim" check "$pid"
	assert_failure 1
	assert_output --partial 'started under a seccomp filter'
	assert_output --partial 'PROMSHIM_TUNE=seccomp=1'
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T48
@test "a filter of our own table is enough to be counted and served, from start to text file" {
	unset PROMSHIM_LOG # the trusted filter, and with it every slow path of ours
	export PROMSHIM_TUNE=seccomp=1,slow_interval=100ms PROMSHIM_SOCKET="$BATS_TEST_TMPDIR/socket"
	# not the program before it: where that gets time to serve, the port would be a dead one's
	PROMSHIM_INCLUDE=idle start "$targets/seccomp" exec ours "$targets/idle"
	scrape
	scrape_socket "$PROMSHIM_SOCKET"
	fetch "http://127.0.0.1:$port/"
	wait_until shows_allocator
	"$promshim" check "$pid" | grep -q ': yes'
	finish
	assert_equal "$status" 0
	check_page "$BATS_TEST_TMPDIR/last"

	rm "$BATS_TEST_TMPDIR/last"
	PROMSHIM_LOG="$BATS_TEST_TMPDIR/log" preload "$targets/seccomp" exec ours "$targets/exact" 8 1000
	check_page "$BATS_TEST_TMPDIR/last"
}

# bats test_tags=trap:T48
@test "a container's filter, which its first process has too, is no obstacle" {
	unshare --pid --fork --mount-proc true 2>"$BATS_TEST_TMPDIR/why" || missing "namespaces: $(<"$BATS_TEST_TMPDIR/why")"
	PROMSHIM_INCLUDE=idle start unshare --pid --fork --mount-proc "$targets/seccomp" exec errno \
		/bin/sh -c '"$1"; exit $?' sh "$targets/idle"
	expect ready
	scrape
	finish
	assert_equal "$status" 0
}

@test "a program that copies itself under a filter that forbids the clock lives, in every mode" {
	local setting
	run -0 bare "$targets/copy_filtered"
	assert_output copied
	for setting in PROMSHIM_MODE={off,count,serve} PROMSHIM_EXCLUDE=copy_filtered; do
		run -0 preload "$setting" "$targets/copy_filtered"
		assert_output copied
	done
}

@test "the manual page lists the calls of the table" {
	sed -n '/^# SECCOMP/,/^A program/p' "$SOURCE_ROOT/exporter/docs/promshim.1.scd" \
		| grep -oE '\b[a-z_0-9]+_[,.]' | sed 's/^_//; s/_[,.]$//' | sort >listed
	table | sort -u >table
	assert [ -s table ]
	diff table listed
}

@test "systemd's list for services allows every call of the table" {
	command -v systemd-analyze >/dev/null || missing systemd-analyze
	systemd-analyze syscall-filter | awk '/^@/ { set = $1; next } /^ / { print set, $1 }' >sets
	# sets hold sets
	awk 'function add(set,  i) {
			for (i = 1; i <= n; i++) if (of[i] == set) {
				if (what[i] ~ /^@/) add(what[i]); else allowed[what[i]] = 1
			}
		}
		NR == FNR { of[++n] = $1; what[n] = $2; next }
		FNR == 1 { add("@system-service") }
		!($1 in allowed)' sets <(table) >missing
	run cat missing
	assert_output ''
}
