#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Each function of the malloc family: what its caller sees is what he would see without the shim,
# and the call is counted once, a failure without bytes.
# bats file_tags=area:count

setup() {
	load helpers/common
	common_setup
}

# promise CASE [COUNTER=VALUE]...: runs it bare and counted; counters not named are 0.
promise() {
	local -A t wanted=()
	local name
	run -0 bare "$targets/family" "$1"
	run -0 count "$targets/family" "$1"
	assert_output ""
	totals t
	for name in "${@:2}"; do
		wanted[${name%%=*}]="${name#*=}"
	done
	for name in allocations frees requested failures reallocations moved live_blocks live_bytes; do
		assert_equal "$name ${t[$name]}" "$name ${wanted[$name]-0}"
	done
	assert_equal "${t[freed]}" "${t[allocated]}"
}

@test "malloc and free are one allocation and one free" {
	promise malloc_free allocations=1 frees=1 requested=100
}

@test "malloc of 0 bytes is a block" {
	promise malloc_zero allocations=1 frees=1
}

# bats test_tags=trap:T11
@test "free of NULL is nothing, and keeps errno" {
	promise free_null
}

# bats test_tags=trap:T11
@test "free keeps errno, also when it unmaps" {
	promise free_keeps_errno allocations=2 frees=2 requested=$((100 + (1 << 20)))
}

# bats test_tags=trap:T11
@test "malloc that succeeds keeps errno" {
	promise malloc_keeps_errno allocations=1 frees=1 requested=100
}

# bats test_tags=trap:T11
@test "malloc that fails is a failure without bytes" {
	promise malloc_fails failures=1
}

# bats test_tags=trap:T11
@test "calloc that fails is a failure without bytes" {
	promise calloc_fails failures=1
}

# bats test_tags=trap:T11
@test "calloc whose product overflows is a failure" {
	promise calloc_overflows failures=1
}

@test "calloc gives zeros" {
	promise calloc_zeroes allocations=2 frees=2 requested=10000
}

# bats test_tags=trap:T12
@test "realloc of NULL is an allocation" {
	promise realloc_null allocations=1 frees=1 requested=100
}

# bats test_tags=trap:T12
@test "realloc of NULL to 0 bytes is a block" {
	promise realloc_null_zero allocations=1 frees=1
}

# bats test_tags=trap:T12
@test "realloc to 0 bytes is a free" {
	promise realloc_zero allocations=1 frees=1 requested=100
}

# bats test_tags=trap:T12
@test "realloc in place is an allocation and a free" {
	promise realloc_in_place allocations=2 frees=2 requested=201 reallocations=1
}

# bats test_tags=trap:T12
@test "realloc that moves keeps the contents and says that it moved" {
	promise realloc_moves allocations=3 frees=3 requested=100200 reallocations=1 moved=1
}

# bats test_tags=trap:T11,trap:T12
@test "realloc that fails leaves the block as it was" {
	promise realloc_fails allocations=1 frees=1 requested=100 failures=1
}

# bats test_tags=trap:T13
@test "reallocarray is counted once" {
	promise reallocarray_grows allocations=2 frees=2 requested=400 reallocations=1 moved=0
}

# bats test_tags=trap:T11,trap:T13
@test "reallocarray whose product overflows leaves the block as it was" {
	promise reallocarray_overflows allocations=1 frees=1 requested=100 failures=1
}

# bats test_tags=trap:T13
@test "posix_memalign is counted once, aligned, and leaves errno alone" {
	promise posix_memalign_takes allocations=1 frees=1 requested=100
}

# bats test_tags=trap:T11,trap:T13
@test "posix_memalign with a bad alignment answers EINVAL and touches nothing" {
	promise posix_memalign_refuses failures=2
}

# bats test_tags=trap:T11,trap:T13
@test "posix_memalign that fails answers ENOMEM and touches nothing" {
	promise posix_memalign_fails failures=1
}

# bats test_tags=trap:T13
@test "aligned_alloc is counted once and aligned" {
	promise aligned_alloc_takes allocations=1 frees=1 requested=2048
}

# bats test_tags=trap:T11,trap:T13
@test "aligned_alloc that fails is a failure" {
	promise aligned_alloc_fails failures=1
}

# bats test_tags=trap:T13
@test "memalign is counted once and aligned" {
	promise memalign_takes allocations=1 frees=1 requested=10
}

# bats test_tags=trap:T13
@test "valloc is counted once and aligned to a page" {
	promise valloc_takes allocations=1 frees=1 requested=10
}

# bats test_tags=trap:T13
@test "pvalloc is counted once and whole pages" {
	promise pvalloc_takes allocations=1 frees=1 requested=10
}

# bats test_tags=trap:T13
@test "strdup is counted once" {
	promise strdup_once allocations=1 frees=1 requested=10
}

# bats test_tags=trap:T13
@test "a library's own free_sized and free_aligned_sized get what is theirs" {
	run -0 bare "$targets/sized"
	assert_output "back 1064"
	run -0 count "$targets/sized"
	assert_output "back 1064"
	assert_metric promshim_malloc_frees_total -eq 0
}

@test "free_sized and free_aligned_sized are there and counted as free" {
	local -A t
	run -0 count "$targets/family" free_sized
	totals t
	assert_equal "${t[allocations]} ${t[frees]} ${t[live_bytes]}" "2 2 0"
}

# bats test_tags=trap:T02
@test "a lookup of absent symbols does not recurse and skews nothing" {
	local -A t
	run -0 bare "$targets/dlsyms"
	run -0 count "$targets/dlsyms"
	assert_output looked
	totals t
	((t[live_blocks] <= 30)) || fail "${t[live_blocks]} blocks are left"
	((t[frees] <= t[allocations])) || fail "more frees than allocations"
}

# bats test_tags=trap:T19
@test "programs that take the address of malloc are counted" {
	local target
	local -A t
	for target in pointers pointers_no_plt pointers_no_pie; do
		run -0 bare "$targets/$target"
		run -0 count "$targets/$target"
		assert_output done
		totals t
		assert_equal "$target ${t[allocations]} ${t[frees]} ${t[requested]}" "$target 3 3 60"
	done
}
