#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# HTTP: what scrapers, browsers and attackers send, and that the host never notices.
# bats file_tags=area:serve

setup() {
	load helpers/common
	common_setup
	# A client that does not get the processor for seconds is no slow client: nothing is dropped for
	# its time but where a test asks for that.
	export PROMSHIM_TUNE=timeout=1h
}

teardown() {
	common_teardown
}

# Sends bytes (printf's format) as they are; the answer, without \r, is in $output.
request() {
	local bytes="$1"
	# shellcheck disable=SC2059 # the format is what is tested
	run -0 bash -c 'printf "$1" | "$2" "$3" send | tr -d "\r"' bash "$bytes" \
		"$SOURCE_ROOT/tests/helpers/raw-http" "$port"
}

# Asks as browsers and scripts do.
ask() {
	curl -q --silent --noproxy '*' --max-time "$TESTS_PATIENCE" "$@"
}

assert_status() {
	assert_line --index 0 --regexp "^HTTP/1\.1 $1 "
}

@test "the first scrape is complete" {
	local names
	start "$targets/threads" held 3
	scrape
	mv "$page" first
	names="$(grep '# TYPE' first)"
	expect "all there"
	scrape
	# later pages have what only the slow tick knows, and nothing less
	assert_equal "$(grep -Fxc "$names" "$page")" "$(wc -l <<<"$names")"
	run -0 grep -c '^# TYPE promshim_malloc_' first
	((output >= 10)) || fail "only $output malloc families"
}

# bats test_tags=trap:T56
@test "GET and HEAD of /metrics and /metrics/ answer 200 with the same head" {
	local path
	start "$targets/idle"
	for path in /metrics /metrics/ '/metrics?name[]=x'; do
		request "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		assert_status 200
		assert_line "Content-Type: text/plain; version=0.0.4; charset=utf-8"
		assert_line --regexp "^# TYPE promshim_malloc_allocations_total counter$"
		request "HEAD $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		assert_status 200
		assert_line "Content-Type: text/plain; version=0.0.4; charset=utf-8"
		assert_line --regexp "^Content-Length: [1-9][0-9]+$"
		refute_output --partial TYPE
	done
}

@test "Content-Length is the page's" {
	start "$targets/idle"
	run -0 ask -D head.txt -o body "http://127.0.0.1:$port/metrics"
	assert_equal "$(tr -d '\r' <head.txt | sed -n 's/^Content-Length: //ip')" "$(stat -c %s body)"
}

# bats test_tags=trap:T56
@test "HTTP/1.0 is answered and closed" {
	start "$targets/idle"
	request 'GET /metrics HTTP/1.0\r\n\r\n'
	assert_status 200
	assert_line "Connection: close"
}

@test "a connection is kept, and requests in one packet are answered in order" {
	start "$targets/idle"
	request 'GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\nGET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
	assert_equal "$(grep -o '^HTTP/1.1 [0-9]*' <<<"$output" | tr '\n' ' ')" \
		"HTTP/1.1 200 HTTP/1.1 404 HTTP/1.1 200 "
	run -0 ask -o /dev/null -o /dev/null -w '%{num_connects} ' \
		"http://127.0.0.1:$port/metrics" "http://127.0.0.1:$port/metrics"
	assert_output "1 0 "
}

@test "other methods are 405 with Allow" {
	local method
	start "$targets/idle"
	for method in POST PUT DELETE OPTIONS PATCH TRACE BREW; do
		request "$method /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		assert_status 405
		assert_line --regexp "^Allow: GET, HEAD$"
	done
}

@test "a wrong path is 404 and names the right one" {
	start "$targets/idle"
	local path
	for path in /metric /Metrics /metrics/x /favicon.ico /debug/nothing; do
		request "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		assert_status 404
		assert_output --partial /metrics
	done
}

@test "a foreign Host is 421, loopback's names are not" {
	start "$targets/idle"
	local host
	for host in example.com rebound.example:80 10.0.0.1 localhost.example.com 127.0.0.1.example.com; do
		request "GET /metrics HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n"
		assert_status 421
		refute_output --partial promshim_malloc
	done
	for host in localhost LOCALHOST "localhost:$port" 127.0.0.1 "127.0.0.1:$port" '[::1]' "[::1]:$port"; do
		request "GET /metrics HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n"
		assert_status 200
	done
}

# bats test_tags=trap:T56
@test "malformed requests are refused with their status" {
	start "$targets/idle"
	request 'nonsense\r\n\r\n'
	assert_status 400
	request 'GET /metrics\r\n\r\n'
	assert_status 400
	request 'GET /metrics HTTP/1.1\r\n\r\n'
	assert_status 400
	request 'GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'
	assert_status 400
	request 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n'
	assert_status 400
	request 'GET /metrics HTTP/1.1\r\nHost : localhost\r\n\r\n'
	assert_status 400
	request 'GET /metrics HTTP/2.0\r\nHost: localhost\r\n\r\n'
	assert_status 505
	request 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabcde'
	assert_status 413
	request 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
	assert_status 413
	request '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'
	request 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: \x00\r\n\r\n'
	assert_status 400
	scrape
	assert_metric 'promshim_exporter_http_requests_total{code="400"}' -ge 6
	assert_metric 'promshim_exporter_http_requests_total{code="505"}' -eq 1
	assert_metric 'promshim_exporter_http_requests_total{code="413"}' -eq 2
}

# bats test_tags=trap:T56
@test "a huge header, a huge target and an endless line are refused" {
	start "$targets/idle"
	local long
	long="$(head -c 20000 /dev/zero | tr '\0' x)"
	request "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: $long\r\n\r\n"
	assert_status 431
	request "GET /$long HTTP/1.1\r\nHost: localhost\r\n\r\n"
	assert_line --index 0 --regexp '^HTTP/1\.1 (414|431) '
	run bash -c 'head -c 50000000 /dev/zero | tr "\0" x | "$1" "$2" send' bash \
		"$SOURCE_ROOT/tests/helpers/raw-http" "$port"
	scrape
}

# bats test_tags=trap:T56
@test "half a request is dropped after the timeout, a slow one too, and others are served meanwhile" {
	local answers
	PROMSHIM_TUNE=timeout=1s start "$targets/idle"
	"$SOURCE_ROOT/tests/helpers/raw-http" "$port" part 50 'GET /metrics HT' >parts 3>&- &
	answers=$!
	wait_until grep -q held parts
	# not at the first try for certain: who is kept from the processor for a second is dropped too
	wait_until is_served
	run -0 bash -c 'printf "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " |
		"$1" "$2" trickle 0.1 | head -n 1 | tr -d "\r"' bash \
		"$SOURCE_ROOT/tests/helpers/raw-http" "$port"
	[[ "$output" =~ ^(HTTP/1\.1 408 .*)?$ ]] || fail "$output"
	wait "$answers"
	run -0 awk '$1 == "408" || $1 == "reset" { dropped += $2 } END { print dropped }' parts
	assert_output 50
	wait_until is_served
}

# bats test_tags=trap:T56
@test "clients that do not read their answers do not keep others waiting" {
	start "$targets/idle"
	mkfifo hold
	# 3 of the 4 replies that there may be at a time
	"$SOURCE_ROOT/tests/helpers/raw-http" "$port" stuff 3 \
		'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n' <hold >/dev/null 3>&- &
	exec {hold}>hold
	wait_until are_stuck 3
	scrape
	scrape
	exec {hold}>&-
	wait $!
	wait_until are_stuck 0
}

# So many replies wait for their readers, beside the one that tells it.
are_stuck() {
	scrape
	(($(metric promshim_exporter_requests_in_flight) == $1 + 1))
}

# bats test_tags=trap:T56
@test "1,000 idle connections do not keep a scraper out" {
	start "$targets/idle"
	mkfifo hold
	"$SOURCE_ROOT/tests/helpers/raw-http" "$port" hold 1000 <hold >held 3>&- &
	exec {hold}>hold
	wait_until grep -q held held
	# those that have said nothing for a moment make room: none is dropped for its time within an hour
	wait_until is_served
	scrape
	exec {hold}>&-
	wait $!
	scrape
}

# bats test_tags=trap:T56
@test "1,000 requests at once are all answered, and counted" {
	start "$targets/idle"
	run -0 "$SOURCE_ROOT/tests/helpers/raw-http" "$port" many 1000
	assert_line "unanswered 0"
	local answered=0 status number
	while read -r status number; do
		[[ "$status" == unanswered ]] && continue
		[[ "$status" == 200 || "$status" == 503 ]] || fail "$number times $status"
		answered=$((answered + number))
	done <<<"$output"
	assert_equal "$answered" 1000
	scrape
	assert_metric 'promshim_exporter_http_requests_total{code="200"}' -ge 100
}

@test "the index lists endpoints, families and messages" {
	PROMSHIM_PROT=1 start "$targets/idle"
	request 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
	assert_status 200
	assert_output --partial /metrics
	assert_output --partial /-/healthy
	assert_output --partial promshim_malloc_live_bytes
	assert_output --partial PROMSHIM_PROT
}

@test "healthy and ready answer 200 with a body" {
	start "$targets/idle"
	local path
	for path in /-/healthy /-/ready; do
		run -0 ask --fail "http://127.0.0.1:$port$path"
		assert_output
	done
}

# Prints the addresses at which the started host listens, as the kernel's tables have them. The sockets
# are those of its threads: ours have descriptors of their own, and another program may have the same
# port at another address.
listening() {
	local sockets
	sockets="$(find "/proc/$pid/task/"*/fd -lname 'socket:*' -printf '%l\n')"
	awk -v sockets="$sockets" 'index(sockets, "socket:[" $10 "]") && $4 == "0A" { print $2 }' \
		/proc/net/tcp /proc/net/tcp6
}

@test "the server listens on loopback alone unless told otherwise" {
	start "$targets/idle"
	run -0 listening
	assert_output "0100007F:$(printf %04X "$port")"
	finish
	PROMSHIM_ADDRESS='*' start "$targets/idle"
	request 'GET /metrics HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n'
	assert_status 200
	run -0 listening
	assert_output --regexp "^0+:$(printf %04X "$port")\$"
}

@test "the server listens on IPv6 where it is told to, and there alone" {
	grep -q ' lo$' /proc/net/if_inet6 || missing IPv6
	PROMSHIM_ADDRESS='*' start "$targets/idle"
	run -0 ask --fail -o "$page" "http://[::1]:$port/metrics"
	finish
	PROMSHIM_ADDRESS=::1 start "$targets/idle"
	run -0 ask --fail -o "$page" "http://[::1]:$port/metrics"
	run -0 listening
	assert_output "00000000000000000000000001000000:$(printf %04X "$port")"
}

@test "Prometheus' own Accept header gets the text format" {
	start "$targets/idle"
	run -0 ask --fail -o "$page" -w '%{content_type}' \
		-H 'Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1' \
		-H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/metrics"
	assert_output "text/plain; version=0.0.4; charset=utf-8"
	check_page "$page"
}
