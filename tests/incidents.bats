#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How preloaded objects of this kind have broken programs, one test for each way: ours does not.
# bats file_tags=area:host,incident

setup() {
	load helpers/common
	common_setup
	folder=
}

teardown() {
	common_teardown
	[[ -z "$folder" ]] || rm -r "$folder"
}

# Tables of mounts of one's own are not everybody's.
need_mounts() {
	((EUID == 0)) || missing root
	unshare --mount true 2>unshare.err || missing "unshare --mount: $(<unshare.err)"
}

# Makes a folder that other users can reach, with the object in it: $folder, $shim_so. It goes with
# the test.
share_shim() {
	need_mounts
	folder="$(mktemp -d /tmp/promshim-incidents.XXXXXX)"
	chmod 755 "$folder"
	install -m 755 "$shim_so" "$folder/libpromshim.so"
	shim_so="$folder/libpromshim.so"
}

# Runs a command with a mount table of its own, in which a script has mounted something first.
in_mounts() {
	need_mounts
	bare unshare --mount bash -ec "$1; exec \"\$@\"" bash "${@:2}"
}

# The loader's own line for an object that it leaves out, of which it says why; and nothing else of
# the host's behaviour changes: assert_left_out WHY COMMAND. ${through} is what runs both.
assert_left_out() {
	local line="ERROR: ld.so: object '$shim_so' from LD_PRELOAD cannot be preloaded ($1): ignored."
	run -6 --separate-stderr "${through[@]}" "${@:2}" </dev/null
	local bare_output="$output"
	assert_equal "$stderr" ""
	run -6 --separate-stderr "${through[@]}" env LD_PRELOAD="$shim_so" "${@:2}" </dev/null
	assert_output "$bare_output"
	assert_equal "$stderr" "$line"
}

@test "every symbol that we want is one of libc's: bound at start, and by ldd" {
	run -0 --separate-stderr bare ldd -r "$shim_so"
	refute_output --partial undefined
	assert_equal "$stderr" ""
	LD_BIND_NOW=1 assert_unchanged /bin/true
	LD_BIND_NOW=1 assert_unchanged /bin/sh -c 'echo sh; exit 6'
}

# bats test_tags=trap:T09
@test "a dynamic program without a libc loads us, and nothing for our sake, and lives" {
	gcc -std=c17 -O2 -fPIE -pie -nostdlib -ffreestanding -fno-stack-protector -o libcless \
		-Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2 "$SOURCE_ROOT/tests/targets/libcless.c" \
		2>gcc.err || missing "a libc-free PIE: $(<gcc.err)"
	run -1 grep NEEDED <(readelf -d libcless)
	assert_unchanged ./libcless
	assert_equal "$status" 6
	LD_BIND_NOW=1 assert_unchanged ./libcless
	PROMSHIM_MODE=count assert_unchanged ./libcless
}

# The compiler is of scripts/packages all.
# bats test_tags=slow
@test "Go that is position-independent and without cgo lives" {
	command -v go >/dev/null || missing go
	printf 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("go\\n"); os.Exit(6) }\n' >main.go
	GOCACHE="$BATS_TEST_TMPDIR/cache" HOME="$BATS_TEST_TMPDIR" CGO_ENABLED=0 \
		go build -buildmode=pie -o goer main.go 3>&-
	run -0 grep ld-linux <(readelf -l goer) # else it would be no test of ours
	assert_unchanged ./goer
	assert_equal "$status" 6
}

@test "tables of symbols with empty buckets, of either kind, or of nothing, are read" {
	local style name
	for style in gnu sysv both; do
		gcc -Wl,--hash-style="$style" -o "$style" \
			"$SOURCE_ROOT/tests/targets/idle.c"
		gcc -rdynamic -Wl,--hash-style="$style" -o "$style.many" \
			"$SOURCE_ROOT/tests/targets/idle.c"
	done
	# no name is defined, so that every bucket of the table is empty
	run -0 bash -c 'readelf --dyn-syms -W gnu | awk '\''$5 == "GLOBAL" && $7 != "UND"'\'''
	assert_output ""
	cp gnu stripped
	strip --strip-all --remove-section=.comment stripped
	cp gnu sectionless
	objcopy --strip-all --strip-section-headers sectionless 2>/dev/null || {
		# older binutils: no section table in the header
		printf '\0\0\0\0\0\0\0\0' | dd of=sectionless bs=1 seek=40 conv=notrunc status=none
		printf '\0\0\0\0' | dd of=sectionless bs=1 seek=60 conv=notrunc status=none
	}
	for name in gnu sysv both gnu.many sysv.many both.many stripped sectionless; do
		assert_unchanged "./$name" 6
		assert_equal "$name $status" "$name 6"
		# the table is read by a thread of ours, right after the start
		start "./$name" 6
		expect ready
		scrape
		assert_metric 'promshim_hooks_active{hook="malloc"}' -eq 1
		finish
		assert_equal "$name $status" "$name 6"
		run -0 "$promshim" check "./$name"
	done
}

@test "the environment is the program's own, by whichever name it looks" {
	local name mode
	for name in incidents incidents_no_pie; do
		for mode in off count serve; do
			local -a clean=(-i HOME=/ PATH="$PATH" PROMSHIM_PORT=0 PROMSHIM_MODE="$mode" "EMPTY=")
			run -0 bare "${clean[@]}" LD_PRELOAD= A=B "$targets/$name" environment
			local bare_output="$output"
			assert_line A=B
			assert_line done
			run -0 bare "${clean[@]}" LD_PRELOAD="$shim_so" A=B "$targets/$name" environment
			assert_equal "${output/LD_PRELOAD=$shim_so/LD_PRELOAD=}" "$bare_output"
		done
	done
}

# bats test_tags=trap:T48
@test "a program that may not read its own files in /proc starts, is served and prints nothing" {
	share_shim
	install -m 755 "$targets/idle" "$folder/idle"
	install -d -m 1777 "$folder/ports"
	install -m 600 /dev/null "$folder/closed"
	local -a closed=(unshare --mount bash -ec '
		for file in environ cmdline maps smaps limits status stat statm; do
			mount --bind "$0" "/proc/$$/$file"
		done
		exec env LD_PRELOAD="$1" setpriv --reuid 65534 --regid 65534 --clear-groups "${@:2}"' "$folder/closed")
	local object
	for object in "" "$shim_so"; do
		run -6 --separate-stderr bare "${closed[@]}" "$object" "$folder/idle" 6 </dev/null
		assert_output ready
		assert_equal "$stderr" ""
	done
	run -1 bare "${closed[@]}" "" cat /proc/self/environ # else it would be no test
	export PROMSHIM_EXCLUDE=setpriv PROMSHIM_PORT_FILE="$folder/ports/port"
	shim_so="" # what comes before the program runs without
	start_silent "${closed[@]}" "$folder/libpromshim.so" "$folder/idle" 6
	wait_for_file "$folder/ports/port"
	port="$(<"$folder/ports/port")"
	expect ready
	scrape
	assert_metric 'promshim_hooks_active{hook="malloc",program="idle"}' -eq 1
	finish
	assert_equal "$status" 6
	assert_equal "$(<"$err")" ""
}

@test "a program without /proc, /sys and /dev runs as without us" {
	# empty ones over them: to take them away would bring to light what lies below, in many a chroot
	local -a through=(in_mounts 'for folder in /sys /dev /proc; do mount -n -t tmpfs none "$folder"; done')
	run -6 --separate-stderr "${through[@]}" "$targets/outside" </dev/null
	local bare_output="$output"
	run -6 --separate-stderr "${through[@]}" env LD_PRELOAD="$shim_so" "$targets/outside" </dev/null
	assert_output "$bare_output"
	assert_equal "$stderr" ""
	run -0 "${through[@]}" bash -c '[[ ! -e /proc/self && ! -e /dev/null && ! -e /sys/kernel ]]'
}

# bats test_tags=trap:T34
@test "LD_PRELOAD that names others, twice us, or us under two names" {
	local objects
	ln -s "$shim_so" link.so
	cp "$targets/libneighbour.so" "$PWD/other.so"
	for objects in "$shim_so:$PWD/other.so" "$PWD/other.so:$shim_so" "$PWD/other.so $shim_so" \
		"$shim_so:$shim_so" ":$shim_so:" "$PWD/link.so:$shim_so"; do
		run -0 --separate-stderr bare PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$page" \
			LD_PRELOAD="$objects" "$targets/family" keep
		assert_equal "$stderr" ""
		check_page "$page"
		assert_metric promshim_malloc_allocations_total -eq 1
		assert_metric promshim_malloc_live_bytes -eq 1000
		rm "$page"
	done
}

# bats test_tags=trap:T34
@test "an entry script that replaces LD_PRELOAD loses us, one that adds to it keeps us" {
	printf '#!/bin/sh\nexport LD_PRELOAD=%s\nexec "$@"\n' "$targets/libneighbour.so" >replaces
	printf '#!/bin/sh\nexport LD_PRELOAD="$LD_PRELOAD:%s"\nexec "$@"\n' "$targets/libneighbour.so" >adds
	chmod +x replaces adds
	export PROMSHIM_TEXTFILE="$PWD/pages-%n" PROMSHIM_MODE=count
	run -6 --separate-stderr preload ./replaces "$targets/outside" </dev/null
	assert_output $'child 3\nready'
	assert_equal "$stderr" ""
	[[ ! -e pages-outside ]] || fail "it was counted"
	run -6 --separate-stderr preload ./adds "$targets/outside" </dev/null
	assert_output $'child 3\nready'
	assert_equal "$stderr" ""
	page=pages-outside
	check_page "$page"
	assert_metric promshim_thread_ends_total -eq 4
}

@test "children with an empty environment run without us, and their parent goes on" {
	export PROMSHIM_TEXTFILE="$PWD/pages-%n" PROMSHIM_MODE=count
	run -6 --separate-stderr preload "$targets/outside" /usr/bin/env -i "$targets/secure" </dev/null
	assert_line "secure 0, not mapped"
	assert_line "program 0"
	assert_equal "$stderr" ""
	[[ ! -e pages-secure ]] || fail "the child was counted"
	page=pages-outside
	check_page "$page"
	assert_metric promshim_thread_ends_total -eq 4
}

@test "a path that is left over is the loader's line, and nothing else" {
	cp "$shim_so" libpromshim.so
	shim_so="$PWD/libpromshim.so"
	local -a through=(bare)
	rm libpromshim.so
	assert_left_out 'cannot open shared object file' "$targets/idle" 6
	seq 1000 >libpromshim.so
	assert_left_out 'invalid ELF header' "$targets/idle" 6
	: >libpromshim.so
	assert_left_out 'file too short' "$targets/idle" 6
}

@test "an object on a file system without exec is the loader's line, and nothing else" {
	mkdir mounted
	local -a through=(in_mounts "mount -t tmpfs -o noexec none '$PWD/mounted'; cp '$shim_so' '$PWD/mounted/libpromshim.so'")
	shim_so="$PWD/mounted/libpromshim.so"
	assert_left_out 'failed to map segment from shared object' "$targets/idle" 6
}

@test "an object that is removed while programs run is served on by them" {
	cp "$shim_so" libpromshim.so
	shim_so="$PWD/libpromshim.so"
	start "$targets/exact" 2 100 wait
	expect "threads wait"
	rm libpromshim.so
	scrape
	go_on
	wait_until grep -q allocations= "$out"
	scrape
	assert_metric promshim_malloc_allocations_total -ge 200
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$err")" ""
}

@test "an object that is replaced by rename while programs run is theirs to the end" {
	cp "$shim_so" libpromshim.so
	# the new one has another program's bytes on its pages, and works
	cp "$shim_so" new.so
	shim_so="$PWD/libpromshim.so"
	start "$targets/outside"
	expect ready
	strip --strip-unneeded new.so
	mv new.so libpromshim.so
	scrape
	assert_metric promshim_thread_ends_total -eq 4
	run -0 grep -c 'libpromshim.so (deleted)' "/proc/$pid/maps"
	run -0 count "$targets/threads" plain 8
	assert_metric promshim_thread_ends_total -eq 8
	scrape
	finish
	assert_equal "$status" 6
	assert_equal "$(<"$err")" ""
}

# bats test_tags=trap:T07
@test "/etc/ld.so.preload: every program of a machine, without a word and without rights of others" {
	share_shim
	install -m 755 "$targets/outside" "$folder/outside"
	mkdir "$folder/old" "$folder/own" "$folder/pages"
	# on a file system of its own, as /tmp may be one where setuid is without effect
	local -a through=(in_mounts "mount -t tmpfs -o mode=755 none '$folder/own'
		install -m 4755 '$targets/secure' '$folder/own/setuid'
		mount --bind /etc '$folder/old'; mount -t tmpfs -o mode=755 none /etc
		ln -s '$folder/old/'* /etc/; rm -f /etc/ld.so.preload; echo '$shim_so' >/etc/ld.so.preload")
	export PROMSHIM_TEXTFILE="$folder/pages/%n" PROMSHIM_PORT_FILE="$folder/pages/port-%n"
	run -0 --separate-stderr "${through[@]}" bash -c \
		'for i in {1..200}; do /bin/true || exit 1; done; ls /nonexistent 2>/dev/null || echo "$?"'
	assert_output 2
	assert_equal "$stderr" ""
	check_page "$folder/pages/true"
	run -6 --separate-stderr "${through[@]}" "$folder/outside" </dev/null
	assert_output $'child 3\nready'
	assert_equal "$stderr" ""
	check_page "$folder/pages/outside"
	# there it is loaded into programs with more rights than their caller, and does nothing
	PROMSHIM_LOG=stderr run -0 --separate-stderr "${through[@]}" \
		setpriv --reuid 65534 --clear-groups "$folder/own/setuid"
	assert_output "secure 1, mapped"
	assert_equal "$stderr" ""
	[[ ! -e "$folder/pages/setuid" && ! -e "$folder/pages/port-setuid" ]] || fail "it obeys its caller"
	# the loader takes these out of the environment, and what lies behind it is no longer where it was
	TMPDIR=/ LOCPATH=/ MALLOC_TRACE=x run -0 --separate-stderr "${through[@]}" \
		setpriv --reuid 65534 --clear-groups "$folder/own/setuid"
	assert_output "secure 1, mapped"
	[[ ! -e "$folder/pages/setuid" && ! -e "$folder/pages/port-setuid" ]] || fail "it obeys its caller"
}

# bats test_tags=trap:T59
@test "python3 and programs with stack protectors live with a second tool on either side" {
	local side name
	export NEIGHBOUR_BLOCKS=50 NEIGHBOUR_LOG="$PWD/log"
	run -0 grep -c __stack_chk_fail <(nm -D "$targets/incidents_no_pie")
	for side in ahead behind; do
		local "$side=$targets/libneighbour.so"
		run -3 --separate-stderr preload /usr/bin/python3 -c '
import ctypes, os, ssl, subprocess, threading
threads = [threading.Thread(target=os.urandom, args=(9999,)) for _ in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
print(subprocess.run(["/bin/sh", "-c", "exit 5"]).returncode, ctypes.CDLL(None).abs(-4))
raise SystemExit(3)'
		assert_output "5 4"
		assert_equal "$stderr" ""
		for name in names "touch $targets/libtouched.so"; do
			# shellcheck disable=SC2086 # a case and its argument
			run -0 --separate-stderr preload "$targets/incidents_no_pie" $name
			assert_output done
			assert_equal "$stderr" ""
		done
		unset "$side"
	done
}

# bats test_tags=trap:T08
@test "bash, which has a getenv, setenv and malloc-free habits of its own" {
	run -0 grep -cE ' T (getenv|setenv|putenv|unsetenv)$' <(nm -D /bin/bash)
	PROMSHIM_PROGRAM=shell PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$page" run -6 --separate-stderr \
		preload bash -c 'export PROMSHIM_PROGRAM=changed A=1; unset HOME; B=$(echo "$A$HOME")
			x=$(printf "%9999s" y); echo "$B ${#x}"; unset LD_PRELOAD PROMSHIM_TEXTFILE; "$0"; exit 6' \
		"$targets/secure"
	assert_output $'1 9999\nsecure 0, not mapped'
	assert_equal "$stderr" ""
	check_page "$page"
	# settings are those of its start
	assert_metric 'promshim_malloc_allocations_total{program="shell"}' -ge 10
	assert_metric 'promshim_hooks_active{hook="malloc",program="shell"}' -eq 1
}

# bats test_tags=trap:T24
@test "threads that load, unload, look through objects and start threads do not lock each other up" {
	local name
	for name in incidents incidents_no_pie; do
		run -0 bare "$targets/$name" loader "$targets/libtouched.so"
		run -0 count "$targets/$name" loader "$targets/libtouched.so"
		assert_output done
		# six threads, a third of the rounds of each
		assert_metric promshim_thread_ends_total -eq 306
		assert_metric promshim_uncounted_events_total -eq 0
	done
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/incidents" loader "$targets/libtouched.so" wait
	scrape
	go_on
	while [[ ! -s "$out" ]]; do
		is_served || [[ -s "$out" ]] || fail "no page: $(<"$err")"
	done
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$out")" done
	assert_equal "$(<"$err")" ""
}

# bats test_tags=trap:T02
@test "thread-local memory that libc takes from malloc at its first touch is counted, once" {
	run -0 bare "$targets/incidents" touch "$targets/libtouched.so"
	run -0 count "$targets/incidents" touch "$targets/libtouched.so"
	assert_output done
	# 20 times 6 threads that touch, and 6 that allocate: 100,000 bytes for each of the 120
	assert_metric promshim_thread_ends_total -eq 126
	assert_metric 'promshim_malloc_request_size_bytes_count' -ge 120
	assert_metric promshim_uncounted_events_total -eq 0
	assert_metric promshim_malloc_live_bytes -lt 100000
}

# bats test_tags=trap:T29
@test "children of a process of many threads ask the name services" {
	local mode
	for mode in count serve; do
		PROMSHIM_MODE=$mode assert_unchanged "$targets/incidents" names
		assert_equal "$status" 0
	done
}
