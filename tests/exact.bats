#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every malloc and free is counted, once: totals are those of the program itself, and of valgrind.
# bats file_tags=area:count

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# Checks that totals grew from one array to another by what the target says that it did.
assert_grown_by() {
	local -n from="$1" to="$2"
	local pair name
	for pair in $3; do
		name="${pair%%=*}"
		assert_equal "$name $((to["$name"] - from["$name"]))" "$name ${pair#*=}"
	done
}

# exact THREADS CALLS, against the same number of threads without a call. ${behind} is passed on.
assert_exact() {
	local -A without with
	run -0 count "$targets/exact" "$1" 0
	totals without
	run -0 count "$targets/exact" "$1" "$2"
	totals with
	assert_grown_by without with "$output"
	assert_equal "${with[requests]}" "${with[allocations]}"
	assert_equal "${with[failures]}" 0
	assert_equal "${with[uncounted]}" 0
	# What threads leave behind (their vectors in cached stacks) is there without calls too.
	assert_equal "${with[live_blocks]}" "${without[live_blocks]}"
	assert_equal "${with[live_bytes]}" "${without[live_bytes]}"
}

@test "a program that allocates nothing has counted nothing" {
	local -A t
	run -0 count "$targets/family" nothing
	totals t
	assert_equal "${t[allocations]} ${t[frees]} ${t[requested]} ${t[live_blocks]}" "0 0 0 0"
}

# bats test_tags=trap:T13,trap:T20
@test "every function of the family is counted exactly in one thread" {
	assert_exact 1 3000
}

# bats test_tags=trap:T13,trap:T20
@test "every function of the family is counted exactly in 8 threads" {
	assert_exact 8 1000
}

# bats test_tags=trap:T13,trap:T20
@test "every function of the family is counted exactly in 50 threads" {
	assert_exact 50 50
}

# bats test_tags=trap:T20
@test "the counts on a served page are exact while the program runs" {
	local -A before after
	ulimit -S -s 8192 # libc gives up what cached stacks hold beyond 40 MiB, at a time of its own
	start "$targets/exact" 4 1000 wait
	expect "threads wait"
	scrape
	totals before
	go_on
	wait_until grep -q allocations= "$out"
	scrape
	totals after
	assert_grown_by before after "$(grep allocations= "$out")"
	assert_equal "${after[live_bytes]}" "${before[live_bytes]}"
	scrape
	totals after
	assert_grown_by before after "$(grep allocations= "$out")"
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T15
@test "live is what is held, and zero when all is given back" {
	local -A t
	run -0 count "$targets/family" malloc_free
	totals t
	assert_equal "${t[allocations]} ${t[live_blocks]} ${t[live_bytes]}" "1 0 0"
	run -0 count "$targets/family" keep
	totals t
	assert_equal "${t[live_blocks]} ${t[live_bytes]}" "1 1000"
}

@test "allocated is freed and live and unfreed at exit" {
	local -A t
	local unfreed
	run -0 count "$targets/dlsyms"
	totals t
	unfreed="$(metric promshim_malloc_unfreed_at_exit_bytes_total)"
	assert_equal "$((t[freed] + t[live_bytes] + unfreed))" "${t[allocated]}"
}

@test "sizes fall into the buckets that they belong to" {
	local bound bucket
	local -A wanted=(["16.0"]=7 ["32.0"]=7 ["64.0"]=9 ["128.0"]=10 ["256.0"]=10 ["1024.0"]=13 ["4096.0"]=13
		["65536.0"]=13 ["262144.0"]=14 ["6.7108864e+07"]=14 ["+Inf"]=14)
	# 0 0 40 1 10 63 630 300 512 77 5 13 6 200000 bytes, as exact 1 1 asks for
	run -0 count "$targets/exact" 1 0
	mv "$page" without
	run -0 count "$targets/exact" 1 1
	mv "$page" with
	for bound in "${!wanted[@]}"; do
		bucket="promshim_malloc_request_size_bytes_bucket{le=\"$bound\"}"
		page=without
		wanted[$bound]=$((wanted[$bound] + $(metric "$bucket")))
		page=with
		assert_metric "$bucket" -eq "${wanted[$bound]}"
	done
}

# Runs a program under valgrind and under the shim, and compares what both say of its heap.
# valgrind's own freeing at exit is switched off, as no program has it. Each thread's vector of
# TLS blocks is 16 bytes longer with us, who have one.
assert_as_valgrind() {
	local log="$BATS_TEST_TMPDIR/valgrind" usage
	local -A t
	command -v valgrind >/dev/null || missing valgrind
	run -0 bare valgrind --log-file="$log" --run-libc-freeres=no \
		--run-cxx-freeres=no --error-exitcode=0 "$@"
	run -0 count "$@"
	totals t
	usage="$(sed -n 's/,//g; s/.*total heap usage: //p' "$log")"
	t[requested]=$((t[requested] - 16 * t[starts]))
	assert_equal \
		"${t[allocations]} allocs ${t[frees]} frees ${t[requested]} bytes allocated" "$usage"
}

@test "valgrind agrees about a C program" {
	assert_as_valgrind "$targets/exact" 1 100
}

# bats test_tags=trap:T20
@test "valgrind agrees about a C program with threads" {
	assert_as_valgrind "$targets/exact" 8 50
}

@test "valgrind agrees about a C++ program" {
	assert_as_valgrind "$targets/cxx" 10
}

@test "valgrind agrees about sort" {
	seq 20000 | shuf --random-source=/bin/bash >numbers
	assert_as_valgrind /usr/bin/sort --parallel=1 -n -o sorted numbers
}

@test "valgrind agrees about gzip, sed, awk and grep" {
	seq 20000 >numbers
	assert_as_valgrind /bin/gzip -kf numbers
	assert_as_valgrind /bin/sed -n 's/1/2/p' numbers
	assert_as_valgrind /bin/grep -c 77 numbers
}
