#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Limits: of descriptors, memory, processes, file sizes, disks. The host does as without us; we do
# less, and say what, why, and what would help.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
	log="$PWD/log"
	# what starts the host is not it, and has no port
	export PROMSHIM_INCLUDE=idle,limits,python3
	nobody=()
	((EUID != 0)) || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
}

teardown() {
	[[ -z "${cgroup-}" ]] || leave_cgroup
	common_teardown
}

# The log has one line of a kind, in one form: what. Consequence. What to do.
assert_told() {
	run -0 grep -c -F -- "$1" "$log"
	assert_output 1
	run -0 grep -F -- "$1" "$log"
	assert_output --regexp '^promshim\[[0-9]+\]: (warning|error): [^ ].*[.:] [A-Z].*[.)]$'
	assert_output --partial "$2"
}

# bats test_tags=trap:T49
@test "few descriptors are the host's; below five nothing is served, and a message says so" {
	local most
	for most in 0 3; do # not even the loader finds what it needs: its words name us
		run -127 bare prlimit --nofile="$most" "$targets/idle" 3 </dev/null
		run -127 preload prlimit --nofile="$most" "$targets/idle" 3 </dev/null
	done
	for most in 4 5 6 7 8 9 20; do
		assert_unchanged prlimit --nofile="$most" "$targets/idle" 3
		assert_equal "$status" 3
		PROMSHIM_TEXTFILE="$page" run -3 preload prlimit --nofile="$most" "$targets/idle" 3 \
			</dev/null
		check_page "$page"
		rm "$page"
	done
	PROMSHIM_TEXTFILE="$page" start_silent prlimit --nofile=4 "$targets/idle" 3
	expect ready
	check_says EMFILE
	assert_output --partial "Raise the limit of open files (ulimit -n)."
	finish
	assert_equal "$status" 3
	assert_metric promshim_exporter_messages_total -ge 1
}

# Waits until `promshim check` has something to say about the last started host: $output.
check_says() {
	says() {
		run "$promshim" check "$pid"
		[[ "${output-}" == *"$1"* ]]
	}
	wait_until says "$1"
}

# bats test_tags=trap:T49
@test "descriptors taken away while it serves are missed, told, and used again" {
	start "$targets/idle" 3
	scrape
	prlimit --nofile=3: --pid "$pid"
	# who asks now gets no answer, and it is the one who waited that is served later
	rm "$page"
	fetch "http://127.0.0.1:$port/metrics" 4>&- 10>&- &
	local client=$!
	check_says "a client could not be accepted (EMFILE)"
	assert_output --partial "Raise the limit of open files (ulimit -n)."
	[[ ! -e "$page" ]] || fail "there was a descriptor"
	prlimit --nofile=1024: --pid "$pid"
	wait "$client"
	check_page "$page"
	scrape
	assert_metric promshim_exporter_messages_total -eq 1
	finish
	assert_equal "$status" 3
}

# bats test_tags=trap:T50
@test "a host short of address space or data runs, and is told what we lack" {
	local bounds
	for bounds in --as={4,5,6,8,10,12,20,30,100}000000 --data={500,800,1000,2000,5000,9000}000; do
		assert_unchanged prlimit "$bounds" "$targets/idle" 3
		assert_equal "$bounds $status" "$bounds 3"
	done
	PROMSHIM_LOG="$log" run -3 preload prlimit --data=500000 "$targets/idle" 3 </dev/null
	assert_told "no memory for the counters" "Raise its limits of address space and data"
	rm "$log"
	PROMSHIM_LOG="$log" start_silent prlimit --as=6000000 "$targets/idle" 3
	expect ready
	wait_until test -s "$log"
	assert_told "no memory for the exporter" "Raise the limit of address space."
	check_says "no memory for the exporter"
	finish
	assert_equal "$status" 3
}

# bats test_tags=trap:T50
@test "a host that has used up its memory is served on, and gets the same back" {
	local -a bounded=(prlimit --as=60000000)
	run -0 bare "${bounded[@]}" "$targets/limits" memory </dev/null
	assert_output $'ready\nno memory\ngiven back'
	start "${bounded[@]}" "$targets/limits" memory
	scrape
	go_on
	expect "no memory"
	scrape
	assert_metric promshim_malloc_failures_total -ge 1
	assert_metric promshim_malloc_live_bytes -gt 10000000
	go_on
	expect "given back"
	scrape
	assert_metric promshim_malloc_live_bytes -lt 100000
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$err")" ""
}

# bats test_tags=trap:T50
@test "a host that locks its memory is served on" {
	((EUID == 0)) || missing root
	run -0 bare "$targets/limits" locked </dev/null
	# it may lock whatever it wants, the limit does not bind it
	start prlimit --memlock=65536 "$targets/limits" locked
	expect locked
	scrape
	scrape
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$err")" ""
	PROMSHIM_TUNE=slow_interval=100ms assert_unchanged "$targets/limits" locked
}

# bats test_tags=trap:T44
@test "a host that may have no more processes runs, and is told that nothing is served" {
	go_public idle
	log="$public/log"
	export PROMSHIM_TEXTFILE="$public/page"
	run -3 preload "${nobody[@]}" prlimit --nproc=0 "$targets/idle" 3 </dev/null
	unset PROMSHIM_TEXTFILE
	page="$public/page" assert_metric promshim_exporter_messages_total -eq 1
	assert_unchanged "${nobody[@]}" prlimit --nproc=0 "$targets/idle" 3
	PROMSHIM_LOG="$log" start_silent "${nobody[@]}" prlimit --nproc=0 "$targets/idle" 3
	expect ready
	wait_until test -s "$log"
	assert_told "our thread cannot be started: EAGAIN" "Raise the limit of threads."
	check_says "our thread cannot be started"
	finish
	assert_equal "$status" 3
}

# bats test_tags=trap:T50
@test "a limit of file sizes costs the host nothing, and us the file" {
	local blocks
	# shellcheck disable=SC2016 # for another shell to expand
	for blocks in 0 1 64; do
		PROMSHIM_TEXTFILE="$PWD/text" PROMSHIM_PORT_FILE="$PWD/port" assert_unchanged bash -c \
			'set -o pipefail; (ulimit -f "$1"; exec "$0" 3) | cat' "$targets/idle" "$blocks"
		assert_equal "$status" 3
	done
	# a log needs few bytes, a page more
	PROMSHIM_TEXTFILE="$page" PROMSHIM_LOG="$log" run -3 preload prlimit --fsize=1000 \
		"$targets/idle" 3 </dev/null
	assert_told "$page cannot be written (EFBIG). The file is left out." "(ulimit -f)"
	[[ ! -e "$page" ]] || fail "half a page was left"
}

# bats test_tags=trap:T45
@test "the signal of used up CPU time is the host's" {
	assert_unchanged prlimit --cpu=1:9 "$targets/limits" time
	assert_equal "$status $(<bare.out)" "0 caught 1"
	assert_unchanged prlimit --cpu=1:1 bash -c 'while :; do :; done'
	assert_equal "$status" 137
}

@test "small limits of signals, locks, queues and priorities change nothing" {
	assert_unchanged prlimit --sigpending=0 --locks=0 --msgqueue=0 --rtprio=0 --nice=0 --core=0 \
		--memlock=0 --rttime=0 "$targets/idle" 3
	assert_unchanged prlimit --stack=65536 "$targets/idle" 3
	assert_unchanged prlimit --stack=unlimited "$targets/idle" 3
}

# bats test_tags=trap:T50
@test "a full disk costs the host nothing, and is told for each file" {
	((EUID == 0)) || missing root
	local -a full=(unshare --mount bash -c '
		mkdir -p "$0" && mount -t tmpfs -o size=64k none "$0" &&
			{ dd if=/dev/zero of="$0/full" bs=4096 count=32 || true; } 2>/dev/null && exec "$@"' "$PWD/small")
	export PROMSHIM_TEXTFILE="$PWD/small/text" PROMSHIM_PORT_FILE="$PWD/small/port" \
		PROMSHIM_SOCKET="$PWD/small/socket"
	PROMSHIM_LOG="$PWD/small/log" assert_unchanged "${full[@]}" "$targets/idle" 3
	assert_equal "$status" 3
	PROMSHIM_LOG="$log" start_silent "${full[@]}" "$targets/idle" 3
	expect ready
	wait_until grep -q small/port "$log"
	assert_told "small/port cannot be written (ENOSPC). The file is left out." "Make room"
	port="$("$promshim" check "$pid" | awk '$1 == "port" { print $2 }')"
	scrape # the port itself needs no room
	assert_metric promshim_exporter_messages_total -ge 1
	finish
	assert_equal "$status" 3
	assert_told "small/text cannot be written (ENOSPC). The file is left out." "Make room"
}

@test "a full /dev/shm is nothing to us: nothing of ours lies there" {
	((EUID == 0)) || missing root
	local -a full=(unshare --mount bash -c '
		mount -t tmpfs -o size=4k none /dev/shm && { printf "%08192d" 0 >/dev/shm/full || true; } 2>/dev/null &&
			exec "$0" "$@"')
	assert_unchanged "${full[@]}" "$targets/idle" 3
	start "${full[@]}" "$targets/idle" 3
	scrape
	assert_metric promshim_exporter_messages_total -eq 0
	run -0 ls "/proc/$pid/root/dev/shm"
	assert_output full
	finish
	assert_equal "$status" 3
}

# Makes a cgroup with a controller, of either version, in a mount of our own: $cgroup.
# $1 is pids or memory, $2 and $3 its limit in version 1, $4 and $3 in version 2.
enter_cgroup() {
	((EUID == 0)) || missing root
	mkdir mounted
	mount -t cgroup -o "$1" none mounted 2>/dev/null \
		|| mount -t cgroup2 none mounted 2>/dev/null || missing "cgroups"
	cgroup="$(mktemp -d "$PWD/mounted/promshim-XXXXXX")"
	if [[ -e "$cgroup/$2" ]]; then
		printf '%s\n' "$3" >"$cgroup/$2"
	else
		[[ -e "$cgroup/$4" ]] || printf '+%s\n' "$1" >mounted/cgroup.subtree_control
		printf '%s\n' "$3" >"$cgroup/$4"
	fi || missing "the controller $1"
}

remove_cgroup() {
	rmdir "$cgroup" 2>/dev/null
}

# As all who were in it have ended, it can go.
leave_cgroup() {
	common_teardown
	wait_until remove_cgroup
	umount "$PWD/mounted"
	cgroup=
}

# Runs a command in $cgroup.
# shellcheck disable=SC2016 # for another shell to expand
inside='echo $$ >"$0/cgroup.procs" && exec "$@"'

# bats test_tags=trap:T44
@test "a cgroup that allows one process leaves the host alone, and us without a thread" {
	enter_cgroup pids pids.max 1 pids.max
	assert_unchanged bash -c "$inside" "$cgroup" "$targets/idle" 3
	assert_equal "$status" 3
	PROMSHIM_LOG="$log" start_silent bash -c "$inside" "$cgroup" "$targets/idle" 3
	expect ready
	wait_until test -s "$log"
	assert_told "our thread cannot be started: EAGAIN" "Raise the limit of threads."
	finish
	assert_equal "$status" 3
}

# bats test_tags=trap:T50
@test "a cgroup's limit of memory ends the host as without us, and is on the page" {
	# room for Python's start, and none for what it then asks for, on no swap either
	enter_cgroup memory memory.limit_in_bytes 33554432 memory.max
	local swap
	for swap in "memory.memsw.limit_in_bytes 33554432" "memory.swap.max 0"; do
		[[ ! -e "$cgroup/${swap% *}" ]] || printf '%s\n' "${swap#* }" >"$cgroup/${swap% *}"
	done
	assert_unchanged bash -c "$inside" "$cgroup" /usr/bin/python3 -c \
		'print("before", flush=True); x = "x" * (64 << 20); print(len(x))'
	assert_equal "$status" 137
	# moved there while it serves
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/idle" 3
	scrape
	printf '%s\n' "$pid" >"$cgroup/cgroup.procs"
	has_limit() {
		scrape
		[[ "$(metric promshim_memory_limit_bytes)" == 33554432 ]]
	}
	wait_until has_limit
	finish
	assert_equal "$status" 3
}
