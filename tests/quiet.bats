#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Hosts that are watched, stopped, shut in, or hidden from: they do as without us, and what we then
# cannot do is told.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
	log="$PWD/log"
	# what starts the host is not it, and has no port
	export PROMSHIM_INCLUDE=idle,sandbox,raw_ids,threads
}

teardown() {
	common_teardown
}

need_landlock() {
	mkdir -p open
	run "$targets/sandbox" landlock open /bin/true
	((status != 77)) || kernel_lacks landlock
	assert_success
}

# Linux 6.7 and later, the fourth version, bind ports too.
need_landlock_of_ports() {
	need_landlock
	run -0 "$targets/sandbox" landlock
	((output >= 4)) || kernel_lacks "landlock of ports"
}

# bats test_tags=trap:T48
@test "a host that landlock binds from the start runs, is served on its socket, and says why only there" {
	need_landlock_of_ports
	assert_unchanged "$targets/sandbox" landlock open "$targets/idle" 3
	assert_equal "$status" 3
	PROMSHIM_SOCKET="$PWD/open/socket" PROMSHIM_LOG="$PWD/open/log" \
		PROMSHIM_TEXTFILE="$page.text" start_silent "$targets/sandbox" landlock open "$targets/idle" 3
	expect ready
	wait_until is_served_on "$PWD/open/socket"
	scrape_socket "$PWD/open/socket"
	assert_metric promshim_malloc_allocations_total -ge 0
	assert_metric promshim_exporter_messages_total -eq 1
	run -0 cat open/log
	assert_output --partial "port 0 on 127.0.0.1 cannot be opened (EACCES). Only the socket is served."
	finish
	assert_equal "$status" 3
	[[ ! -e "$page.text" ]] || fail "written where the host may not write"
	run -0 grep -c "page.text cannot be written (EACCES). The file is left out." open/log
	assert_output 1
}

# bats test_tags=trap:T48
@test "a host that shuts itself in by landlock is served on, and writes where it may" {
	need_landlock
	run -0 bare "$targets/sandbox" landlock open </dev/null
	assert_output $'ready\nput away'
	PROMSHIM_TEXTFILE="$PWD/open/text" PROMSHIM_LOG="$PWD/open/log" start "$targets/sandbox" landlock open
	expect ready
	scrape
	go_on
	expect "put away"
	scrape
	assert_metric promshim_malloc_allocations_total -ge 1000
	finish
	assert_equal "$status" 0
	check_page open/text
	PROMSHIM_TEXTFILE="$PWD/text" PROMSHIM_LOG="$PWD/open/log" run -0 preload \
		"$targets/sandbox" landlock open </dev/null
	run -0 grep -c "text cannot be written (EACCES)" open/log
	assert_output 1
}

# bats test_tags=trap:T50
@test "threads that give up root by the bare system call, each for itself, are as without us" {
	((EUID == 0)) || missing root
	run -0 bare "$targets/raw_ids" </dev/null
	assert_output $'ready\ndropped\nrefused'
	start "$targets/raw_ids"
	expect ready
	scrape
	go_on
	expect dropped
	scrape
	assert_metric promshim_threads -eq 3
	go_on
	expect refused
	wait_until is_served
	scrape
	assert_metric promshim_thread_starts_total -eq 3
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$err")" ""
}

# Tells whether all threads of the host have stopped, each of which does so by itself; t is said of
# one that is traced.
has_stopped() {
	! awk '$1 == "State:" { print $2 }' "/proc/$pid/task/"*/status | grep -qvix t
}

# bats test_tags=trap:T45
@test "a host that is stopped is not served, and goes on as if nothing had been" {
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/idle" 3
	scrape
	kill -STOP "$pid"
	wait_until has_stopped
	run ! fetch --max-time 1 "http://127.0.0.1:$port/metrics"
	run "$promshim" check "$pid" # reads what a stopped process published
	assert_line --partial "It serves http://127.0.0.1:$port/metrics"
	kill -CONT "$pid"
	scrape
	assert_metric promshim_exporter_messages_total -eq 0
	finish
	assert_equal "$status" 3
	assert_equal "$(<"$err")" ""
}

# Only root may watch what is no child of its own, where the system is so set.
need_ptrace() {
	local scope=0
	[[ ! -e /proc/sys/kernel/yama/ptrace_scope ]] || read -r scope </proc/sys/kernel/yama/ptrace_scope
	((EUID == 0 && scope < 3 || scope == 0)) || missing "the right to watch processes"
}

# Prints how many ticks, each of which reads the host's stat, lie between two waits of the keeper.
ticks_a_wait() {
	awk '/\(idle\)/ { ticks++ } /futex/ { if (ticks) print ticks; ticks = 0 }' "$1"
}

# bats test_tags=trap:T45
@test "what a stopped host has missed is not caught up with" {
	need_ptrace
	need_subject strace
	local task keeper=
	start "$targets/idle" 3
	scrape
	for task in "/proc/$pid/task/"*; do
		[[ "$(<"$task/comm")" != promshim-keeper ]] || keeper="${task##*/}"
	done
	"$SUBJECTS_DIR/strace/run" strace -qq -o trace -e trace=futex,pread64,openat -p "$keeper" 2>trace.err 3>&- &
	local tracer=$!
	wait_until grep -qs futex trace
	kill -STOP "$pid"
	wait_until has_stopped
	# two ticks and more go by
	local until=$((SECONDS + 3))
	is_over() {
		((SECONDS >= until))
	}
	wait_until is_over
	kill -CONT "$pid"
	local waits
	waits="$(grep -c futex trace)"
	has_waited() {
		(($(grep -c futex trace) > waits + 1))
	}
	wait_until has_waited
	kill "$tracer"
	wait "$tracer" || true
	run -0 ticks_a_wait trace
	assert_output --regexp $'^1\n1(\n1)*$'
	scrape
	finish
	assert_equal "$status" 3
}

# bats test_tags=trap:T59
@test "a host that a debugger stops and lets go is served on" {
	need_ptrace
	need_subject strace gdb
	start "$targets/threads" held 3
	expect "all there"
	scrape
	run -0 env -u DEBUGINFOD_URLS "$SUBJECTS_DIR/gdb/run" gdb -nx -batch -p "$pid" -ex 'info threads' -ex detach
	assert_output --partial promshim-server
	scrape
	"$SUBJECTS_DIR/strace/run" strace -f -qq -o trace -p "$pid" 2>trace.err 3>&- &
	local tracer=$!
	traced() {
		grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$pid/status"
	}
	wait_until traced
	scrape
	go_on
	go_on
	go_on
	expect "all gone"
	scrape
	assert_metric promshim_thread_ends_total -eq 3
	kill "$tracer"
	wait "$tracer" || true
	finish
	assert_equal "$status" 0
}

# Runs what follows in a mount name space in which $1, a command of the shell, has been done.
mounted() {
	mounted=(unshare --mount --propagation private bash -c "$1"' && exec "$0" "$@"')
}

# bats test_tags=trap:T50
@test "a host without /proc is counted and served, without the figures of its process" {
	((EUID == 0)) || missing root
	local -a mounted
	mounted 'mount -t tmpfs none /proc'
	assert_unchanged "${mounted[@]}" "$targets/idle" 3
	start "${mounted[@]}" "$targets/idle" 3
	scrape
	assert_metric promshim_malloc_allocations_total -ge 0
	refute_metric process_resident_memory_bytes
	refute_metric process_open_fds
	finish
	assert_equal "$status" 3
}

# bats test_tags=trap:T50
@test "a host that sees no process but its own is served with all its figures" {
	((EUID == 0)) || missing root
	local -a mounted
	mounted 'mount -t proc -o hidepid=2 none /proc'
	assert_unchanged unshare --pid --fork "${mounted[@]}" "$targets/idle" 3
	start "${mounted[@]}" "$targets/idle" 3
	scrape
	assert_metric process_resident_memory_bytes -gt 100000
	assert_metric process_open_fds -ge 3
	finish
	assert_equal "$status" 3
}

# bats test_tags=trap:T48
@test "a host on a read-only system is served, and each file that is missing is told" {
	((EUID == 0)) || missing root
	local -a mounted
	mkdir read-only
	mounted "mount --bind '$PWD/read-only' '$PWD/read-only' && mount -o remount,bind,ro '$PWD/read-only'"
	export PROMSHIM_TEXTFILE="$PWD/read-only/text" PROMSHIM_PORT_FILE="$PWD/read-only/port" \
		PROMSHIM_SOCKET="$PWD/read-only/socket"
	assert_unchanged "${mounted[@]}" "$targets/idle" 3
	PROMSHIM_LOG="$log" start_silent "${mounted[@]}" "$targets/idle" 3
	expect ready
	wait_until grep -q read-only/port "$log"
	port="$("$promshim" check "$pid" | awk '$1 == "port" { print $2 }')"
	scrape
	assert_metric promshim_exporter_messages_total -eq 2
	finish
	assert_equal "$status" 3
	run -0 grep -c 'cannot be .* (EROFS)\. ' "$log"
	assert_output 3
}

# bats test_tags=trap:T50
@test "a host without /dev/null is counted, and told that nothing is served if so" {
	((EUID == 0)) || missing root
	local -a mounted
	mounted 'mount -t tmpfs none /dev'
	PROMSHIM_LOG="$log" PROMSHIM_TEXTFILE="$page" assert_unchanged "${mounted[@]}" "$targets/idle" 3
	check_page "$page"
	if ! grep -q '^promshim_exporter_messages_total 0' "$page"; then
		run -0 grep -c 'no descriptor table of our own' "$log"
		assert_output 1
	fi
}
