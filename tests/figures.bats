#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The figures of a run: each trap and program that was shown is counted, each that was not is told.
# bats file_tags=area:format

setup() {
	load helpers/common
	common_setup
	mkdir -p tests/real
	cat >tests/traps <<-'EOT'
		# a comment
		T01  one
		T02  two
		T03  three  later: heap profile
		T04  four
	EOT
	# those of bats are made of printf: this file's own must not be taken for them
	suite tests/a.bats '# bats file_tags=area:host' '# bats test_tags=trap:T01, slow' \
		'@test "first: a \"quoted\" \$name" {' '}' '# bats test_tags=trap:T01,trap:T02' '@test "second # 2" {' '}' \
		'@test "of no trap" {' '}' '# bats test_tags=trap:T02,soak' '@test "for hours" {' '}'
	suite tests/real/b.bats '# bats file_tags=program' '# bats test_tags=scraped' '@test "server" {' '}' \
		'# bats test_tags=trap:T04' "@test 'tool' {" '}'
	log bats a 'ok 1 first: a "quoted" $name in 12ms' 'ok 2 second # 2 in 1ms' 'not ok 3 of no trap in 7ms'
	log real b 'ok 1 server in 5ms' 'ok 2 tool'
}

# Writes lines into a file: suite FILE LINE...
suite() {
	printf '%s\n' "${@:2}" >"$1"
}

# Appends a test program to the log, as meson writes it: log SUITE NAME LINE...
log() {
	printf '%s\n' "${@:3}" | jq -Rsc --arg name "promshim:$1 / $2" '{name: $name, stdout: ., result: "OK"}' >>log.json
}

# The figures of this folder: exit code first.
figures() {
	run -"$1" "$SOURCE_ROOT/tests/helpers/figures" --tests tests log.json
}

@test "all that was shown is counted" {
	figures 0
	assert_output 'traps: 3 of 4 passed; later: T03
programs: 2 tried, 2 identical, 1 scraped'
}

@test "a test that failed, was skipped or was not run shows nothing" {
	sed -i 's/ok 2 second/not ok 2 second/' log.json
	figures 0
	assert_line 'traps: 1 of 4 passed; later: T03; failed: T01 T02'
	assert_line 'failed: a: second # 2 T01 T02'
	sed -i 's/not ok 2 second # 2 in 1ms/ok 2 second # 2 # skip missing: x/' log.json
	figures 0
	assert_line 'skipped: a: second # 2 T01 T02'
	assert_line 'traps: 1 of 4 passed; later: T03; failed: T01 T02'
	sed -i 's/ok 2 second.*skip missing: x//' log.json
	figures 0
	assert_line 'not run: a: second # 2 T01 T02'
	assert_line 'traps: 1 of 4 passed; later: T03; failed: T01 T02'
}

@test "a program that failed is tried, one that was skipped is not, and neither was scraped" {
	sed -i 's/ok 1 server/not ok 1 server/' log.json
	figures 0
	assert_line 'programs: 2 tried, 1 identical, 0 scraped'
	assert_line 'failed: b: server'
	sed -i 's/not ok 1 server/ok 1 server # skip missing/' log.json
	figures 0
	assert_line 'programs: 1 tried, 1 identical, 0 scraped'
}

@test "a trap without a test is a fault, unless its part is yet to come" {
	sed -i '/T04/d' tests/real/b.bats
	figures 1
	assert_line 'traps: 2 of 4 passed; later: T03; without a test: T04'
	sed -i 's/T04  four/&  later: groups/' tests/traps
	figures 0
	assert_line 'traps: 2 of 4 passed; later: T03 T04'
}

@test "a soak is no evidence of a run" {
	sed -i 's/trap:T01,trap:T02/trap:T01/' tests/a.bats
	figures 1
	assert_line 'traps: 2 of 4 passed; later: T03; without a test: T02'
}

@test "unknown tags are faults" {
	local tag
	for tag in trap:T05 trap:T1 T01 trap scarped area; do
		sed -i "s/test_tags=scraped.*/test_tags=scraped,$tag/" tests/real/b.bats
		figures 1
		assert_line "b.bats: unknown tag $tag"
	done
	suite tests/a.bats '# bats file_tags=host'
	figures 1
	assert_line 'a.bats: unknown tag host'
}

@test "scraped is said of programs only" {
	sed -i 's/file_tags=program/file_tags=area:host/' tests/real/b.bats
	figures 1
	assert_line 'b.bats: server: tagged scraped, but not program'
}

@test "a row that is none, and a second one of a number, are faults" {
	printf 'T04  again\nT5  short\n' >>tests/traps
	figures 1
	assert_line 'traps: T04  again: not a row, or a second one of its number'
	assert_line 'traps: T5  short: not a row, or a second one of its number'
}

@test "a log that is not there is a fault" {
	run -1 "$SOURCE_ROOT/tests/helpers/figures" --tests tests log.json other.json
	assert_line 'other.json: no such log: were these tests run?'
}

@test "the table has the 62 traps, in order" {
	run -0 sed -n 's/^\(T..\)  .*/\1/p' "$SOURCE_ROOT/tests/traps"
	assert_output "$(printf 'T%02d\n' {1..62})"
}
