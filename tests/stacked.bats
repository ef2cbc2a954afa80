#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Other objects in LD_PRELOAD, before and behind ours, and runtimes that a compiler adds: the host
# does what it does without us, and what it does itself is counted exactly.
# bats file_tags=area:host,trap:T59

setup() {
	load helpers/common
	common_setup
	forget_faketime # of an earlier run, whose processes may have had the same numbers
	settings=()
}

teardown() {
	common_teardown
	forget_faketime
}

# The target's own calls, exactly, on its page while it lives, with an object ahead of ours and
# behind it. ${settings[@]} are what the object wants in the environment.
assert_exact_beside() {
	local side
	for side in ahead behind; do
		local "$side=$1"
		assert_exact
		unset "$side"
	done
}

# The same for whatever stands in ${ahead} and ${behind}.
assert_exact() {
	local -A before after
	start "${settings[@]}" "$targets/exact" 4 200 wait
	expect "threads wait"
	scrape
	totals before
	go_on
	wait_until grep -q allocations= "$out"
	scrape
	totals after
	assert_grown_by "$(grep allocations= "$out")"
	assert_equal "${after[live_bytes]} ${after[live_blocks]}" "${before[live_bytes]} ${before[live_blocks]}"
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$err")" ""
}

assert_grown_by() {
	local pair name
	for pair in $1; do
		name="${pair%%=*}"
		assert_equal "$name $((after[$name] - before[$name]))" "$name ${pair#*=}"
	done
	assert_equal "${after[uncounted]}" 0
}

# Makes a program of a target: build NAME TARGET COMPILER...
build() {
	"${@:3}" -std=gnu17 -g -pthread -w -o "$1" "$SOURCE_ROOT/tests/targets/$2.c" 2>build.err \
		|| missing "${*:3}: $(<build.err)"
}

# bats test_tags=incident
@test "a second tool in LD_PRELOAD that allocates at its start and watches exec, on either side" {
	local side exact
	export NEIGHBOUR_BLOCKS=50
	run -0 bare LD_PRELOAD="$targets/libneighbour.so" "$targets/family" keep
	for side in ahead behind; do
		local "$side=$targets/libneighbour.so"
		run -0 --separate-stderr count "$targets/family" keep
		assert_equal "$stderr" ""
		# its 50 blocks, and the one that the program keeps
		assert_metric promshim_malloc_allocations_total -eq 51
		assert_metric promshim_malloc_live_blocks -eq 51
		rm -f log.*
		NEIGHBOUR_LOG="$PWD/log.shim" run -6 --separate-stderr preload bash -c \
			'/bin/true; /bin/echo "$(/bin/echo word)"; exec "$0"' "$targets/outside" </dev/null
		assert_output $'word\nchild 3\nready'
		assert_equal "$stderr" ""
		NEIGHBOUR_LOG="$PWD/log.bare" run -6 bare LD_PRELOAD="$targets/libneighbour.so" bash -c \
			'/bin/true; /bin/echo "$(/bin/echo word)"; exec "$0"' "$targets/outside" </dev/null
		cmp log.bare log.shim
		unset "$side"
	done
}

@test "two copies of us, as of two versions, live in one program, and each counts" {
	cp "$shim_so" older.so
	local name
	for name in cxx threads; do
		local -a arguments=(5)
		[[ "$name" == cxx ]] || arguments=(plain 100)
		behind="$PWD/older.so" run -0 --separate-stderr count "$targets/$name" "${arguments[@]}"
		assert_output done
		assert_equal "$stderr" ""
	done
	behind="$PWD/older.so" start "$targets/outside"
	expect ready
	scrape
	assert_metric promshim_thread_ends_total -eq 4
	finish
	assert_equal "$status" 6
	assert_equal "$(<"$err")" ""
}

@test "eatmydata on either side" {
	need_subject eatmydata
	assert_exact_beside "$subject"
}

@test "proxychains on either side, and what is connected through it" {
	need_subject proxychains
	settings=(PROXYCHAINS_QUIET_MODE=1 PROXYCHAINS_CONF_FILE="$PWD/chains")
	# none of these addresses goes through a proxy, so that none is needed
	printf 'strict_chain\nquiet_mode\nlocalnet 127.0.0.0/255.0.0.0\n[ProxyList]\nsocks5 127.0.0.1 1\n' >chains
	assert_exact_beside "$subject"
	local proxychains="$subject" side
	start "$targets/idle"
	for side in ahead behind; do
		local "$side=$proxychains"
		run -0 preload "${settings[@]}" /usr/bin/python3 -c 'import sys, urllib.request as u
print(u.build_opener(u.ProxyHandler({})).open(sys.argv[1]).read().decode())' "http://127.0.0.1:$port/-/healthy"
		assert_output 'promshim is healthy.'
		unset "$side"
	done
}

@test "fakeroot on either side, inside a session of it" {
	need_subject fakeroot
	local fakeroot="$SUBJECTS_DIR/fakeroot/usr" library side
	library="$(find "$fakeroot" -name libfakeroot-sysv.so)"
	local -a session=("$fakeroot/bin/fakeroot-sysv" -f "$fakeroot/bin/faked-sysv" -l "$library" --
		sh -c 'touch f; chown 12:34 f; stat -c "%u %g" f; LD_PRELOAD=$0 exec "$@"')
	for side in "$library:$shim_so" "$shim_so:$library"; do
		run -0 --separate-stderr bare PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$page" "${session[@]}" "$side" \
			"$targets/exact" 4 200
		assert_line --index 0 "12 34"
		assert_equal "$stderr" ""
		check_page "$page"
		# each of 4 threads: 14 allocations a round, and glibc's few for what it starts
		assert_metric promshim_malloc_allocations_total -ge 11200
		assert_metric promshim_malloc_allocations_total -lt 11300
		assert_metric promshim_thread_ends_total -eq 4
		rm "$page"
		run -0 bare "${session[@]}" "$side" stat -c '%u %g' f
		assert_output $'12 34\n12 34'
	done
}

@test "heaptrack on either side" {
	need_subject heaptrack
	local heaptrack="$subject" side
	settings=("$(<"$SUBJECTS_DIR/heaptrack/env")" DUMP_HEAPTRACK_OUTPUT="$PWD/heaptrack.out")
	for side in ahead behind; do
		local "$side=$heaptrack"
		run -0 count "${settings[@]}" "$targets/exact" 4 200
		assert_output --partial 'allocations=11200 frees=11200'
		[[ -s heaptrack.out ]] || fail "heaptrack saw nothing"
		# its own are among them
		assert_metric promshim_malloc_allocations_total -ge 11200
		assert_metric promshim_thread_ends_total -ge 4
		assert_metric promshim_uncounted_events_total -eq 0
		rm heaptrack.out
		start "${settings[@]}" "$targets/exact" 4 200 wait
		expect "threads wait"
		scrape
		go_on
		wait_until grep -q allocations= "$out"
		scrape
		finish
		assert_equal "$status" 0
		unset "$side"
	done
}

# (jemalloc and libfaketime lock each other up without us)
@test "a stack of all of them, with another allocator at its end" {
	need_subject eatmydata
	local eatmydata="$subject"
	need_subject proxychains
	local proxychains="$subject"
	need_subject faketime
	local faketime="$subject"
	need_subject jemalloc
	settings=(PROXYCHAINS_QUIET_MODE=1 PROXYCHAINS_CONF_FILE="$PWD/chains" FAKETIME=-3y)
	printf 'strict_chain\nquiet_mode\nlocalnet 127.0.0.0/255.0.0.0\n[ProxyList]\nsocks5 127.0.0.1 1\n' >chains
	ahead="$eatmydata:$targets/libneighbour.so:$faketime" behind="$proxychains" assert_exact
	ahead="$targets/libneighbour.so:$proxychains" behind="$eatmydata:$subject" assert_exact
}

@test "faketime on either side: what is counted is the program's" {
	need_subject faketime
	settings=(FAKETIME='2001-02-03 04:05:06' TZ=UTC)
	assert_exact_beside "$subject"
}

# bats test_tags=trap:T62
@test "with a clock that stands still, runs ahead or lies, ours is the kernel's" {
	need_subject faketime
	local faketime="$subject" case side clock cpu from at elapsed
	for case in "ahead +0 x1000" "behind 2001-02-03 04:05:06" "behind -3y"; do
		side="${case%% *}"
		clock="${case#* }"
		local "$side=$faketime"
		from="$SECONDS" at="$EPOCHSECONDS"
		PROMSHIM_TUNE=slow_interval=100ms start FAKETIME="$clock" TZ=UTC "$targets/threads" held 3
		expect "all there"
		scrape
		cpu="$(metric process_cpu_seconds_total)"
		# within this start; the kernel's own is rounded, and moves when the clock is set
		assert_metric promshim_start_time_seconds -ge $((at - 100))
		assert_metric promshim_start_time_seconds -le $((EPOCHSECONDS + 100))
		assert_metric process_start_time_seconds -ge $((at - 100))
		assert_metric process_start_time_seconds -le $((EPOCHSECONDS + 100))
		go_on
		go_on
		go_on
		expect "all gone"
		# published by ticks: they come
		wait_until cpu_has_grown "$cpu"
		elapsed=$((SECONDS - from + 1))
		# nothing took longer than that by the kernel's clock: processors, 3 threads
		assert_metric process_cpu_seconds_total -le $((elapsed * $(nproc --all)))
		assert_metric promshim_thread_lifetime_seconds_sum -gt 0
		assert_metric promshim_thread_lifetime_seconds_sum -le $((3 * elapsed))
		wait_until shows_allocator
		assert_metric 'promshim_collector_age_seconds{collector="allocator"}' -le $((SECONDS - from + 1))
		finish
		assert_equal "$status $(<"$err")" "0 "
		# the end waits for our threads with a deadline: a page is left in time
		run -0 count PROMSHIM_MODE=serve FAKETIME="$clock" TZ=UTC "$targets/threads" plain 5
		assert_output done
		unset "$side"
	done
}

cpu_has_grown() {
	is_served || return 1
	awk -v now="$(metric process_cpu_seconds_total)" -v before="$1" 'BEGIN { exit !(now > before) }'
}

@test "AddressSanitizer as a library must come first: it says so, and check says it before" {
	build program outside gcc -fsanitize=address
	run -1 --separate-stderr preload ./program </dev/null
	assert_output ""
	assert_equal "${#stderr_lines[@]}" 1
	[[ "$stderr" == *'ASan runtime does not come first'* ]] || fail "$stderr"
	run -1 "$promshim" check ./program
	assert_output --partial 'no. Built with AddressSanitizer'
	assert_output --regexp 'LD_PRELOAD=libasan\.so\.[0-9]+:libpromshim\.so'
}

@test "AddressSanitizer ahead of us: the program runs, its threads are counted, its faults are found" {
	build program outside gcc -fsanitize=address
	ahead="$(ldd program | awk '/libasan/ { print $3 }')"
	run -6 --separate-stderr bare ./program </dev/null
	local bare_output="$output"
	run -6 --separate-stderr preload ./program </dev/null
	assert_output "$bare_output"
	assert_equal "$stderr" ""
	start ./program
	expect ready
	scrape
	assert_metric 'promshim_hooks_active{hook="malloc"}' -eq 0
	assert_metric promshim_thread_ends_total -eq 4
	finish
	assert_equal "$status" 6
	assert_faults_found gcc -fsanitize=address
}

@test "AddressSanitizer inside the executable: the program runs, is served, and its faults are found" {
	local -a compiler
	for compiler in "clang -fsanitize=address" "gcc -fsanitize=address -static-libasan"; do
		read -r -a compiler <<<"$compiler"
		build program outside "${compiler[@]}"
		run -6 bare ./program </dev/null
		assert_unchanged ./program
		assert_equal "$status" 6
		start ./program
		expect ready
		scrape
		assert_metric 'promshim_hooks_active{hook="malloc"}' -eq 0
		finish
		assert_equal "$status" 6
		run -3 "$promshim" check ./program
		assert_output --partial 'malloc is inside the executable'
		assert_faults_found "${compiler[@]}"
	done
}

# What the sanitizer says of a leak and of an overflow does not change, and nothing of ours leaks.
assert_faults_found() {
	cat >faulty.c <<-'EOF'
		#include <stdlib.h>
		static char *volatile p;
		int main(int argc, char **argv) {
		  p = malloc(10);
		  if (argc > 1) p[10] = 1;
		  p = NULL;
		  return 0;
		}
	EOF
	"$@" -g -w -o faulty faulty.c
	run -1 preload ./faulty overflow
	assert_output --partial 'AddressSanitizer: heap-buffer-overflow'
	run bare ./faulty
	local bare_status="$status" summary
	summary="$(grep ^SUMMARY <<<"$output")"
	run -"$bare_status" preload ./faulty
	assert_line "$summary"
}

@test "ThreadSanitizer, MemorySanitizer and LeakSanitizer: the program runs as without us" {
	local compiler
	local -a words
	for compiler in "gcc -fsanitize=thread" "clang -fsanitize=thread" "clang -fsanitize=memory" \
		"gcc -fsanitize=leak" "clang -fsanitize=leak" \
		"gcc -fsanitize=undefined" "clang -fsanitize=undefined"; do
		read -r -a words <<<"$compiler"
		build program outside "${words[@]}"
		run -6 bare ./program </dev/null
		assert_unchanged ./program
		assert_equal "$compiler $status" "$compiler 6"
		# while it lives, too: a thread of ours is none that such a runtime knows
		start_silent ./program "$targets/exact" 2 100
		expect ready
		expect "program 0"
		finish
		assert_equal "$compiler $status" "$compiler 6"
		assert_equal "$(<"$err")" ""
	done
	build program outside gcc -fsanitize=thread
	run -1 "$promshim" check ./program
	assert_output --partial 'no. Built with ThreadSanitizer'
	build program outside gcc -fsanitize=leak
	run -1 "$promshim" check ./program
	assert_output --partial 'no. Built with LeakSanitizer'
}

@test "a race is found by ThreadSanitizer as without us" {
	cat >race.c <<-'EOF'
		#include <pthread.h>
		static int shared;
		/* one after the other, which tells the sanitizer nothing: at the same instant it can miss it */
		static int done;
		static void *work(void *p) {
		  shared++;
		  __atomic_store_n(&done, 1, __ATOMIC_RELAXED);
		  return p;
		}
		int main(void) {
		  pthread_t t;
		  pthread_create(&t, 0, work, 0);
		  while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		  }
		  shared++;
		  pthread_join(t, 0);
		  return 0;
		}
	EOF
	local compiler
	for compiler in gcc clang; do
		command -v "$compiler" >/dev/null || missing "$compiler"
		"$compiler" -g -pthread -fsanitize=thread -o race race.c 2>build.err || missing "$(<build.err)"
		run -66 bare ./race
		assert_line --regexp '^SUMMARY: ThreadSanitizer: data race .*race\.c:[0-9]+'
		run -66 preload ./race
		assert_line --regexp '^SUMMARY: ThreadSanitizer: data race .*race\.c:[0-9]+'
		refute_output --partial promshim
	done
}
