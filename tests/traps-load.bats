#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Traps of loading and linking (tests/traps): what the loader, other libraries and the linker make
# of a program with one habit.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# bats test_tags=trap:T03
@test "blocks from before main are freed, resized and measured, libc's own at exit too" {
	run -0 bare "$targets/boot"
	run -0 preload "$targets/boot"
	assert_output "given back"
	run -0 count "$targets/boot"
	assert_output "given back"
	assert_metric promshim_malloc_live_blocks -le 2 # main's thread may be a cached stack
}

# bats test_tags=trap:T03
@test "a memory checker, which makes libc give back all at the end, has nothing to say" {
	command -v valgrind >/dev/null || missing valgrind
	run -0 --separate-stderr count valgrind -q --error-exitcode=9 "$targets/boot"
	assert_output "given back"
	assert_equal "$stderr" ""
}

# Runs a command where these libraries do not exist: without FILE... -- COMMAND...
without() {
	local -a files=()
	while [[ "$1" != -- ]]; do
		files+=("$1")
		shift
	done
	unshare --mount bash -c 'while [[ "$1" != -- ]]; do mount --bind /dev/null "$1"; shift; done; exec "${@:2}"' \
		bash "${files[@]}" "$@"
}

# bats test_tags=trap:T04
@test "a host without libgcc_s and libunwind on the system is served" {
	((EUID == 0)) || missing root
	unshare --mount true 2>unshare.err || missing "unshare --mount: $(<unshare.err)"
	local -a gone=()
	mapfile -t gone < <(ldconfig -p | sed -n 's/.*(libc6,x86-64[^>]*=> \(.*lib\(gcc_s\|unwind[^ ]*\)\.so.*\)/\1/p')
	((${#gone[@]} > 0)) || fail "no libgcc_s here to be hidden"
	run ! without "${gone[@]}" -- bare "$targets/cxx" 1 # it needs libgcc_s: it is really gone
	PROMSHIM_TEXTFILE="$page" run -0 --separate-stderr without "${gone[@]}" -- \
		env LD_PRELOAD="$shim_so" "$targets/threads" plain 20
	assert_output done
	assert_equal "$stderr" ""
	check_page "$page"
	assert_metric promshim_thread_ends_total -eq 20
	# only the last of them serves, so that there is one port
	PROMSHIM_INCLUDE=idle start unshare --mount bash -c 'for file in "${@:2}"; do mount --bind /dev/null "$file"; done; exec "$1"' \
		bash "$targets/idle" "${gone[@]}"
	expect ready
	scrape
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T05
@test "the object wants no symbol newer than Debian 11's libc, and is bound before main" {
	local newest
	newest="$(objdump -T "$shim_so" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)"
	assert_equal "$(printf '%s\n' "$newest" GLIBC_2.31 | sort -V | tail -n 1)" GLIBC_2.31
	run -0 readelf -dW "$shim_so"
	assert_output --regexp 'FLAGS_1.*NOW'
	run -0 readelf -dW "$targets/pointers" # a host that is so too
	assert_output --regexp 'FLAGS_1.*NOW'
	run -0 count "$targets/pointers"
	assert_output done
}

# bats test_tags=trap:T06
@test "the loader as a command, with its options and variables, loads as ever" {
	local loader=/lib64/ld-linux-x86-64.so.2
	run -3 bare "$loader" --preload "$shim_so" "$targets/idle" 3 </dev/null
	assert_output ready
	run -0 bare "$loader" --preload "$shim_so" --list "$targets/cxx"
	assert_line --regexp "libpromshim\.so \(0x"
	run -0 preload LD_SHOW_AUXV=1 "$targets/idle" 0 </dev/null
	assert_line ready
	run -0 preload LD_TRACE_LOADED_OBJECTS=1 "$targets/cxx"
	assert_line --partial libpromshim.so
	run -0 preload LD_VERBOSE=1 LD_TRACE_LOADED_OBJECTS=1 LD_BIND_NOW=1 LD_WARN=1 "$targets/cxx"
	refute_output --partial 'undefined symbol'
	run -3 preload LD_DYNAMIC_WEAK=1 LD_BIND_NOT=1 "$targets/idle" 3 </dev/null
	assert_output ready
}

# bats test_tags=trap:T06
@test "a host under the loader's auditing and debugging is served" {
	local debug="$PWD/debug"
	PROMSHIM_INCLUDE=threads start env LD_AUDIT="$targets/libaudit.so" "$targets/threads" held 2
	expect "all there"
	scrape
	finish
	assert_equal "$status" 0
	PROMSHIM_INCLUDE=idle start env LD_DEBUG=all LD_DEBUG_OUTPUT="$debug" "$targets/idle"
	expect ready
	scrape
	finish
	assert_equal "$status" 0
	run -0 preload LD_DEBUG=all LD_DEBUG_OUTPUT="$debug" "$targets/modules_storm" 2 "$targets/libplugin.so"
	assert_output "no deadlock"
	run -0 grep -lF "$shim_so" debug.*
}

# bats test_tags=trap:T08
@test "a host with its own getenv, putenv, setenv and unsetenv has them for itself" {
	local host
	for host in own_env own_env_malloc; do
		PROMSHIM_MODE=count assert_unchanged "$targets/$host"
		assert_equal "$status $(<bare.out)" "5 0 calls by others"
		# settings come from the environment all the same
		PROMSHIM_PROGRAM=chosen start "$targets/$host"
		expect "0 calls by others"
		scrape
		assert_metric 'promshim_malloc_allocations_total{program="chosen"}' -ge 0
		finish
		assert_equal "$status" 5
	done
}

# bats test_tags=trap:T12
@test "the compiler finds no use of a block after it was given to realloc" {
	local source
	for source in interpose_malloc record real; do
		run -0 gcc -std=c17 -D_GNU_SOURCE -O2 -Wall -Wuse-after-free=3 -Wfree-nonheap-object -Werror \
			-I"$SOURCE_ROOT" -c -o "$source.o" "$SOURCE_ROOT/preload/$source.c"
	done
}

# bats test_tags=trap:T19
@test "weak references are tested and called as without us, what nobody has stays NULL" {
	run -0 bare "$targets/weak"
	run -0 preload "$targets/weak"
	assert_output tested
	run -0 count "$targets/weak"
	assert_output tested
	assert_metric promshim_malloc_live_blocks -eq 0
	assert_metric promshim_malloc_allocations_total -eq 4
}

# bats test_tags=trap:T23
@test "a program's RUNPATH of its own folder finds its plug-ins" {
	assert_unchanged "$targets/runpath"
	assert_equal "$status" 0
	cp "$targets/runpath" . # elsewhere it finds none
	bare ./runpath >moved.out 2>moved.err && fail "found without its RUNPATH"
	assert_unchanged ./runpath
	assert_equal "$status" 99
}

# bats test_tags=trap:T24,trap:T56
@test "plug-ins, walks, exceptions, threads and scrapes at the same time do not lock one another" {
	run -0 bare "$targets/modules_storm" 300 "$targets/libplugin.so"
	run -0 count "$targets/modules_storm" 300 "$targets/libplugin.so"
	assert_output "no deadlock"
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/modules_storm" 1000 "$targets/libplugin.so" wait
	local i
	for i in {1..30}; do
		fetch "http://127.0.0.1:$port/metrics"
	done
	check_page "$page"
	go_on
	finish
	assert_equal "$status $(<"$out")" "0 no deadlock"
}

# bats test_tags=trap:T27
@test "what unwinds a C program with a C++ plug-in is libgcc_s, before us and with us" {
	local way
	for way in bare preload; do
		"$way" LD_DEBUG=bindings LD_DEBUG_OUTPUT="$PWD/$way" "$targets/plugin_host" "$targets/libplugin.so" 3
		sed -n 's/.* to \([^ ]*\) .* `\(_Unwind_[A-Za-z_]*\).*/\1 \2/p' "$way".* | sort -u >"unwound.$way"
	done
	run -0 grep -c RaiseException unwound.preload
	run -1 grep -v '/libgcc_s\.so\.1 ' unwound.preload
	cmp unwound.bare unwound.preload
}

# bats test_tags=trap:T28
@test "hosts with a libgcc of their own unwind, throw and are cancelled as without us" {
	local host
	for host in unwinder unwinder_static_libgcc unwinder_static_libstdcxx; do
		assert_unchanged "$targets/$host"
		assert_equal "$status $(<bare.out)" "0 11 gone, 0 frames more"
		run -0 count "$targets/$host"
	done
}

# bats test_tags=trap:T28
@test "hosts that bring libunwind unwind, throw and are cancelled as without us" {
	local host expected
	need_subject unwind
	# -fexceptions of a program that is linked to it comes out the same as with a preload of it
	behind="$subject"
	for host in unwinder unwinder_static_libgcc unwinder_static_libstdcxx; do
		run -0 bare LD_PRELOAD="$subject" "$targets/$host"
		assert_output --partial "gone, "
		refute_output --partial " 0 frames"
		expected="$output"
		run -0 preload "$targets/$host"
		assert_output "$expected"
		run -0 count "$targets/$host"
		assert_output "$expected"
	done
	g++ -o linked "$SOURCE_ROOT/tests/targets/unwinder.cpp" -pthread "$subject"
	LD_LIBRARY_PATH="${subject%/*}" run -0 ./linked
	expected="$output"
	run -0 env LD_LIBRARY_PATH="${subject%/*}" LD_PRELOAD="$shim_so" ./linked
	assert_output "$expected"
}

# Instructions of main in a run of pairs in mode $1, by a simulated processor: the same each time.
instructions() {
	local log="$BATS_TEST_TMPDIR/callgrind"
	bare ${1:+PROMSHIM_MODE="$1" LD_PRELOAD="$shim_so"} valgrind --tool=callgrind \
		--toggle-collect=main --callgrind-out-file=/dev/null --log-file="$log" "$targets/pairs" "$2"
	sed -n 's/.*Collected : //p' "$log"
}

# bats test_tags=trap:T61,slow
@test "counting costs a malloc and its free at most 60 instructions, with threads of ours or without" {
	command -v valgrind >/dev/null || missing valgrind
	local mode without cost most=60
	# a build that traps undefined behaviour has its checks in every hook
	(($(objdump -d "$shim_so" | grep -cE '\bud[12]\b' || true) < 100)) || most=100
	without=$(($(instructions "" 11000) - $(instructions "" 1000)))
	((without > 10000 * 20)) || fail "$without instructions of 10000 pairs"
	for mode in count serve; do
		cost=$(($(instructions "$mode" 11000) - $(instructions "$mode" 1000) - without))
		((cost > 10000 * 5)) || fail "$cost instructions: mode $mode counts nothing"
		((cost <= 10000 * most)) || fail "mode $mode: $cost instructions for 10000 pairs"
	done
}
