#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What `promshim check` says of programs, processes and pages, and how it exits.
# bats file_tags=area:command
# shellcheck disable=SC2154,SC2030,SC2031

setup() {
	load helpers/common
	common_setup
	helpers=()
	wrap=()
}

teardown() {
	local helper
	for helper in "${helpers[@]}"; do
		kill -KILL "$helper" 2>/dev/null || true
		wait "$helper" 2>/dev/null || true
	done
	common_teardown
}

# Asserts the exit code, and that the first line is the answer in its form.
check() {
	local exit_code="$1" word="$2" subject="$3"
	run -"$exit_code" "$promshim" check "$subject"
	assert_line --index 0 --regexp "^promshim check [^ ]+: $word\. "
}

# A program of one line: program NAME [gcc options].
program() {
	local name="$1"
	shift
	printf 'int main(void) { return 0; }\n' >program.c
	gcc -o "$name" program.c "$@"
}

# Starts a target by itself, as ${wrap[@]} TARGET ARGS..., until its input ends: $plain is its pid.
start_plain() {
	local name="$BATS_TEST_TMPDIR/plain.${#helpers[@]}"
	mkfifo "$name.in"
	"${wrap[@]}" "$targets/$1" "${@:2}" <"$name.in" >"$name.out" 2>&1 3>&- 4>&- 10>&- &
	plain=$!
	helpers+=("$plain")
	exec {plain_input}>"$name.in" # held open while the test runs
	: "$plain_input"
	wait_until grep -qx ready "$name.out"
}

# Starts the host of a made-up segment.
start_fake() {
	start_plain fake_segment "$@"
}

# Answers with the given file: $port.
answer() {
	"$SOURCE_ROOT/tests/helpers/answer" answer.port "$1" >/dev/null 2>&1 3>&- 4>&- 10>&- &
	helpers+=("$!")
	wait_for_file answer.port
	port="$(<answer.port)"
}

# Holds a port where nobody listens, and where nobody else can: $port.
hold_unheard() {
	/usr/bin/python3 -c '
import signal, socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
signal.pause()' >unheard 2>&1 3>&- 4>&- 10>&- &
	helpers+=("$!")
	wait_for_file unheard
	port="$(<unheard)"
}

# Makes the bytes of a reply with the given body: reply STATUS BODY
reply() {
	printf 'HTTP/1.1 %s\r\nContent-Type: text/plain\r\n\r\n%s' "$1" "$2" >reply
}

@test "a dynamically linked program: yes" {
	program plain
	check 0 yes ./plain
	assert_output --partial 'promshim run -- ./plain'
	check 0 yes sort
}

# bats test_tags=trap:T09
@test "a static program: no" {
	program static -static
	check 1 no ./static
	assert_output --partial 'Statically linked: nothing can be preloaded.'
	program static_pie -static-pie
	check 1 no ./static_pie
	assert_output --partial 'Statically linked'
}

# bats test_tags=trap:T09
@test "setuid and setgid programs: no, and whose" {
	program plain
	chmod u+s plain
	check 1 no ./plain
	assert_output --partial "setuid $(id -un): the loader ignores LD_PRELOAD"
	chmod u-s,g+s plain
	check 1 no ./plain
	assert_output --partial "setgid $(id -g): the loader ignores LD_PRELOAD"
	chmod g-x plain # such a bit means locking, and nothing to exec
	chmod u+x plain
	check 0 yes ./plain
}

# bats test_tags=trap:T09
@test "file capabilities: no" {
	program plain
	setcap cap_net_raw+ep plain 2>setcap.err || missing "setcap: $(<setcap.err)"
	check 1 no ./plain
	assert_output --partial 'file capabilities: the loader ignores LD_PRELOAD'
}

# bats test_tags=trap:T09
@test "a program of another libc: no, and of which" {
	program musl -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1
	check 1 no ./musl
	assert_output --partial 'Needs ld-musl-x86_64.so.1; promshim is built for glibc.'
}

# bats test_tags=trap:T09
@test "a 32-bit program: no" {
	printf 'void _start(void) {}\n' >start.c
	gcc -m32 -nostdlib -static -o narrow start.c || missing 'gcc -m32'
	check 1 no ./narrow
	assert_output --partial '32-bit'
}

@test "a program of another machine: no, and of which" {
	program plain
	printf '\267\000' | dd of=plain bs=1 seek=18 conv=notrunc status=none # EM_AARCH64
	check 1 no ./plain
	assert_output --partial 'Made for aarch64'
}

# The compiler is of scripts/packages all.
# bats test_tags=slow
@test "Go without cgo: no" {
	command -v go >/dev/null || missing go
	printf 'package main\n\nfunc main() {}\n' >main.go
	GOCACHE="$BATS_TEST_TMPDIR/cache" CGO_ENABLED=0 go build -o goer main.go 3>&-
	check 1 no ./goer
	assert_output --partial 'Go without cgo: no malloc to count; use client_golang.'
}

@test "an allocator inside the executable: partly, and where" {
	local address
	address="$(nm "$targets/own_malloc" | awk '$3 == "malloc" { sub(/^0+/, "", $1); print $1 }')"
	check 3 partly "$targets/own_malloc"
	assert_output --partial "malloc is inside the executable (0x$address)"
	assert_output --partial 'promshim_hooks_active{hook="malloc"} is 0.'
}

@test "a script is judged by its interpreter" {
	program static -static
	printf '#! %s/static -x\n' "$PWD" >one
	printf '#!%s/one\n' "$PWD" >two
	printf '#!/usr/bin/env A=b sort\n' >three
	printf 'echo no magic number\n' >four
	printf '#!/nosuch/interpreter\n' >five
	chmod +x one two three four five
	check 1 no ./one
	assert_output --partial "A script, run by $PWD/static. Statically linked"
	check 1 no ./two
	assert_output --partial "A script, run by $PWD/static. Statically linked"
	check 0 yes ./three
	assert_output --regexp 'A script, run by /.*/sort\.'
	check 0 yes ./four
	assert_output --partial 'A script, run by /bin/sh.'
	check 1 no ./five
	assert_output --partial '/nosuch/interpreter'
}

@test "what is no program is said so, whatever bytes it has" {
	local size
	check 1 no ./nosuch
	check 1 no nosuch-program
	check 1 no "$PWD"
	printf 'not executable\n' >text
	check 1 no ./text
	program plain
	for size in 4 17 63 64 200 700; do
		head -c "$size" plain >part
		chmod +x part
		check 1 no ./part
	done
	printf '\177ELF garbage\n' >garbage
	chmod +x garbage
	check 1 no ./garbage
}

@test "control characters of a name do not reach the terminal" {
	run -1 "$promshim" check $'./a\e[31m\n\x9b'
	assert_output 'promshim check ./a?[31m??: no. There is no such file. Check the name.'
}

@test "usage errors exit with 2" {
	run -2 "$promshim" check
	run -2 "$promshim" check a b
	run -2 "$promshim" check --nosuch
	run -2 "$promshim" check ''
	run -2 "$promshim" check http://
	run -2 "$promshim" check https://localhost/
	run -2 "$promshim" check http://localhost:99999/
	run -2 "$promshim" check unix:
	run -2 "$promshim" nosuch
	run -2 "$promshim"
	run -0 "$promshim" check --help
	run -0 "$promshim" --help
}

@test "a process that never heard of us: no, and what removes LD_PRELOAD" {
	start_plain idle
	check 1 no "$plain"
	assert_output --partial 'LD_PRELOAD is not in its environment. sudo removes it'
}

@test "a program that PROMSHIM_EXCLUDE leaves out: no, and where to look" {
	PROMSHIM_EXCLUDE=idle start_silent "$targets/idle"
	expect ready
	check 1 no "$pid"
	assert_output --partial 'passes everything through. Look at PROMSHIM_INCLUDE, PROMSHIM_EXCLUDE'
}

@test "a process whose LD_PRELOAD names nothing that can be found: no, and what it names" {
	local -a wrap=(env LD_PRELOAD=libpromshim.so)
	start_plain idle
	check 1 no "$plain"
	assert_output --partial 'LD_PRELOAD there is "libpromshim.so", which is in no library folder.'
	wrap=(env LD_PRELOAD=/nosuch/libpromshim.so)
	start_plain idle
	check 1 no "$plain"
	assert_output --partial '"/nosuch/libpromshim.so", and there is no such file'
	wrap=(env LD_PRELOAD=/nosuch/libother.so)
	start_plain idle
	check 1 no "$plain"
	assert_output --partial '"/nosuch/libother.so", which does not name it'
}

@test "a static process: no, because it is static" {
	start_plain static
	check 1 no "$plain"
	assert_output --partial 'Statically linked'
}

@test "processes that are not there, or only their number: no" {
	check 1 no 4194304999
	python3 -c 'import os, signal
pid = os.fork() or os._exit(0)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
print(pid, file=open("zombie", "w"))
signal.pause()' >/dev/null 2>&1 3>&- 4>&- 10>&- &
	helpers+=("$!")
	wait_for_file zombie
	check 1 no "$(<zombie)"
	assert_output --partial zombie
}

@test "a process that may not be looked at: partly, as nothing is known" {
	[[ "$(id -u)" == 0 ]] || missing root
	start_fake state=2 port=1
	run -3 setpriv --inh-caps=-sys_ptrace --bounding-set=-sys_ptrace "$promshim" check "$plain"
	assert_output --partial 'partly. It may not be looked at (Permission denied).'
}

@test "a process that serves: yes, with settings and messages" {
	start_fake state=2 port=4711 setting=PROMSHIM_PORT=4711 setting='PROMSHIM_ADDRESS=*' \
		message='first one' message='second one' program=somebody
	check 0 yes "$plain"
	assert_line --partial 'It serves http://localhost:4711/metrics, on all addresses.'
	assert_line --regexp '^  program +somebody$'
	assert_line --regexp '^  mode +serve$'
	assert_line --regexp '^  state +serving$'
	assert_line --regexp '^  port +4711$'
	assert_line --regexp '^  hooks +malloc yes, operator_new yes, pthread_create yes$'
	assert_line --regexp '^  settings +PROMSHIM_PORT=4711$'
	assert_line --regexp '^ +PROMSHIM_ADDRESS=\*$'
	assert_line --regexp '^  messages +1: first one$'
	assert_line --regexp '^ +2: second one$'
}

@test "the ring's messages come in the order of their numbers" {
	local -a messages=()
	local i
	for i in {1..20}; do
		messages+=("message=number $i")
	done
	start_fake state=2 port=1 "${messages[@]}"
	check 0 yes "$plain"
	assert_equal "$(grep -oE '[0-9]+: number [0-9]+' <<<"$output" | tr '\n' ,)" \
		"$(for i in {5..20}; do printf '%d: number %d,' "$i" "$i"; done)"
}

@test "a process that counts while its port is another's: partly, and whose" {
	reply '200 OK' ''
	answer reply
	start_fake state=1 "setting=PROMSHIM_PORT=$port" setting=PROMSHIM_ADDRESS=127.0.0.1
	check 3 partly "$plain"
	assert_output --partial "port $port on 127.0.0.1 is taken by another program (uid $(id -u)). Counting goes on, nothing is served."
}

@test "a process that counts as asked: yes; one that is off: no; one that starts: partly" {
	start_fake state=1 mode=1
	check 0 yes "$plain"
	start_fake mode=2
	check 1 no "$plain"
	start_fake state=0
	check 3 partly "$plain"
}

@test "hooks that are not reached: partly, and which" {
	start_fake state=2 port=1 hooks_active=3
	check 3 partly "$plain"
	assert_output --partial 'calls of pthread_create bypass the hooks'
	assert_line --regexp '^  hooks .*pthread_create no$'
}

@test "loopback in another network: partly, with the way out" {
	local -a wrap=(unshare --net)
	unshare --net true 2>unshare.err || missing "unshare --net: $(<unshare.err)"
	start_fake state=2 port=4711 setting=PROMSHIM_ADDRESS=127.0.0.1
	check 3 partly "$plain"
	assert_output --partial 'listening on 127.0.0.1 inside a container: not reachable from outside. Set PROMSHIM_ADDRESS=*'
}

@test "a segment that lies is not believed, and does no harm" {
	local lie
	for lie in segment_bytes=3 pid=1 abi_major=9; do
		start_fake state=2 port=1 "$lie"
		run "$promshim" check "$plain"
		assert_line --index 0 --regexp ': (no|partly)\. '
		refute_output --partial 'It serves'
	done
	start_fake state=77 mode=77 unterminated=1
	check 3 partly "$plain"
	assert_line --regexp '^  program +p{63}$'
	assert_line --regexp '^  state +unknown$'
	start_fake state=2 port=1 message=$'\e[31m\x9b\xc2\x9bend' program=$'\e]0;title\a'
	check 0 yes "$plain"
	assert_output --partial '1: ?[31m???end'
	refute_output --regexp $'[\e\x07\x9b]'
}

@test "a preloaded program: yes, with the settings in force and the misspelt one" {
	PROMSHIM_PROT=1 PROMSHIM_ADDRESS='*' start "$targets/idle"
	check 0 yes "$pid"
	assert_line --regexp '^  program +idle$'
	assert_line --regexp '^  state +serving$'
	assert_line --regexp "^  port +$port\$"
	assert_line --partial 'PROMSHIM_MODE=serve'
	assert_line --partial 'PROMSHIM_PROT'
}

@test "a preloaded program that is off: no" {
	PROMSHIM_MODE=off start_silent "$targets/idle"
	expect ready
	check 1 no "$pid"
	assert_output --partial 'off'
}

@test "a preloaded program with its own malloc: partly, and where it is" {
	PROMSHIM_ADDRESS='*' start "$targets/own_malloc" wait
	check 3 partly "$pid"
	assert_output --partial 'malloc is inside the executable'
}

@test "the page of a preloaded program: yes, with its hooks" {
	PROMSHIM_SOCKET="$BATS_TEST_TMPDIR/socket" start "$targets/idle"
	check 0 yes "http://127.0.0.1:$port/metrics"
	assert_line --regexp '^  programs +idle$'
	assert_line --regexp '^  promshim_hooks_active\{.*hook="malloc".*\} 1$'
	check 0 yes "http://localhost:$port"
	check 0 yes "unix:$BATS_TEST_TMPDIR/socket"
	check 1 no "http://127.0.0.1:$port/nosuch"
	assert_output --partial 'Metrics are at /metrics.'
}

@test "a page with a hook that is not reached: partly" {
	reply '200 OK' 'promshim_build_info{mode="serve",version="9.8"} 1
promshim_hooks_active{hook="malloc",program="a"} 1
promshim_hooks_active{hook="malloc",program="b,c"} 0
'
	answer reply
	check 3 partly "http://127.0.0.1:$port/metrics"
	assert_line --index 0 --partial 'Calls of malloc in b,c bypass the hooks'
	assert_line --regexp '^  version +9\.8$'
	assert_line --regexp '^ +b,c$'
}

@test "somebody else's page: no" {
	reply '200 OK' $'go_goroutines 7\n'
	answer reply
	check 1 no "http://127.0.0.1:$port/metrics"
	assert_output --partial 'Somebody else answers there'
}

@test "answers that are no page: no, whatever they are" {
	local text
	for text in 'HTTP/1.1 404 Not Found' 'HTTP/1.1 500 Oops' 'HTTP/1.1 421 Misdirected' \
		'HTTP/9' 'SSH-2.0-x' 'HTTP/1.1 ' ''; do
		printf '%s\r\n\r\n\0\e[31m' "$text" >reply
		answer reply
		check 1 no "http://127.0.0.1:$port/metrics"
		refute_output --partial $'\e'
		rm answer.port
	done
	printf 'SSH-2.0 200 OK\r\n\r\npromshim_build_info 1\n' >reply
	answer reply
	check 1 no "http://127.0.0.1:$port/metrics"
	assert_output --partial 'not with HTTP'
}

@test "nobody there: no, and what to look at" {
	hold_unheard
	check 1 no "http://127.0.0.1:$port/metrics"
	assert_output --partial "Connection refused: nobody listens on port $port of 127.0.0.1. promshim check PID"
	check 1 no "unix:$PWD/nosuch"
	assert_output --partial 'There is no such socket'
}

@test "neither port nor socket: partly, and what to set" {
	PROMSHIM_PORT=none start_silent "$targets/idle"
	expect ready
	check 3 partly "$pid"
	assert_output --partial 'PROMSHIM_PORT is none and there is no socket. Set PROMSHIM_SOCKET or a port.'
}

@test "a process that lives on after main's pthread_exit: yes" {
	start "$targets/main_exit" 2 wait
	expect "main ends"
	wait_until grep -q 'State:.*Z' "/proc/$pid/status"
	check 0 yes "$pid"
	assert_output --partial "It serves http://127.0.0.1:$port/metrics"
}
