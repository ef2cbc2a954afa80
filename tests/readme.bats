#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the README shows is what happens, and the names that people build on are those of the
# golden lists: a change of one of them is a change of the interface.
# bats file_tags=area:command

setup() {
	load helpers/common
	common_setup
	readme="$SOURCE_ROOT/README.md"
	golden="$SOURCE_ROOT/tests/golden"
	tool="$SOURCE_ROOT/tests/helpers/readme"
}

teardown() {
	common_teardown
}

# assert_same WHAT EXPECTED ACTUAL: two files.
assert_same() {
	diff -u "$2" "$3" >difference || fail "$1 differs:"$'\n'"$(<difference)"
}

# Nothing is to be installed in a test: what a script would install has to be there.
need_packages() {
	local -a names=()
	mapfile -t names < <("$SOURCE_ROOT/scripts/packages" --list "$1")
	dpkg-query -W "${names[@]}" >/dev/null 2>absent || missing "$(<absent)"
}

# A checkout of what the named script needs: checkout PATH...
checkout() {
	local path
	mkdir checkout
	for path in "$@"; do
		mkdir -p "checkout/$(dirname "$path")"
		cp -a "$SOURCE_ROOT/$path" "checkout/$path"
	done
}

# The block that the README shows below a command has the same lines as a file, but for numbers.
assert_block() {
	# what is skipped is the machine's
	"$tool" "$readme" block "$1" | "$tool" - shape | sed '/^skipped: /d; s/, N skipped$//; /^ N s [a-z]/d' >promised
	"$tool" - shape <"$2" >printed
	assert_same "what the README shows of $1" promised printed
}

# slow: it builds all of it, and then shows a rate, that of a real load for some seconds
# bats test_tags=slow
@test "scripts/quickstart in a fresh checkout prints what the README shows" {
	need_packages build
	need_subject redis
	checkout exporter preload scripts meson.build meson_options.txt
	mkdir checkout/build
	ln -s "$SUBJECTS_DIR" checkout/build/subjects
	# tests take free ports
	sed -i 's/port=19964/port=0/' checkout/scripts/quickstart
	QUICKSTART_SECONDS=5 run -0 bare checkout/scripts/quickstart
	printf '%s\n' "$output" >report
	assert_block scripts/quickstart report
	# the shape says nothing of how much: the load was counted
	run -0 grep -E '^  allocations .* [0-9,]+,[0-9]{3} per second$' report
}

@test "scripts/test reports as the README shows" {
	checkout scripts tests/helpers
	# what it runs is not of interest here: one good line of TAP for each suite
	mkdir stub
	cat >stub/meson <<-'STUB'
		#!/bin/bash
		[[ "$1" == test ]] || exit 0
		while [[ "$1" != --logbase ]]; do [[ "$1" != -C ]] || folder="$2"; shift; done
		mkdir -p "$folder/meson-logs"
		printf '{"name":"a","result":"OK","stdout":"ok 1 - a\\n"}\n' >"$folder/meson-logs/$2.json"
	STUB
	printf '#!/bin/sh\necho "tests/unit/test-a: c_LINKER"\n' >stub/ninja
	printf '#!/bin/sh\n' >checkout/scripts/subjects
	printf '#!/bin/sh\necho "packages   gcc, meson, ninja: present"\n' >checkout/scripts/packages
	chmod +x stub/* checkout/scripts/*
	run -0 bare -u CI PATH="$PWD/stub:$PATH" checkout/scripts/test
	# which tests are the slowest is the machine's
	grep -vE '^ +[0-9.]+ s  ' <<<"$output" >report
	run -0 tail -n 1 report
	# two builds, and four suites
	assert_output "6 passed, 0 failed"
	assert_block scripts/test report
}

@test "the README's request to a program of the reader's is answered as shown" {
	local command
	PROMSHIM_PROGRAM=app start "$targets/idle"
	expect ready
	command="$(sed -n 's/^    \$ \(curl -sv .*\)/\1/p' "$readme")"
	HOME="$PWD" no_proxy='*' run -0 bash -c "${command//19964/$port}"
	printf '%s\n' "${output//$'\r'/}" >answer
	assert_block "$command" answer
}

# The page of a program in which every collector has said something.
complete_page() {
	scrape
	grep -q '^promshim_allocator_heap_bytes' "$page"
}

@test "the README's metrics are those of a running program and of the golden list" {
	local optional=promshim_memory_limit_bytes
	start "$targets/idle"
	wait_until complete_page
	"$SOURCE_ROOT/tests/helpers/page-families" "$page" >families
	"$tool" "$readme" table Metrics | awk -F '\t' -v OFS='\t' \
		'$1 ~ /^(promshim|process)_/ { gsub(", ", ",", $3); print }' | sort >table
	if ! grep -q "^$optional"$'\t' families; then
		# no limit applies to us: what the page would say is on the index page
		fetch "http://127.0.0.1:$port/"
		sed -nE "s/^  ($optional) \((gauge)\) (.*)/\1\t\2\tprogram\t\3/p" "$page" >>families
	fi
	sort families >sorted
	assert_same "README's table" sorted table
	cut -f 1-3 sorted >names
	assert_same "the golden list" "$golden/metrics.txt" names
	# the index page names the same families
	fetch "http://127.0.0.1:$port/"
	sed -nE 's/^  ((promshim|process)_[a-z_]+) \(([a-z]+)\) (.*)/\1\t\3\t\4/p' "$page" | sort >index
	cut -f 1,2,4 sorted >sorted.index
	assert_same "the index page" sorted.index index
}

# Prints the settings in force of the started process as promshim check tells them.
settings_in_force() {
	"$promshim" check "$pid" | sed -nE 's/^(  settings)? +(PROMSHIM_[A-Z_]+=)/\2/p'
}

@test "the README's settings are those of the table in the source, with their defaults" {
	"$tool" "$readme" table Settings | cut -f 1,2 >table
	assert_same "the golden list" "$golden/settings.txt" table
	sed -nE '/KIND_LATER/d; s/^\t\{ "(PROMSHIM_[A-Z_]+)", KIND_[A-Z]+, "([^"]*)".*/\1\t\2/p' \
		"$SOURCE_ROOT/preload/settings.c" >source
	# the defaults of PROMSHIM_TUNE are its entries'
	awk -F '\t' -v OFS='\t' '$1 == "PROMSHIM_TUNE" || $2 == "-" { $2 = "" } { print }' \
		table >table.source
	assert_same "the table of settings.c" source table.source
}

@test "a process without settings has the README's defaults in force" {
	PROMSHIM_PORT='' PROMSHIM_PORT_FILE='' PROMSHIM_MODE=count start_silent "$targets/idle"
	expect ready
	settings_in_force | grep -v MODE >in_force
	awk -F '\t' '$2 !~ /^-$| / && $1 !~ /MODE|DISABLE/ { print $1 "=" $2 }' \
		"$golden/settings.txt" >promised
	assert_same "what is in force" promised in_force
	start "$targets/idle"
	run -0 settings_in_force
	assert_line PROMSHIM_MODE=serve
}

@test "every setting of the README is known, and in force when it is set" {
	local name
	local -A values=([PORT]=0 [MODE]=serve [ADDRESS]=localhost [SOCKET]="$PWD/socket"
		[PORT_FILE]="$PWD/port.set" [PROGRAM]=app [INCLUDE]='a*' [EXCLUDE]=b
		[COLLECTORS]=malloc [TEXTFILE]="$PWD/text" [LOG]="$PWD/log"
		[TUNE]="slow_interval=1m,max_requests=8,timeout=5s,seccomp=1")
	for name in "${!values[@]}"; do
		export "PROMSHIM_$name=${values[$name]}"
	done
	start_silent "$targets/idle"
	wait_for_file port.set
	settings_in_force | sort >in_force
	printf '%s\n' "${!PROMSHIM_@}" | grep -v '^PROMSHIM_SO$' | while read -r name; do
		printf '%s=%s\n' "$name" "${!name}"
	done | sort >wanted
	assert_same "what is in force" wanted in_force
	cut -f 1 "$golden/settings.txt" | grep -v PROMSHIM_DISABLE | sort >known
	cut -d = -f 1 in_force >names
	assert_same "the names" known names
	assert_equal "$(cat log 2>/dev/null)" ""
	finish
	unset "${!PROMSHIM_@}"
	PROMSHIM_DISABLE=1 start_silent "$targets/idle"
	expect ready
	run -1 "$promshim" check "$pid"
	assert_output --partial PROMSHIM_DISABLE
}

@test "names that the README keeps for later are a message, and nothing else" {
	local name
	local -a later=()
	mapfile -t later < <(sed -nE 's/.*"(PROMSHIM_[A-Z_]+)", KIND_LATER.*/\1/p' \
		"$SOURCE_ROOT/preload/settings.c")
	((${#later[@]} > 0))
	for name in "${later[@]}"; do
		run -0 grep -c "\`$name\`" "$readme"
		export "$name=1"
	done
	PROMSHIM_LOG="$PWD/log" start "$targets/idle"
	run -0 grep -c 'not in this version' log
	assert_output "${#later[@]}"
	scrape
	assert_metric promshim_exporter_invalid_settings -eq "${#later[@]}"
}

@test "exit codes are the README's and the golden list's" {
	"$tool" "$readme" table 'Exit codes' >table
	assert_same "the golden list" "$golden/exit-codes.txt" table
	run -0 "$promshim" check "$targets/idle"
	run -1 "$promshim" check "$targets/static"
	run -2 "$promshim" check
	run -3 "$promshim" check "$targets/own_malloc"
	run -2 "$promshim" run
	PROMSHIM_SO=/nonexistent run -125 "$promshim" run -- true
	run -126 "$promshim" run -- "$SOURCE_ROOT/README.md"
	run -127 "$promshim" run -- /nonexistent/program
	export PROMSHIM_SO="$shim_so"
	run -7 "$promshim" run --mode count -- "$targets/idle" 7 </dev/null
	run -1 "$promshim" run --mode count -- false
}

@test "Prometheus takes the README's configuration and queries" {
	local promtool query
	need_subject prometheus
	promtool="$SUBJECTS_DIR/prometheus/usr/bin/promtool"
	"$tool" "$readme" code Prometheus | sed '/^deriv/,$d' >prometheus.yml
	run -0 "$promtool" check config prometheus.yml
	{
		printf 'groups:\n- name: readme\n  rules:\n'
		{
			"$tool" "$readme" code 'Three queries'
			"$tool" "$readme" table Questions | cut -f 2
		} | while IFS= read -r query; do
			printf '  - record: query%d\n    expr: |\n      %s\n' "$((++number))" "$query"
		done
	} >rules.yml
	run -0 "$promtool" check rules rules.yml
	assert_output --partial "14 rules found"
}

@test "every name in the README exists" {
	cut -f 1,2 "$golden/metrics.txt" | awk '
		$2 == "histogram" { print $1 "_bucket"; print $1 "_sum"; print $1 "_count" }
		{ print $1 }' | sort >metrics
	# what is cut short, promshim_allocator_*, is no name
	grep -oE '\b(promshim|process)_[a-z0-9_]*[a-z0-9]\b' "$readme" | sort -u >mentioned
	run comm -23 mentioned metrics
	assert_output ""
	{
		cut -f 1 "$golden/settings.txt"
		sed -nE 's/.*"(PROMSHIM_[A-Z_]+)", KIND_LATER.*/\1/p' "$SOURCE_ROOT/preload/settings.c"
	} | sort >settings
	grep -oE '\bPROMSHIM_[A-Z_]+' "$readme" | sort -u >mentioned
	run comm -23 mentioned settings
	assert_output ""
	# programs and files that the README sends people to
	grep -oE '\b(scripts/[a-z]+|[A-Z]+\.md)\b' "$readme" >mentioned
	while read -r name; do
		[[ -e "$SOURCE_ROOT/$name" ]] || fail "the README names $name, which is not there"
	done <mentioned
}
