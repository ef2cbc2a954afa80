#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What a run says in the end: what failed, where, and with which words; what took long; what was
# red once in many runs.
# bats file_tags=area:format

setup() {
	load helpers/common
	common_setup
	log one.json bats heap OK 0 'ok 1 a first one in 1200ms' 'ok 2 a second in 30ms # skip missing: x'
	log one.json bats exit ERROR 1 'ok 1 all is well in 5ms' 'not ok 2 it ends in 77ms' \
		"# (from function \`fail' in file /usr/lib/bats/x.bash, line 3," \
		'#  in test file ../tests/exit.bats, line 41)' "#   \`fail \"no\"' failed" '# status 139, wanted 0' \
		'ok 3 what comes behind in 9ms' '1..3'
	log one.json unit text ERROR 1 'ok 1 - empty' 'not ok 2 - full' '# failed at ../tests/unit/text.c:17' \
		'#      got: 1' '# expected: 2' '1..2'
	log one.json unit hangs TIMEOUT -15 'ok 1 - begun' 'a last word'
	log one.json style layers OK 0
	log one.json style must-fail EXPECTEDFAIL 1 'not ok 1 as it must'
}

# Appends a test program to a log, as meson writes it: log FILE SUITE NAME RESULT STATUS LINE...
log() {
	printf '%s\n' "${@:6}" | jq -Rsc --arg name "promshim:$2 / $3" --arg result "$4" --argjson status "$5" \
		'{name: $name, stdout: ., stderr: "", result: $result, returncode: $status, duration: 30}' >>"$1"
}

results() {
	run "-$1" "$SOURCE_ROOT/tests/helpers/results.py" "${@:2}"
}

@test "each line of TAP counts, and each program that prints none, died or hung" {
	results 0 count one.json
	assert_line --index 0 '7 3 1'
	assert_line --index 1 'skipped: heap: a second # skip missing: x'
	assert_equal "${#lines[@]}" 2
}

@test "a failure is told by its name, its place and the end of its output" {
	results 0 failures one.json
	assert_output "not ok - exit: it ends
    tests/exit.bats:41
    (from function \`fail' in file /usr/lib/bats/x.bash, line 3,
     in test file ../tests/exit.bats, line 41)
      \`fail \"no\"' failed
    status 139, wanted 0
not ok - text: full
    tests/unit/text.c:17
    failed at ../tests/unit/text.c:17
         got: 1
    expected: 2
    1..2
not ok - hangs
    timeout after 30 s, status -15
    ok 1 - begun
    a last word"
}

@test "of much output the place and the end are shown, of many failures the first 40" {
	local -a many=()
	local i
	for i in {1..50}; do
		many+=("not ok $i - number $i" "# failed at tests/unit/many.c:$i")
		many+=(line{1..30})
	done
	log many.json unit many ERROR 1 "${many[@]}"
	results 0 failures many.json
	assert_equal "$(grep -c '^not ok - many: number ' <<<"$output")" 40
	assert_equal "$(grep -c '^    line12$' <<<"$output") $(grep -c '^    line30$' <<<"$output")" "0 40"
	assert_equal "$(grep -c '^    failed at' <<<"$output") $(wc -l <<<"$output")" "40 $((40 * 22 + 1))"
	assert_line --index -1 'and 10 more'
}

@test "the slowest tests are told first" {
	results 0 slowest 2 one.json
	assert_output "   30.0 s  hangs
   30.0 s  layers"
	results 0 slowest 4 one.json
	assert_line --index 3 '    1.2 s  heap: a first one'
}

@test "of many runs those are told that were red, how often, and how" {
	log two.json unit text ERROR 1 'ok 1 - empty' 'not ok 2 - full' '# failed at ../tests/unit/text.c:17' '# got: 3'
	log three.json unit text OK 0 'ok 1 - empty' 'ok 2 - full'
	log three.json bats exit OK 0 'ok 1 all is well in 5ms' 'ok 2 it ends in 77ms'
	results 1 repeated two.json three.json
	assert_output "text: full
  2 runs, 1 red
    1 x tests/unit/text.c:17 got: 3"
	cp two.json run-1-build-asan-unit.json
	results 1 repeated run-1-build-asan-unit.json three.json
	assert_line --index 0 'asan text: full'
	results 1 repeated one.json two.json three.json
	assert_line "    1 x tests/exit.bats:41 status 139, wanted 0"
	results 0 repeated three.json
	assert_output ""
}

@test "what is not known is refused" {
	results 2
	results 2 guess one.json
}
