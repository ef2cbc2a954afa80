#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Python's own tests of what a preloaded object can break: each has the same result with us.
# bats file_tags=area:host,program

setup() {
	load ../helpers/common
	common_setup
	load ../helpers/real
	real_setup
	need_subject python-tests
	# The suite is a package of two parts: that of the installed python3, and what was unpacked.
	mkdir library
	cp -as /usr/lib/python3.11/test library/test
	cp -asf "${subject%/*}/." library/test
}

teardown() {
	common_teardown
}

# Prints the results of a report, one "test result" a line.
results() {
	/usr/bin/python3 -c '
import sys, xml.etree.ElementTree
for case in xml.etree.ElementTree.parse(sys.argv[1]).iter("testcase"):
    kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
    print(case.get("name"), *(kinds or ["passed"]))' "$1" | LC_ALL=C sort
}

# run_tests WAY MODULE [ARG...]: into WAY.results. bare and preload are ways.
run_tests() {
	local way="$1" module="$2"
	mkdir "$way"
	(
		cd "$way"
		# its status tells of failures, and so do the results
		"$way" PYTHONPATH="$BATS_TEST_TMPDIR/library" /usr/bin/python3 -m test \
			--junit-xml "$BATS_TEST_TMPDIR/$way.xml" "${@:3}" "$module" >../"$way.log" 2>&1 </dev/null || true
	)
	[[ -s "$way.xml" ]] || fail "$module did not come to its end: $(tail -n 20 "$way.log")"
	results "$way.xml" >"$way.results"
}

# assert_same_results MODULE PASSED [ARG...]: with us each test of the module has the result that
# it has without, and PASSED or more of them pass.
assert_same_results() {
	local module="$1" least="$2" passed
	run_tests bare "$module" "${@:3}"
	rm -f pages/*
	run_tests preload "$module" "${@:3}"
	diff bare.results preload.results || fail "$module: $(grep -A 12 -E '^(FAIL|ERROR):' preload.log | head -n 60)"
	passed="$(grep -c ' passed$' preload.results)"
	((passed >= least)) || fail "only $passed tests of $module passed"
	# it is named by what it was told to run
	assert_counted test
}

# Left out are tests that wait by the clock: they say nothing about us, and may fail on a busy
# machine.

@test "python3's tests of threading" {
	assert_same_results test_threading 150 -i '*timeout*' -i 'test_[34]_*' -i '*Barrier*'
}

@test "python3's tests of subprocess" {
	assert_same_results test_subprocess 150 -i '*timeout*' -i '*NoPoll*' -i '*_dead' -i '*_swap_*'
}

@test "python3's tests of os" {
	assert_same_results test_os 200
}

@test "python3's tests of socket" {
	assert_same_results test_socket 400 -i '*imeout*' -i '*Interrupted*' -i '*VSOCK*'
}

@test "python3's tests of signals" {
	assert_same_results test_signal 30 -i '*siginterrupt*' -i '*stress*' -i '*itimer*'
}

@test "python3's tests of multiprocessing by fork" {
	assert_same_results test_multiprocessing_fork 60 -m '*WithProcesses*' -i '*imeout*' -i '*Barrier*' \
		-i '*thread_safety' -i '*TestPoll*' -i '*no_failfast' -i '*_wait_result'
}
