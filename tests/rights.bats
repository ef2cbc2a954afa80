#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Hosts that give up rights and resources: they do as without us, and are served on.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# Drops what CASE says, with scrapes before and after.
assert_drops() {
	[[ "$1" == memory ]] || ((EUID == 0)) || missing root
	run -0 bare "$targets/rights" "$1" </dev/null
	assert_output $'ready\ndropped'
	PROMSHIM_MODE=count run -0 preload "$targets/rights" "$1" </dev/null
	start "$targets/rights" "$1"
	expect ready
	scrape
	scrape
	scrape
	go_on
	expect dropped
	# our threads may have had to make way for the call
	wait_until is_served
	scrape
	assert_metric process_resident_memory_bytes -gt 100000
	assert_metric 'promshim_exporter_http_requests_total{code="200"}' -ge 3 # they went on counting
	# no thread, ours neither, keeps what the host gave up
	assert_equal "$(sed -n 's/^CapEff:\t//p' "/proc/$pid/task/"*/status | sort -u | wc -l)" 1
	finish
	assert_equal "$(<"$err")" ""
	assert_equal "$status" 0
}

# bats test_tags=trap:T50
@test "a host that drops its uid and groups is served on" {
	assert_drops uid
}

# bats test_tags=trap:T50
@test "a host that keeps capabilities over its change of uid is served on" {
	assert_drops keepcaps
}

# bats test_tags=trap:T50
@test "a host that drops capabilities of its thread is served on" {
	assert_drops capset
}

# bats test_tags=trap:T50
@test "a host that changes the uids of its thread alone is served on" {
	assert_drops apart
}

# bats test_tags=trap:T47
@test "a host that unshares its user by the number of the call is served on" {
	assert_drops newuser
}

# bats test_tags=trap:T50
@test "a host in a chroot without /proc is served on" {
	assert_drops chroot
}

# bats test_tags=trap:T50
@test "a host without more address space is served on" {
	assert_drops memory
}

# bats test_tags=trap:T35,trap:T47
@test "a host that unshares its children's pids gets the first child itself" {
	((EUID == 0)) || missing root
	run -0 bare "$targets/rights" children </dev/null
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/rights" children
	expect ready
	go_on
	expect dropped
	scrape
	finish
	assert_equal "$(<"$err")" ""
	assert_equal "$status" 0
	assert_unchanged unshare --pid --fork sh -c 'echo $$'
}

# bats test_tags=trap:T50
@test "a host that is short of address space from the start runs as without us" {
	local kib
	for kib in 10000 20000 50000 100000; do
		assert_unchanged bash -c "ulimit -v $kib; exec \"\$0\" 3" "$targets/idle"
	done
}

# bats test_tags=trap:T50
@test "a host with small limits of stack, locked memory and data runs as without us" {
	assert_unchanged bash -c 'ulimit -s 100; exec "$0" 3' "$targets/idle"
	assert_unchanged bash -c 'ulimit -l 0; exec "$0" 3' "$targets/idle"
	assert_unchanged bash -c 'ulimit -d 1000; exec "$0" 3' "$targets/idle"
	assert_unchanged bash -c 'ulimit -i 0; exec "$0" 3' "$targets/idle"
	assert_unchanged bash -c 'ulimit -n 5; exec "$0" 3' "$targets/idle"
}

# bats test_tags=trap:T50
@test "programs that change their user do as without us" {
	((EUID == 0)) || missing root
	go_public
	assert_unchanged setpriv --reuid 65534 --regid 65534 --clear-groups id
	assert_unchanged setpriv --reuid 65534 --clear-groups id
	assert_unchanged setpriv --bounding-set -all --inh-caps -all id
	assert_unchanged su -s /bin/sh nobody -c id
	assert_unchanged runuser -u nobody -- id
	assert_unchanged chroot --userspec=65534:65534 / id
}

# bats test_tags=trap:T09
@test "a program with capabilities of its file runs untouched" {
	((EUID == 0)) || missing root
	command -v setcap >/dev/null || missing setcap
	go_public secure
	setcap cap_net_raw+ep "$targets/secure" || missing "a file system with capabilities"
	run -0 --separate-stderr preload setpriv --reuid 65534 --clear-groups "$targets/secure"
	assert_output "secure 1, not mapped"
}
