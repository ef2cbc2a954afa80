#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The page is served from memory of our own, whatever has become of the host's heap.
# bats file_tags=area:serve

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# What nobody asks the allocator for: no process of ours is there, and none was.
assert_childless() {
	local -a fields
	run -0 cat "/proc/$pid/task"/*/children
	assert_output ""
	read -r -a fields <"/proc/$pid/stat"
	assert_equal "${fields[10]} ${fields[12]}" "0 0" # cminflt and cmajflt of proc(5)
}

@test "a host that holds its allocator's lock for ever is served, and its heap is shown" {
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/arena_lock"
	expect locked
	wait_until heap_is_above 100000
	assert_metric promshim_malloc_allocations_total -ge 2
	assert_childless
	run -1 grep "malloc came back" "$out"
	finish
	assert_equal "$status" 0
}

@test "a host that has overwritten its heap is served, and lives" {
	PROMSHIM_TUNE=slow_interval=100ms start "$targets/overwritten"
	expect healthy
	scrape
	assert_metric promshim_malloc_allocations_total -eq 400
	go_on
	expect overwritten
	wait_until heap_is_above 600000
	assert_metric promshim_malloc_frees_total -eq 134
	assert_metric promshim_exporter_messages_total -eq 0
	assert_childless
	scrape
	finish
	assert_equal "$status" 0
}

# Tells whether the page says of the heap what glibc said, and has what is free and in use as it is now: heap_is BYTES.
heap_is() {
	local in_use
	is_served && [[ "$(metric promshim_allocator_heap_bytes)" == "$1" ]] || return 1
	in_use="$(($(metric promshim_malloc_live_bytes) + 8 * $(metric promshim_malloc_live_blocks)))"
	[[ "$(metric promshim_allocator_in_use_bytes)" == "$in_use" ]] \
		&& [[ "$(metric promshim_allocator_free_bytes)" == $(($1 - in_use)) ]]
}

heap_is_above() {
	is_served && (($(metric promshim_allocator_heap_bytes) > $1))
}

heap_is_left_out() {
	is_served && ! grep -q '^promshim_allocator_\(heap\|free\)_bytes' "$page" \
		&& (($(metric promshim_allocator_in_use_bytes) > 20000000))
}

# Waits for a line of the host of this kind: $bytes, what glibc itself says.
glibc_says() {
	wait_until grep -q "^$1 " "$out"
	bytes="$(sed -n "s/^$1 //p" "$out")"
}

# Holds the page to glibc's own figures in every shape of a heap.
# assert_heap [VARIABLE=VALUE...]
assert_heap() {
	local shape
	PROMSHIM_TUNE=slow_interval=100ms start env "$@" "$targets/heap"
	for shape in small arenas mapped freed trimmed; do
		glibc_says "$shape"
		wait_until heap_is "$bytes"
		go_on
	done
	glibc_says barred
	wait_until heap_is_left_out
	go_on
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$err")" ""
}

@test "the heap is what glibc says, to the byte: arenas, mapped blocks, freed and trimmed, and none where it is barred" {
	assert_heap A=1
}

# bats test_tags=slow
@test "the heap is what glibc says with one arena, with a fixed threshold, and with huge pages" {
	assert_heap MALLOC_ARENA_MAX=1
	assert_heap MALLOC_MMAP_THRESHOLD_=4096
	assert_heap MALLOC_TOP_PAD_=1000000
	assert_heap GLIBC_TUNABLES=glibc.malloc.hugetlb=1
}

heap_is_gone() {
	is_served && ! grep -q '^promshim_allocator_heap_bytes' "$page"
}

@test "where glibc does without brk, no heap is shown" {
	PROMSHIM_TUNE=slow_interval=100ms start env GLIBC_TUNABLES=glibc.malloc.hugetlb=2 "$targets/heap"
	glibc_says small
	wait_until heap_is_gone
	finish
	assert_equal "$status" 0
}

@test "a forked child's heap is what glibc says there" {
	local child
	mkdir pages
	PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$PWD/pages/%p" run -0 preload "$targets/heap" fork
	read -r _ child bytes <<<"$output"
	check_page "pages/$child"
	page="pages/$child"
	assert_metric promshim_allocator_heap_bytes -eq "$bytes"
}
