#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Starting: whatever the loader, the environment and the settings are, the host runs as without us.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# bats test_tags=trap:T01,trap:T41
@test "calls from constructors, preinit and destructors are counted" {
	local -A t
	run -0 bare "$targets/early"
	run -0 count "$targets/early"
	assert_output main
	totals t
	# preinit, library's constructor twice, constructor, main, atexit; the destructors of program and library
	# may run after the page was written
	((t[allocations] >= 6)) || fail "only ${t[allocations]} allocations"
	((t[frees] >= 5)) || fail "only ${t[frees]} frees"
	((t[live_blocks] <= 1)) || fail "${t[live_blocks]} blocks live"
}

# bats test_tags=trap:T01
@test "an indirect function's resolver may allocate before we are relocated" {
	run -0 bare "$targets/early_ifunc"
	run -0 preload "$targets/early_ifunc"
	assert_output answered
}

# bats test_tags=trap:T05,trap:T06
@test "the first allocation may come from inside libc, under a lock of its" {
	assert_unchanged "$targets/early_locale"
	assert_equal "$status" 0
	PROMSHIM_MODE=count assert_unchanged "$targets/early_locale"
}

@test "LD_BIND_NOW changes nothing" {
	LD_BIND_NOW=1 run -0 count "$targets/cxx" 5
	assert_output done
	LD_BIND_NOW=1 run -0 count "$targets/threads" plain 50
	assert_output done
}

# bats test_tags=trap:T06
@test "ldd, the loader and libc run as programs" {
	run -0 --separate-stderr preload ldd /bin/ls
	assert_output --partial libpromshim.so
	assert_equal "$stderr" ""
	run -0 preload /lib64/ld-linux-x86-64.so.2 "$targets/idle" 0 </dev/null
	assert_output ready
	run -0 preload /lib/x86_64-linux-gnu/libc.so.6
	assert_line --partial "GNU C Library"
}

# bats test_tags=trap:T06
@test "the loader's debugging does not crash the host" {
	LD_DEBUG=all LD_DEBUG_OUTPUT="$PWD/debug" run -0 preload "$targets/cxx" 2
	assert_output done
	LD_DEBUG=statistics LD_DEBUG_OUTPUT="$PWD/debug" run -0 preload "$targets/threads" plain 10
	assert_output done
}

# bats test_tags=trap:T10
@test "an empty environment is no difference" {
	run -0 --separate-stderr bare -i LD_PRELOAD="$shim_so" PROMSHIM_PORT=0 "$targets/idle" \
		</dev/null
	assert_output ready
	assert_equal "$stderr" ""
}

# bats test_tags=trap:T10
@test "nothing of ours needs a setting: the bare LD_PRELOAD serves on the default port or not at all" {
	run -3 --separate-stderr bare -u PROMSHIM_PORT LD_PRELOAD="$shim_so" "$targets/idle" 3 \
		</dev/null
	assert_output ready
	assert_equal "$stderr" ""
}

# bats test_tags=trap:T09
@test "a static program runs untouched" {
	assert_unchanged "$targets/static" 6
	run -6 preload "$targets/static" 6 </dev/null
	assert_output ready
}

# bats test_tags=trap:T09
@test "a setuid program runs untouched" {
	((EUID == 0)) || missing root
	command -v setpriv >/dev/null || missing setpriv
	local folder bare
	folder="$(mktemp -d /tmp/promshim-secure.XXXXXX)"
	install -m 755 "$targets/secure" "$folder/plain"
	install -m 4755 "$targets/secure" "$folder/setuid"
	install -m 755 "$shim_so" "$folder/libpromshim.so"
	chmod 755 "$folder"
	shim_so="$folder/libpromshim.so"
	run -0 bare setpriv --reuid 65534 --clear-groups "$folder/setuid"
	bare="$output"
	run -0 preload setpriv --reuid 65534 --clear-groups "$folder/plain"
	local plain="$output"
	run -0 --separate-stderr preload setpriv --reuid 65534 --clear-groups "$folder/setuid"
	rm -r "$folder"
	[[ "$bare" == "secure 1"* ]] || missing "setuid programs in /tmp: $bare"
	assert_equal "$plain" "secure 0, mapped"
	assert_output "secure 1, not mapped"
}

# bats test_tags=trap:T07
@test "200 short commands print and cost nothing that is seen" {
	assert_unchanged bash -c 'for i in {1..200}; do /bin/true || exit 1; done; /bin/echo end'
}

@test "nonsense in every setting is a message, and the host runs on" {
	local name value
	bare "$targets/idle" 5 >bare.out 2>bare.err </dev/null || true # a name that nobody reads changes nothing
	for name in MODE DISABLE PORT ADDRESS SOCKET PORT_FILE PROGRAM GROUP_BY INCLUDE EXCLUDE \
		COLLECTORS SAMPLE_BYTES PPROF TEXTFILE LOG DIR TUNE; do
		for value in "" nonsense -1 99999999999999999999 "$(printf 'x%.0s' {1..5000})" \
			$'\x01\xff\n' '%s%n%p%' '*' /nonexistent/x/y '=,=,='; do
			local rc=0
			preload "PROMSHIM_$name=$value" "$targets/idle" 5 >shim.out 2>shim.err \
				</dev/null || rc=$?
			[[ $rc == 5 ]] || fail "PROMSHIM_$name=${value:0:20}: status $rc"
			cmp bare.out shim.out
			# LOG says where messages go: nonsense there is no place
			cmp bare.err shim.err || fail "PROMSHIM_$name=${value:0:20}: $(<shim.err)"
		done
	done
}

@test "a bad value and a misspelt name are on the page, one message each" {
	PROMSHIM_PROT=1 PROMSHIM_COLLECTORS=heap PROMSHIM_LOG="$PWD/log" start "$targets/idle"
	scrape
	assert_metric promshim_exporter_invalid_settings -eq 2
	run -0 grep -c PROMSHIM_PROT log
	assert_output 1
	run -0 grep PROMSHIM_PROT log
	assert_output --partial PROMSHIM_PORT
	run -0 grep -c PROMSHIM_COLLECTORS log
	assert_output 1
}

# bats test_tags=trap:T58
@test "a busy port is one message, and nothing for the host" {
	hold_port
	PROMSHIM_PORT="$held" assert_unchanged "$targets/idle" 4
	PROMSHIM_PORT="$held" PROMSHIM_LOG="$PWD/log" start_silent "$targets/idle" 4
	expect ready
	wait_until grep -q "$held" log
	finish
	assert_equal "$status" 4
	run -0 grep -c "$held" log
	assert_output 1
}

# bats test_tags=trap:T58
@test "a socket that cannot be made is one message, and nothing for the host" {
	local path
	for path in /nonexistent/socket /proc/socket "$PWD" "$(printf 'x%.0s' {1..200})"; do
		PROMSHIM_SOCKET="$path" assert_unchanged "$targets/idle" 4
	done
	PROMSHIM_SOCKET=/nonexistent/socket PROMSHIM_LOG="$PWD/log" start "$targets/idle" 4
	expect ready
	scrape
	run -0 grep -c /nonexistent/socket log
	assert_output 1
	finish
	assert_equal "$status" 4
}

@test "a UNIX socket is served beside the port and instead of it, for its owner only" {
	PROMSHIM_SOCKET="$PWD/socket" start "$targets/idle"
	wait_until test -S socket
	scrape_socket "$PWD/socket"
	scrape
	assert_equal "$(stat -c %a socket)" 600
	finish
	PROMSHIM_PORT=none PROMSHIM_SOCKET="$PWD/other" start_silent "$targets/idle"
	wait_until scrapes_socket # it is there before it can be connected to
	scrape_socket "$PWD/other"
	kill -KILL "$pid"
	wait "$waiter" || true # until nobody listens any more
	# the one left behind by a killed process is replaced
	PROMSHIM_PORT=none PROMSHIM_SOCKET="$PWD/other" start_silent "$targets/idle"
	wait_until scrapes_socket
	finish
}

scrapes_socket() {
	fetch --unix-socket "$PWD/other" http://localhost/metrics 2>/dev/null
}

@test "mode off and DISABLE are a host without us, mode count has no thread" {
	local -a threads=()
	for setting in PROMSHIM_MODE=off PROMSHIM_DISABLE=1 PROMSHIM_MODE=count; do
		export "${setting?}"
		start_silent "$targets/idle"
		unset "${setting%%=*}"
		expect ready
		threads=(/proc/"$pid"/task/*)
		assert_equal "$setting ${#threads[@]}" "$setting 1"
		[[ ! -e "$port_file" ]] || fail "$setting serves"
		finish
	done
}

@test "a child of a browser that is to be sandboxed is alone in its process, and counted" {
	start_silent "$targets/idle" --type=zygote
	expect ready
	[[ "$(ls "/proc/$pid/task")" == "$pid" ]] || fail "it has a thread of ours"
	run "$promshim" check "$pid"
	assert_output --partial "a browser's child that is to be sandboxed"
	finish
	assert_equal "$status" 0
	start "$targets/idle" 0 --type=zygote
}

@test "EXCLUDE and INCLUDE choose programs by name, exclude wins" {
	PROMSHIM_EXCLUDE='id*' start_silent "$targets/idle"
	expect ready
	[[ "$(ls "/proc/$pid/task")" == "$pid" ]] || fail "it has a thread of ours"
	PROMSHIM_INCLUDE='other,id?e' start "$targets/idle"
	scrape
	PROMSHIM_INCLUDE='idle' PROMSHIM_EXCLUDE='idle' start_silent "$targets/idle"
	expect ready
	[[ "$(ls "/proc/$pid/task")" == "$pid" ]] || fail "it has a thread of ours"
}

@test "the label program is the executable, the script of an interpreter, or what PROMSHIM_PROGRAM says" {
	start "$targets/idle"
	scrape
	assert_metric 'promshim_malloc_allocations_total{program="idle"}' -ge 0
	finish
	ln -s "$targets/idle" called
	start ./called
	scrape
	assert_metric 'promshim_malloc_allocations_total{program="called"}' -ge 0
	finish
	PROMSHIM_PROGRAM='my "own" \name' start "$targets/idle"
	scrape
	assert_metric 'promshim_malloc_allocations_total{program="my \"own\" \\name"}' -ge 0
	finish
	printf 'import sys\nprint("ready", flush=True)\nsys.stdin.readline()\n' >script.py
	start /usr/bin/python3 script.py
	scrape
	run -0 grep -c 'program="script' "$page"
	finish
}

@test "an interpreter's label is its script, whatever options stand before, and no program text" {
	local line expected
	local -a words=()
	mkdir folder
	touch script.x data
	for line in busybox bash dash python3 perl ruby node php8.2 lua5.4 php-fpm8.2; do
		ln -s "$targets/idle" "$line"
	done
	while IFS='|' read -r line expected; do
		read -r -a words <<<"$line"
		PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$page" preload "./${words[0]}" "${words[@]:1}" </dev/null
		grep -qF "promshim_threads{program=\"$expected\"}" "$page" \
			|| fail "$line: $(grep '^promshim_threads{' "$page"), not $expected"
	done <<-'EOF'
		bash script.x data|script.x
		bash -e script.x|script.x
		bash -lc secret data|bash
		dash -s data|dash
		busybox sort data|sort
		busybox sh -e script.x|script.x
		busybox|busybox
		python3 -W ignore -E -B script.x data|script.x
		python3 -m venv data|venv
		python3 -Ic secret data|python3
		python3 - data|python3
		perl -w -I folder script.x|script.x
		perl -lane secret data|perl
		ruby -I folder script.x|script.x
		node -r module --inspect script.x|script.x
		node --eval secret data|node
		php8.2 -d memory_limit=1G script.x|script.x
		php8.2 -r secret data|php8.2
		php8.2 -S 127.0.0.1:0|php8.2
		lua5.4 -e secret script.x|script.x
		php-fpm8.2 -y data|php-fpm8.2
	EOF
}

@test "COLLECTORS removes families" {
	PROMSHIM_COLLECTORS=all,-threads,-allocator start "$targets/idle"
	scrape
	refute_metric promshim_threads
	refute_metric promshim_allocator_heap_bytes
	assert_metric promshim_malloc_allocations_total -ge 0
	finish
	PROMSHIM_COLLECTORS=malloc start "$targets/idle"
	scrape
	refute_metric process_resident_memory_bytes
	assert_metric promshim_malloc_allocations_total -ge 0
	finish
}
