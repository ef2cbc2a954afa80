#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What `promshim run` makes of its options, of LD_PRELOAD and of what it is told to start.
# bats file_tags=area:command
# shellcheck disable=SC2154,SC2030,SC2031

setup() {
	load helpers/common
	load helpers/servers
	common_setup
	# Most tests look at the command alone: an object that does nothing takes no port.
	printf 'int stands_for_the_object;\n' >object.c
	gcc -shared -fPIC -o libpromshim.so object.c
	export PROMSHIM_SO="$PWD/libpromshim.so"
	unset PROMSHIM_PORT
	helpers=()
}

teardown() {
	local helper
	for helper in "${helpers[@]}"; do
		kill -KILL "$helper" 2>/dev/null || true
		wait "$helper" 2>/dev/null || true
	done
	common_teardown
}

# Runs the command; its two outputs are $output and $stderr, which must be one line.
run_one_line() {
	run -"$1" --separate-stderr "$promshim" run "${@:2}"
	assert_equal "${#stderr_lines[@]}" 1
}

# The line says exactly this.
assert_says() {
	assert_equal "$stderr" "promshim: $1"
}

# bats test_tags=trap:T34
@test "the object is preloaded, alone or behind what is there, in its order" {
	run_one_line 0 -- env
	assert_line "LD_PRELOAD=$PROMSHIM_SO"
	cp libpromshim.so first.so
	cp libpromshim.so second.so
	LD_PRELOAD="$PWD/second.so $PWD/first.so" run_one_line 0 -- env
	assert_line "LD_PRELOAD=$PWD/second.so $PWD/first.so:$PROMSHIM_SO"
}

# bats test_tags=trap:T34
@test "the object is never preloaded twice" {
	cp libpromshim.so first.so
	LD_PRELOAD="$PROMSHIM_SO:$PWD/first.so" run_one_line 0 -- env
	assert_line "LD_PRELOAD=$PROMSHIM_SO:$PWD/first.so"
	refute_line --regexp '^PROMSHIM_SO=' # the object would call it an unknown setting
	run -0 --separate-stderr "$promshim" run -- "$promshim" run -- env
	assert_line "LD_PRELOAD=$PROMSHIM_SO" || fail "$output"
}

# bats test_tags=trap:T34
@test "each option sets the variable of its name, and nothing else is added" {
	run_one_line 0 --port 0 --address ::1 --program somebody --socket s --port-file=p \
		--textfile t --mode serve --log stderr -- env
	assert_line PROMSHIM_PORT=0
	assert_line PROMSHIM_ADDRESS=::1
	assert_line PROMSHIM_PROGRAM=somebody
	assert_line PROMSHIM_SOCKET=s
	assert_line PROMSHIM_PORT_FILE=p
	assert_line PROMSHIM_TEXTFILE=t
	assert_line PROMSHIM_MODE=serve
	assert_line PROMSHIM_LOG=stderr
	assert_equal "$(grep -c '^PROMSHIM_' <<<"$output")" 8
	run_one_line 0 env
	refute_line --regexp '^PROMSHIM_'
}

@test "an option beats the environment" {
	PROMSHIM_PROGRAM=before run_one_line 0 --program after -- env
	assert_line PROMSHIM_PROGRAM=after
}

@test "the line says where the metrics are" {
	# an address of this run's own: nobody else has the default port there
	local own
	own="$(own_address)"
	run_one_line 0 --address "$own" -- true
	assert_says "metrics of true at http://$own:19964/metrics"
	PROMSHIM_ADDRESS="$own" PROMSHIM_PORT=4711 run_one_line 0 /bin/true
	assert_says "metrics of true at http://$own:4711/metrics"
	PROMSHIM_ADDRESS="$own" PROMSHIM_PROGRAM=named run_one_line 0 -- true
	assert_says "metrics of named at http://$own:19964/metrics"
	run_one_line 0 --port none --socket /run/some/where -- true
	assert_says 'metrics of true at unix:/run/some/where'
	run_one_line 0 --mode count --textfile '/tmp/%n.%%.prom' -- true
	assert_says 'metrics of true will be written to /tmp/true.%.prom at exit'
}

@test "with port 0 the line says where the port will be written" {
	run_one_line 0 --port 0 --port-file "$PWD/%n.%p" -- sh -c 'echo $$'
	assert_says "metrics of sh at a free port of 127.0.0.1, which will be written to $PWD/sh.$output"
	run_one_line 0 --port 0 -- sh -c 'echo $$'
	assert_says "metrics of sh at a free port of 127.0.0.1; promshim check $output says which, or use --port-file"
}

@test "the line says why there will be no metrics" {
	run_one_line 0 --mode count -- true
	assert_says 'true runs and is counted, nothing is served (mode count); use --textfile'
	run_one_line 0 --mode off -- true
	assert_says 'true runs and is not counted (mode off)'
	run_one_line 0 --port none -- true
	assert_says 'true runs and is counted, nothing is served (port none); use --socket'
	run_one_line 0 --address 192.0.2.1 -- true
	assert_says 'port 19964 of 192.0.2.1 cannot be opened (Cannot assign requested address); true runs and is counted, nothing is served; use --port or --address'
	printf 'int main(void) { return 7; }\n' >seven.c
	gcc -static -o seven seven.c
	run_one_line 7 -- ./seven
	assert_says 'seven runs and is not counted. Statically linked: nothing can be preloaded. Link it dynamically.'
}

@test "a port that is taken does not keep the program from running" {
	: >reply
	"$SOURCE_ROOT/tests/helpers/answer" port reply >/dev/null 2>&1 3>&- 4>&- 10>&- &
	helpers+=("$!")
	wait_for_file port
	run_one_line 3 --port "$(<port)" -- sh -c 'exit 3'
	assert_says "port $(<port) is taken on 127.0.0.1; sh runs and is counted, nothing is served; use --port"
}

@test "status, output, arguments and process are those of the program" {
	run_one_line 42 --port 0 -- sh -c 'printf "%s." "$@"; exit 42' sh --port 'a b' ''
	assert_output '--port.a b..'
	run_one_line 3 --port 0 sh -c 'exit 3' # what follows CMD is CMD's, without -- too
	"$promshim" run --port 0 -- sh -c 'echo $$' >pid.out 2>/dev/null 3>&- &
	local started_as="$!"
	wait "$started_as"
	assert_equal "$(<pid.out)" "$started_as"
}

@test "a program that cannot be run: 127 or 126, one line and no address" {
	run_one_line 127 -- nosuch-program
	assert_equal "$stderr" 'promshim run: nosuch-program cannot be run: No such file or directory.'
	run_one_line 127 -- ./nosuch
	run_one_line 126 -- "$PWD"
	printf 'text\n' >text
	run_one_line 126 -- ./text
	assert_equal "$stderr" 'promshim run: ./text cannot be run: Permission denied.'
}

@test "usage errors exit with 2 and start nothing" {
	run_one_line 2 --port 65536 -- touch started
	run_one_line 2 --port -1 -- touch started
	run_one_line 2 --port 1x -- touch started
	run_one_line 2 --mode publicly -- touch started
	run_one_line 2 --nosuch -- touch started
	run_one_line 2 --port
	run -2 "$promshim" run
	run -2 "$promshim" run --
	run -0 "$promshim" run --help
	assert_output --partial 'usage: promshim run'
	[[ ! -e started ]] || fail 'something was started'
}

@test "a path that LD_PRELOAD would split, or no object at all: 125 and nothing is started" {
	mkdir 'a b' a:b
	cp libpromshim.so 'a b/'
	cp libpromshim.so a:b/
	PROMSHIM_SO="a b/libpromshim.so" run_one_line 125 -- touch started
	assert_equal "$stderr" "promshim run: $PWD/a b/libpromshim.so has a blank or colon in its path, where LD_PRELOAD splits. CMD was not started. Copy it to a path without, and set PROMSHIM_SO."
	PROMSHIM_SO="$PWD/a:b/libpromshim.so" run_one_line 125 -- touch started
	PROMSHIM_SO=/nosuch run_one_line 125 -- touch started
	[[ ! -e started ]] || fail 'something was started'
}

@test "the object is found beside the build of the command" {
	unset PROMSHIM_SO
	mkdir -p build/exporter build/preload
	cp "$promshim" build/exporter/
	run -125 --separate-stderr build/exporter/promshim run --mode off -- env
	cp libpromshim.so build/preload/
	run -0 --separate-stderr build/exporter/promshim run --mode off -- env
	assert_line "LD_PRELOAD=$PWD/build/preload/libpromshim.so"
}

@test "control characters do not reach the terminal" {
	run_one_line 0 --port 0 --program $'a\e[31m\nb' -- true
	assert_equal "$stderr" "promshim: metrics of a?[31m?b at ${stderr#* at }"
}

@test "what was started serves, and the line told where" {
	export PROMSHIM_SO="$shim_so"
	mkfifo input
	"$promshim" run --port 0 --port-file "$PWD/port" -- "$targets/idle" <input >out 2>err \
		3>&- 4>&- 10>&- &
	helpers+=("$!")
	exec {held}>input # held open while the test runs
	: "$held"
	wait_for_file port
	assert_equal "$(<err)" "promshim: metrics of idle at a free port of 127.0.0.1, which will be written to $PWD/port"
	scrape "$(<port)"
	assert_metric 'promshim_malloc_allocations_total{program="idle"}' -ge 0
}

@test "PROMSHIM_DISABLE is told as what it does" {
	PROMSHIM_DISABLE=1 run -0 --separate-stderr "$promshim" run -- true
	assert_equal "$stderr" "promshim: true runs and is not counted (mode off)"
}
