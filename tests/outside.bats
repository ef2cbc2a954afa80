#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that the shim does not count run as without it, alone, as children of programs that it
# counts, and as their parents; and `promshim check` says why it counts nothing there.
# bats file_tags=area:host,trap:T09

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# Makes a program of tests/targets/outside.c: build NAME COMPILER...
build() {
	"${@:2}" -std=gnu17 -pthread -o "$1" "$SOURCE_ROOT/tests/targets/outside.c" 2>build.err \
		|| missing "${*:2}: $(<build.err)"
}

# Makes narrow, a 32-bit program, with the options that follow.
build_narrow() {
	build narrow gcc -m32 "$@"
	assert_refused ./narrow '32-bit; promshim is built for 64-bit programs.'
	# what the kernel does not run at all fails as without us, and can show no more
	local status=0
	./narrow </dev/null >runs.out 2>&1 || status=$?
	((status != 126)) || {
		assert_unchanged env ./narrow
		kernel_lacks "32-bit programs"
	}
}

# `promshim check` says no, and this.
assert_refused() {
	run -1 "$promshim" check "$1"
	assert_line --index 0 --partial "promshim check $1: no. "
	assert_output --partial "$2"
}

# The program does as without us, to the byte; and it did something.
assert_untouched() {
	assert_unchanged "$@"
	assert_equal "$status" 6
	assert_equal "$(tail -n 1 shim.out)" ready
}

# The loader's own word for an object of another class is one line more on standard error, for
# each such program that was started; nothing else differs.
assert_untouched_but_for_lines() {
	local lines="$1" status=0
	local class="ERROR: ld.so: object '$shim_so' from LD_PRELOAD cannot be preloaded (wrong ELF class: ELFCLASS64): ignored."
	shift
	bare "$@" >bare.out 2>bare.err </dev/null || status=$?
	assert_equal "$status" 6
	status=0
	bare env LD_PRELOAD="$shim_so" "$@" >shim.out 2>shim.err </dev/null || status=$?
	assert_equal "$status" 6
	cmp bare.out shim.out
	assert_equal "$(grep -cxF "$class" shim.err)" "$lines"
	grep -vxF "$class" shim.err >rest.err || true
	cmp bare.err rest.err || fail "standard error: $(<shim.err)"
}

# A counted program starts one that is not, goes on, is served, and counts what it did itself.
assert_parent_served() {
	start "$targets/outside" "$@"
	expect "program 6"
	expect ready
	scrape
	assert_metric promshim_thread_ends_total -eq 4
	# four threads' 200 rounds, and main's; a realloc is one more of both
	assert_metric promshim_malloc_frees_total -ge 3200
	assert_metric promshim_uncounted_events_total -eq 0
	finish
	assert_equal "$status" 6
}

# Started by a program that is not counted, another one is: LD_PRELOAD goes through.
assert_child_counted() {
	rm -f "$page"
	PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$BATS_TEST_TMPDIR/%n" run -6 preload "$1" \
		"$targets/exact" 2 100 </dev/null
	assert_line "program 0"
	page="$BATS_TEST_TMPDIR/exact"
	check_page "$page"
	assert_metric promshim_thread_ends_total -eq 2
	assert_metric 'promshim_hooks_active{hook="malloc"}' -eq 1
}

@test "a 32-bit program runs untouched but for the loader's line" {
	build_narrow
	assert_untouched_but_for_lines 1 ./narrow
}

@test "a 64-bit program that starts a 32-bit one goes on and is served" {
	build_narrow
	assert_untouched_but_for_lines 1 "$targets/outside" ./narrow
	assert_parent_served "$PWD/narrow"
	assert_equal "$(wc -l <"$err")" 1
}

@test "a 64-bit program that a 32-bit one starts is counted" {
	build_narrow
	assert_child_counted ./narrow
	# what is started by what is started by it
	assert_untouched_but_for_lines 2 ./narrow "$targets/outside" ./narrow
}

@test "a static 32-bit program runs untouched, with no line" {
	build_narrow -static
	assert_untouched ./narrow
}

@test "static programs run untouched, with threads and children" {
	build static gcc -static
	build static_pie gcc -static-pie
	local name
	for name in static static_pie; do
		assert_untouched "./$name"
		assert_refused "./$name" 'Statically linked: nothing can be preloaded.'
	done
}

@test "a program that starts a static one goes on and is served" {
	build static gcc -static
	assert_untouched "$targets/outside" ./static
	assert_parent_served "$PWD/static"
	assert_equal "$(<"$err")" ""
	assert_child_counted ./static
}

@test "a program of musl runs untouched" {
	build musl musl-gcc
	assert_untouched ./musl
	assert_refused ./musl 'Needs ld-musl-x86_64.so.1; promshim is built for glibc.'
	# whatever the settings are: nothing of ours may read them there
	PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$PWD/text" PROMSHIM_LOG=stderr assert_untouched ./musl
	[[ ! -e text ]] || fail "a page was left"
	LD_BIND_NOW=1 assert_untouched ./musl
}

@test "a static program of musl runs untouched" {
	build static musl-gcc -static
	assert_untouched ./static
	assert_refused ./static 'Statically linked'
}

@test "a program of musl has no thread, socket or port of ours" {
	build musl musl-gcc
	start_silent ./musl
	expect ready
	run -0 ls "/proc/$pid/task"
	assert_output "$pid"
	run -0 find "/proc/$pid/fd" -lname 'socket:*'
	assert_output ""
	[[ ! -e "$port_file" ]] || fail "it serves"
	# the object is there, and does nothing
	run -0 grep -c libpromshim.so "/proc/$pid/maps"
	finish
	assert_equal "$status" 6
	assert_equal "$(<"$err")" ""
}

@test "a program that starts one of musl goes on and is served" {
	build musl musl-gcc
	assert_untouched "$targets/outside" ./musl
	assert_parent_served "$PWD/musl"
	assert_equal "$(<"$err")" ""
}

@test "a program that one of musl starts is counted" {
	build musl musl-gcc
	assert_untouched ./musl "$targets/outside" ./musl
	assert_child_counted ./musl
}

@test "a program for another machine fails as without us" {
	# e_machine: one that is nobody's, as a system may have an emulator for others
	cp "$targets/outside" other
	printf '\376\376' | dd of=other bs=1 seek=18 conv=notrunc status=none
	assert_unchanged bash -c ./other
	assert_equal "$status" 126
	printf '\267\000' | dd of=other bs=1 seek=18 conv=notrunc status=none # EM_AARCH64
	assert_refused ./other 'Made for aarch64'
}

# slow: the compiler makes its own library first. What check says of Go is in check.bats too.
# bats test_tags=slow
@test "Go without cgo runs untouched" {
	command -v go >/dev/null || missing go
	cat >main.go <<-'EOF'
		package main

		import ("fmt"; "os"; "sync")

		func main() {
			var wait sync.WaitGroup
			sums := make([]int, 50)
			for i := range sums {
				wait.Add(1)
				go func(i int) { defer wait.Done(); for n := range make([]byte, 10000) { sums[i] += n % 7 } }(i)
			}
			wait.Wait()
			fmt.Println(sums[49], len(os.Args))
			os.Exit(6)
		}
	EOF
	export GOCACHE="$BATS_TEST_TMPDIR/cache" HOME="$BATS_TEST_TMPDIR" CGO_ENABLED=0
	go build -o goer main.go 3>&-
	assert_unchanged ./goer
	assert_equal "$status" 6
	assert_refused ./goer 'Go without cgo: no malloc to count; use client_golang.'
}
