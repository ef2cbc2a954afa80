#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Objects that are loaded in unusual ways: what bypasses the hooks is not counted, and harms nothing.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# bats test_tags=trap:T21
@test "a plug-in bound before us may drift, live is never negative" {
	run -0 bare "$targets/modules" deepbind "$targets/libmodule.so"
	run -0 count "$targets/modules" deepbind "$targets/libmodule.so"
	assert_output done
	# 1000 frees of blocks that no hook saw
	assert_metric promshim_malloc_frees_total -ge 1000
	assert_metric promshim_malloc_live_blocks -eq 0
	assert_metric promshim_malloc_live_bytes -eq 0
}

# bats test_tags=trap:T22
@test "a name space with its own libc is left alone" {
	run -0 bare "$targets/modules" dlmopen "$targets/libmodule.so"
	run -0 count "$targets/modules" dlmopen "$targets/libmodule.so"
	assert_output done
	assert_metric promshim_thread_ends_total -eq 10
}

# bats test_tags=trap:T26
@test "a program that loads the shim while it runs goes on" {
	run -0 bare "$targets/modules" late "$shim_so"
	assert_line done
	run -0 preload "$targets/modules" late "$shim_so"
	assert_line done
}

# bats test_tags=trap:T06
@test "an object for LD_AUDIT does not disturb" {
	LD_AUDIT="$targets/libaudit.so" run -0 bare "$targets/threads" plain 20
	assert_output done
	LD_AUDIT="$targets/libaudit.so" run -0 count "$targets/threads" plain 20
	assert_output done
	assert_metric promshim_thread_ends_total -eq 20
}

# bats test_tags=trap:T26
@test "a host with much static TLS is served, and its threads start" {
	run -0 bare "$targets/tls_hog" </dev/null
	assert_output "hog 1"
	start "$targets/tls_hog"
	expect "hog 1"
	scrape
	assert_metric promshim_thread_ends_total -eq 10
	finish
	assert_equal "$status" 0
}
