#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What others can do to a host or learn from it, where no other suite shows it: other users,
# browsers, links in the way of our files. exporter/docs/threats.md says which test shows what.
# bats file_tags=area:serve

setup() {
	load helpers/common
	common_setup
	neighbours=()
	open=
}

teardown() {
	local neighbour
	for neighbour in "${neighbours[@]}"; do
		kill -KILL "$neighbour" 2>/dev/null || true
		wait "$neighbour" 2>/dev/null || true
	done
	common_teardown
	[[ -z "$open" ]] || rm -rf "$open"
}

owner=65533
other=65534

# Makes a folder that every user may enter, with the object and a target in it: $open.
open_folder() {
	((EUID == 0)) || missing root
	open="$(mktemp -d /tmp/promshim-threats.XXXXXX)"
	chmod 755 "$open"
	install -m 755 "$shim_so" "$open/libpromshim.so"
	install -m 755 "$targets/idle" "$open/idle"
	install -d -o "$owner" -g "$owner" "$open/own"
}

# Runs a command as another user: as USER COMMAND...
as() {
	bare setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"
}

# Starts the open folder's target as a user: start_as USER NAME=VALUE...; ours is preloaded to
# it alone, not to what changes the user.
start_as() {
	local user="$1"
	shift
	shim_so='' PROMSHIM_PORT_FILE="$open/own/port" start_silent \
		setpriv --reuid "$user" --regid "$user" --clear-groups \
		env LD_PRELOAD="$open/libpromshim.so" "$@" "$open/idle"
	wait_for_file "$open/own/port"
	port="$(<"$open/own/port")"
}

# Sends bytes (printf's format) as they are; the answer, without \r, is in $output.
request() {
	local bytes="$1"
	# shellcheck disable=SC2059 # the format is what is tested
	run -0 bash -c 'printf "$1" | "$2" "$3" send | tr -d "\r"' bash "$bytes" \
		"$SOURCE_ROOT/tests/helpers/raw-http" "$port"
}

# The statuses of all replies in $output, in order.
assert_replies() {
	assert_equal "$(grep -a -o '^HTTP/1\.1 [0-9]*' <<<"$output" | cut -d ' ' -f 2 | paste -s -d ' ')" "$*"
}

@test "every test that threats.md names exists" {
	local document="$SOURCE_ROOT/exporter/docs/threats.md" file name count=0
	while IFS=$'\t' read -r file name; do
		count=$((count + 1))
		if [[ "$file" == *.bats ]]; then
			grep -qxF "@test \"$name\" {" "$SOURCE_ROOT/tests/$file" \
				|| fail "no test \"$name\" in tests/$file"
		else
			grep -qF "\"$name\"" "$SOURCE_ROOT/tests/$file" \
				|| fail "no check \"$name\" in tests/$file"
		fi
	done < <(grep -oE '`[a-z_/-]+\.(bats|c)` "[^"]+"' "$document" | sed -E 's/^`([^`]+)` "(.*)"$/\1\t\2/')
	((count >= 30)) || fail "only $count tests are named"
	# and no file that is named without a test is absent
	while read -r file; do
		[[ -e "$SOURCE_ROOT/tests/$file" ]] || fail "no tests/$file"
	done < <(grep -oE '`[a-z_/-]+\.(bats|c)`' "$document" | tr -d '`' | sort -u)
	# nor is a test of this suite left out
	while read -r name; do
		grep -qF "\"$name\"" "$document" || fail "threats.md does not name \"$name\""
	done < <(sed -nE 's/^@test "(.*)" \{$/\1/p' "$SOURCE_ROOT/tests/threats.bats")
}

@test "another user is refused at the UNIX socket, its owner and root are not" {
	open_folder
	umask 0
	start_as "$owner" PROMSHIM_SOCKET="$open/own/socket"
	wait_until test -S "$open/own/socket"
	assert_equal "$(stat -c '%a %u' "$open/own/socket")" "600 $owner"
	run -7 as "$other" curl -q --silent --unix-socket "$open/own/socket" http://localhost/metrics
	run -0 as "$owner" curl -q --silent --unix-socket "$open/own/socket" http://localhost/metrics
	assert_output --partial promshim_malloc_live_bytes
	scrape_socket "$open/own/socket"
}

@test "every user of the machine reads the page on loopback" {
	open_folder
	start "$targets/idle"
	run -0 as "$other" curl -q --silent --noproxy '*' "http://127.0.0.1:$port/metrics"
	assert_output --partial promshim_malloc_live_bytes
}

@test "another user cannot share the port" {
	open_folder
	start "$targets/idle"
	run -0 as "$other" /usr/bin/python3 -c '
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
try:
	s.bind(("127.0.0.1", int(sys.argv[1])))
	s.listen()
	print("shared")
except OSError as error:
	print(error.errno)' "$port"
	assert_output 98 # EADDRINUSE
	scrape
}

@test "another network namespace does not reach loopback" {
	((EUID == 0)) || missing root
	start "$targets/idle"
	bare unshare --net true || missing "network namespaces"
	run -7 bare unshare --net sh -c 'ip link set lo up 2>/dev/null
		exec curl -q --silent --noproxy "*" "$1"' sh "http://127.0.0.1:$port/metrics"
	scrape
}

@test "nothing of ours is memory that others share" {
	start "$targets/idle"
	scrape
	run -1 grep -E ' rw.s ' "/proc/$pid/maps"
}

@test "no reply has a header but these: no cookie, no name of a server, nothing for other origins" {
	local line
	start "$targets/idle"
	for line in 'GET /metrics' 'GET /' 'GET /-/ready' 'GET /no' 'HEAD /metrics' 'OPTIONS /metrics' \
		'POST /metrics' 'BREW /'; do
		request "$line HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nCookie: a=b\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Private-Network: true\r\nConnection: close\r\n\r\n"
		sed '/^$/,$d' <<<"$output" | sed '1d; s/:.*//' >>headers
	done
	request 'GET / HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n'
	assert_replies 421
	sed '/^$/,$d' <<<"$output" | sed '1d; s/:.*//' >>headers
	assert_equal "$(sort -u headers | paste -s -d ' ')" \
		"Allow Connection Content-Length Content-Type X-Content-Type-Options"
}

@test "a page cannot be taken for a script or a document" {
	local path
	install -m 755 "$targets/idle" 'a<script>b'
	start "$PWD/a<script>b"
	for path in / /metrics /-/healthy '/<script>'; do
		run curl -q --silent --noproxy '*' -D - -o body "http://127.0.0.1:$port$path"
		assert_line --partial 'X-Content-Type-Options: nosniff'
		assert_line --regexp '^Content-Type: text/plain;'
		run -1 grep -F "$path<script>" body # nothing of a request comes back
	done
}

@test "a WebSocket handshake is a GET like any other" {
	start "$targets/idle"
	request 'GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
	assert_replies 200
	refute_output --partial Sec-WebSocket
}

@test "a body is never read as a request" {
	local body='GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n' head
	local post='/metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n'
	start "$targets/idle"
	for head in "POST ${post}Content-Type: text/plain\r\nContent-Length: 43\r\n" \
		"PUT ${post}Transfer-Encoding: chunked\r\n" \
		"POST ${post}Content-Length: 43\r\nTransfer-Encoding: chunked\r\n" \
		"POST ${post}Connection: keep-alive\r\nContent-Length: 43\r\n"; do
		request "$head\r\n$body$body"
		assert_replies 405
	done
	for head in "GET ${post}Content-Length: 43\r\n" "HEAD ${post}Transfer-Encoding: chunked\r\n" \
		"GET ${post}Transfer-Encoding: \t chunked\r\n" "GET ${post}Transfer-Encoding: identity\r\n" \
		"GET ${post}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"; do
		request "$head\r\n$body$body"
		assert_replies 413
	done
	for head in "GET ${post}Content-Length: 0\r\nContent-Length: 43\r\n" \
		"GET ${post}Content-Length: 0, 43\r\n" "GET ${post}Content-Length: +43\r\n" \
		"GET ${post}Content-Length: 0x2b\r\n" "GET ${post}Transfer-Encoding : chunked\r\n" \
		"GET ${post}Content-Length\x0b: 43\r\n" "GET ${post}X: y\nContent-Length: 43\r\n"; do
		request "$head\r\n$body$body"
		assert_replies 400
	done
	scrape
	run -1 grep smuggled "$page"
}

@test "a flood of requests that nobody reads the answers of takes bounded memory" {
	local before
	# no deadline comes in between: what they send is bounded by buffers alone
	PROMSHIM_TUNE=timeout=1h start "$targets/idle"
	scrape
	before="$(metric promshim_exporter_memory_bytes)"
	# 100 clients, each of which sends as long as anything is taken
	run -0 bare python3 -c '
import socket, sys
request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
peers = []
for _ in range(100):
	peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
	peer.setblocking(False)
	peers.append(peer)
sent = 0
for _ in range(50):
	for peer in peers:
		try:
			sent += peer.send(request)
		except OSError:
			pass # its buffers are full, or it was told to go
print(sent)' "$port"
	((output > 1000000)) || fail "only $output bytes were taken"
	wait_until is_served
	scrape
	# 128 clients with 8 KiB of input each, and four pages, are the most there can be
	assert_metric promshim_exporter_memory_bytes -le $((before + 128 * 8192 + 4 * 270336))
}

@test "clients take no descriptor of the host" {
	local before
	PROMSHIM_TUNE=timeout=1h start "$targets/idle" # served without a deadline that would make room
	scrape
	before="$(find "/proc/$pid/fd" -mindepth 1 | wc -l)"
	mkfifo hold
	"$SOURCE_ROOT/tests/helpers/raw-http" "$port" hold 200 <hold >held 3>&- &
	exec {hold}>hold
	wait_until grep -q held held
	wait_until is_served
	assert_equal "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" "$before"
	exec {hold}>&-
	wait $!
}

@test "arguments and environment are on no page" {
	TOKEN=hunter2-environment start "$targets/idle" 0 --password=hunter2-argument
	expect ready
	fetch "http://127.0.0.1:$port/"
	grep -qF "executable  $targets/idle" "$page" || fail "the index shows the executable's path"
	run -1 grep hunter2 "$page"
	scrape
	run -1 grep hunter2 "$page"
	finish
	start /usr/bin/python3 -c 'import sys; sys.stdin.read() # hunter2-program'
	scrape
	run -1 grep hunter2 "$page"
	fetch "http://127.0.0.1:$port/"
	run -1 grep hunter2 "$page"
}

@test "unsafe bytes of a name reach neither a page nor a terminal" {
	local name=$'i\e[31m\xc2\x9b\x9b\xffx' path
	install -m 755 "$targets/idle" "$name"
	start "$PWD/$name"
	for path in / /metrics; do
		fetch "http://127.0.0.1:$port$path"
		run -1 grep -aP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$page"
		run -0 iconv -f UTF-8 -t UTF-8 -o /dev/null "$page"
	done
	run "$promshim" check "$pid"
	refute_output --regexp $'[\e\x9b\xff]'
}

@test "a page from elsewhere sends nothing to the terminal" {
	printf 'HTTP/1.1 200 OK\r\n\r\npromshim_build_info{version="\e]0;x\a"} 1\npromshim_hooks_active{hook="m\e[2J",program="\x9b\xc2\x9b"} 0\n' >reply
	"$SOURCE_ROOT/tests/helpers/answer" answer.port reply >/dev/null 2>&1 3>&- 4>&- 10>&- &
	neighbours+=("$!")
	wait_for_file answer.port
	run -3 bare "$promshim" check "http://127.0.0.1:$(<answer.port)/"
	assert_output --partial 'bypass the hooks'
	refute_output --regexp $'[\e\a\x9b]'
}

@test "an ELF file that would be read for hours is damaged" {
	python3 -c '
import struct
count = 1000 # symbol tables, all the same one of 2 MB
strings = b"\0malloc" * 520 + b"\0"
start = 64 + count * 64
symbols = (start + len(strings) + 23) // 24 * 24
table = struct.pack("<IBBHQQ", 1, 0, 0, 0, 0, 0) * 100000
head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, count, 1)
def section(kind, offset, size, link, entry):
	return struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, offset, size, link, 0, 8, entry)
sections = section(0, 0, 0, 0, 0) + section(3, start, len(strings), 0, 0)
sections += section(11, symbols, len(table), 1, 24) * (count - 2)
file = head + sections + strings
open("hostile", "wb").write(file.ljust(symbols, b"\0") + table)'
	chmod +x hostile
	run -1 bare "$promshim" check ./hostile
	assert_output --partial 'A damaged ELF file'
}

@test "a link in the way of the text file or the port file is replaced, and what it leads to stays" {
	printf 'precious\n' >victim
	ln -s "$PWD/victim" text
	PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$PWD/text" run -23 preload "$targets/exit" return
	[[ -f text && ! -L text ]] || fail "the link is still there"
	check_page text
	ln -s "$PWD/victim" port.0
	start_silent "$targets/idle"
	wait_until test ! -L port.0
	port="$(<port.0)"
	scrape
	assert_equal "$(<victim)" precious
}

@test "a link in the way of the file that is written first is replaced, too" {
	printf 'precious\n' >victim
	# the shell's pid is the program's
	PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$PWD/text" run -23 preload bash -c \
		'ln -s "$PWD/victim" "$PWD/text.$$.tmp" && exec "$0" return' "$targets/exit"
	assert_equal "$(<victim)" precious
	check_page text
	[[ ! -L text ]] || fail "the link was made the file"
	run -0 find . -name '*.tmp'
	assert_output ''
}

@test "another user's links in a folder of all lead nowhere" {
	open_folder
	install -d -m 1777 "$open/all"
	printf 'precious\n' >"$open/own/victim"
	chown "$owner" "$open/own/victim"
	local name
	for name in text log socket; do
		ln -s "$open/own/victim" "$open/all/$name"
		chown -h "$other" "$open/all/$name"
	done
	start_as "$owner" PROMSHIM_TEXTFILE="$open/all/text" PROMSHIM_LOG="$open/all/log" \
		PROMSHIM_SOCKET="$open/all/socket" PROMSHIM_PROT=1
	fetch "http://127.0.0.1:$port/"
	run -0 cat "$page"
	assert_output --partial PROMSHIM_PROT # what the log would have had
	assert_output --partial 'is a file of another kind, which stays'
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$open/own/victim")" precious
	for name in text log socket; do
		[[ -L "$open/all/$name" ]] || fail "$name is no link any more"
	done
	assert_equal "$(find "$open/all" -mindepth 1 | wc -l)" 3
}

@test "a link at the log's path is not followed, but those of /dev are" {
	printf 'precious\n' >victim
	ln -s "$PWD/victim" log
	PROMSHIM_PROT=1 PROMSHIM_LOG="$PWD/log" run -0 preload "$targets/idle" 0 </dev/null
	assert_equal "$(<victim)" precious
	PROMSHIM_PROT=1 PROMSHIM_LOG=/dev/stderr run -0 --separate-stderr preload "$targets/idle" 0 </dev/null
	[[ "$stderr" == *PROMSHIM_PROT* ]] || fail "/dev/stderr is a link that is meant: $stderr"
	PROMSHIM_PROT=1 PROMSHIM_LOG="$PWD/new" run -0 preload "$targets/idle" 0 </dev/null
	assert_equal "$(stat -c %a new)" 600
}

@test "the text file and the port file are for all to read, unless the umask says otherwise" {
	(umask 022 && PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$PWD/text" run -23 preload "$targets/exit" return)
	assert_equal "$(stat -c %a text)" 644
	(umask 077 && PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$PWD/secret" run -23 preload "$targets/exit" return)
	assert_equal "$(stat -c %a secret)" 600
}
