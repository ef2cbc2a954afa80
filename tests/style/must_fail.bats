#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The suites can fail: meson runs this file and expects it to.

@test "a false assertion ends a test" {
	bats_load_library bats-assert 2>/dev/null || true
	run printf 'something'
	[[ "$output" == 'something else' ]]
}
