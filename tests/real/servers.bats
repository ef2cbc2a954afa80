#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Servers answer, log and end the same with and without us, and are scraped under load.
# bats file_tags=area:host

setup() {
	load ../helpers/common
	common_setup
	load ../helpers/servers
}

teardown() {
	common_teardown
}

# Fetches from the server: answers have each reply and its code. FLAGS... URL...
ask_http() {
	ask curl -q -s -S --noproxy '*' --max-time "$TESTS_PATIENCE" -w '\n%{http_code}\n' "$@"
}

# Loads the server with many requests, 8 at once: FLAGS... URL, with [FIRST-LAST] in the URL.
load_http() {
	under_load bash -c 'curl -q -s -S --noproxy "*" --max-time "$TESTS_PATIENCE" --no-progress-meter --parallel --parallel-max 8 \
		-o /dev/null -w "%{http_code}\n" "$@" | sort | uniq -c' curl "$@"
}

# A site: a page, a larger one, and what is not there.
site() {
	mkdir site
	printf 'hello\n' >site/hello
	seq 20000 >site/numbers
	chmod -R a+rX site
}

# $1 is the module that runs the processes and threads.
apache_conf() {
	cat <<-EOF
		ServerRoot $PWD
		ServerName test
		Listen $address:8080
		PidFile $PWD/pid
		ErrorLog $PWD/errors
		DefaultRuntimeDir $PWD
		DocumentRoot $PWD/site
		StartServers 2
		GracefulShutdownTimeout 5
		$( ((EUID != 0)) || printf 'User nobody\nGroup nogroup')
		$(for module in "mpm_$1" authz_core deflate filter status include alias; do
			printf 'LoadModule %s_module %s/mod_%s.so\n' "$module" "$SUBJECTS_DIR/apache/usr/lib/apache2/modules" "$module"
		done)
		LogFormat "%r %>s %B" plain
		CustomLog $PWD/access plain
		SetOutputFilter DEFLATE
		<Location /status>
		  SetHandler server-status
		</Location>
		Redirect 302 /moved http://elsewhere/
	EOF
}

apache_session() {
	site
	apache_conf "$model" >conf
	serve "$SUBJECTS_DIR/apache/run" apache2 -f "$PWD/conf" -D FOREGROUND
	wait_for_file pid
	wait_until curl -q -s -o /dev/null "http://$address:8080/hello"
	ask_http "http://$address:8080/"{hello,numbers,nothing,moved}
	ask_http --compressed "http://$address:8080/numbers"
	look 1 apache2
	load_http -H 'Accept-Encoding: gzip' "http://$address:8080/numbers?[1-500]"
	kill -USR1 "$pid" # reloads; children end when they are idle
	wait_until has_lines 2 'configured -- resuming' errors
	ask_http "http://$address:8080/"{hello,numbers}
	# it answers first and then writes; a child that is ended in between does not write
	wait_until has_lines 503 'GET /numbers' access
	kill -TERM "$pid"
	ended
	sed -i -E 's/^\[[^]]*\] //; s/\[pid [0-9:tid ]+\] //' errors
	# by which Apache wakes its own children, as many as it has just then
	sed -i '/^OPTIONS \* /d' access
	sort -o access access
}

# Both modules that run Apache's requests: threads in processes, and processes alone.
apache_test() {
	need_subject apache
	address="$(own_address)" model="$1"
	same_sessions apache_session
	assert_ended 0 2
	assert_answered ' *500 200'
	run -0 grep -c resuming shim/errors
	assert_output 2
}

# bats test_tags=program,scraped
@test "Apache with processes and threads (event)" {
	apache_test event
}

# bats test_tags=program,scraped
@test "Apache with processes alone (prefork)" {
	apache_test prefork
}

nginx_session() {
	site
	mkdir temporary
	chmod 777 temporary
	cat >conf <<-EOF
		daemon off; worker_processes 2; pid $PWD/pid; error_log $PWD/errors notice; thread_pool default threads=2;
		$( ((EUID != 0)) || printf 'user nobody nogroup;')
		events { worker_connections 64; }
		http {
		  log_format plain '\$request \$status \$body_bytes_sent'; access_log $PWD/access plain;
		  root $PWD/site; gzip on; gzip_types *; aio threads;
		  $(printf '%s_temp_path temporary; ' client_body proxy fastcgi uwsgi scgi)
		  server { listen unix:$PWD/http; location /teapot { return 418 "teapot"; }
		    location /proxied/ { proxy_pass http://unix:$PWD/http:/; } }
		}
	EOF
	serve "$SUBJECTS_DIR/nginx/run" nginx -p "$PWD" -c "$PWD/conf" -e "$PWD/errors"
	wait_until test -S http
	wait_for_file pid
	ask_http --unix-socket http http://x/{hello,numbers,nothing,teapot,proxied/numbers,proxied/nothing}
	look 1 nginx
	load_http --unix-socket http -H 'Accept-Encoding: gzip' 'http://x/proxied/numbers?[1-500]'
	kill -HUP "$pid" # new workers, then the old ones end
	wait_until has_lines 2 'gracefully shutting down' errors
	ask_http --unix-socket http --compressed http://x/numbers
	mv access access.old
	kill -USR1 "$pid" # opens its logs again
	wait_until test -e access
	ask_http --unix-socket http http://x/hello
	kill -QUIT "$pid"
	ended
	sort -o access.old access.old
	# alerts and crashes of workers would be there
	grep -E 'alert|emerg|crit|error|exited' errors | sed -E 's/^.*\] [0-9#]+: //; s/ [0-9]+ / PID /' | sort >faults || true
}

# bats test_tags=program,scraped
@test "nginx: master, workers, pools of threads, a reload" {
	need_subject nginx
	same_sessions nginx_session errors
	assert_ended 0 3
	assert_answered ' *500 200'
	assert_answered teapot
	run -0 cat shim/access
	assert_output 'GET /hello HTTP/1.1 200 6'
}

# A proxy before itself. By default its workers have a limit of 0 processes, which keeps them from
# threads too, ours among them. Its pools are told to keep nothing back.
haproxy_session() {
	cat >conf <<-EOF
		global
		  nbthread 2
		  $limit
		  stats socket $PWD/stats mode 666 level admin
		  $( ((EUID != 0)) || printf 'user nobody\ngroup nogroup')
		defaults
		  mode http
		  timeout client 20s
		  timeout server 20s
		  timeout connect 5s
		frontend front
		  bind unix@$PWD/front mode 666
		  compression algo gzip
		  compression type text/plain
		  use_backend down if { path_beg /down }
		  default_backend back
		backend back
		  server one unix@$PWD/back maxconn 6
		backend down
		  server none unix@$PWD/nothing
		frontend back
		  bind unix@$PWD/back mode 666
		  http-request return status 404 if { path /nothing }
		  http-request return status 200 content-type text/plain file $PWD/text
	EOF
	seq 3000 | head -c 12000 >text
	serve "$SUBJECTS_DIR/haproxy/run" haproxy -dMno-global,no-cache -W -f "$PWD/conf"
	wait_until has_lines 1 'Loading success' err
	wait_until curl -q -s -o /dev/null --unix-socket front http://x/
	ask_http --unix-socket front http://x/{hello,nothing,down}
	ask_http --unix-socket front --compressed http://x/hello
	look 1 haproxy
	[[ -z "$limit" ]] || load_http --unix-socket front -H 'Accept-Encoding: gzip' 'http://x/hello?[1-4000]'
	[[ "$way" == bare ]] || check_worker
	kill -TERM "$pid" # its soft stop crashes by itself at times
	ended
	sed -i -E 's/\([0-9]+\)|\[[0-9]+\]/PID/g; s/^(\[[A-Z]+\] +)PID /\1/' err
	sort -o err err
}

# Under the default limit: counted, not served, and the message says why.
check_worker() {
	[[ -n "$limit" ]] || wait_until worker_says_why
}

worker_says_why() {
	curl -q -s --no-progress-meter --parallel --parallel-max 20 --unix-socket front -o /dev/null 'http://x/[1-99]'
	"$promshim" check "$(children "$pid")" >said || (($? == 3))
	grep -qF 'our thread cannot be started: EAGAIN' said && rm said
}

# bats test_tags=program,scraped
@test "HAProxy: master, worker, threads" {
	need_subject haproxy
	limit=insecure-fork-wanted
	same_sessions haproxy_session
	assert_ended 0 2
	assert_answered ' *4000 200'
}

# bats test_tags=program,scraped
@test "HAProxy's worker may start no thread: it serves its clients, and says why not us" {
	((EUID == 0)) || missing root
	need_subject haproxy
	limit=
	same_sessions haproxy_session
	assert_equal "$(<shim/status)" 0
}

# Sends standard input to a UNIX socket and prints what comes back.
talk() {
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
while got := s.recv(65536):
    sys.stdout.buffer.write(got)' "$1"
}

memcached_session() {
	give_to_nobody .
	serve "$SUBJECTS_DIR/memcached/run" memcached -u nobody -s "$PWD/socket" -a 777 -m 8 -t 3 -o modern
	wait_until test -S socket
	printf '%s\r\n' 'set a 0 0 5' hello 'set n 7 0 2' 41 'incr n 1' 'get a n nothing' 'append a 0 0 1' '!' \
		'gets a' 'delete a' 'get a' nonsense 'touch n 100' 'mg n v t' 'verbosity 0' quit >questions
	ask talk socket <questions
	look 1 memcached
	# more than it may hold, so that it evicts, over many connections
	under_load python3 -c '
import socket
for n in range(1200):
    s = socket.socket(socket.AF_UNIX)
    s.connect("socket")
    s.sendall(b"".join(b"set k%d-%d 0 0 1000\r\n%s\r\nget k%d-%d\r\n" % (n, i, b"v" * 1000, n, i) for i in range(100)) + b"quit\r\n")
    got = b"".join(iter(lambda: s.recv(65536), b""))
    assert got.count(b"STORED") == 100 and got.count(b"END") == 100, got
print("all stored and found")'
	printf 'stats\r\nquit\r\n' | talk socket | grep -E 'STAT (cmd_.*|get_hits|get_misses|total_items|threads) ' >stats
	kill -TERM "$pid"
	ended
}

# bats test_tags=program,scraped
@test "memcached: threads, evictions" {
	need_subject memcached
	same_sessions memcached_session
	assert_ended 0 1
	assert_answered 'all stored and found'
	assert_answered $'VALUE n 7 2\r'
	run -0 grep -c STAT shim/stats
}

redis_session() {
	local redis="$SUBJECTS_DIR/redis/run"
	local -a cli=("$redis" redis-cli -s socket)
	serve "$redis" redis-server --port 0 --unixsocket "$PWD/socket" --dir "$PWD" --save '' --appendonly yes \
		--io-threads 2 --enable-debug-command yes --activedefrag no
	wait_until test -S socket
	ask "${cli[@]}" ping
	seq 3000 | sed 's/.*/set key:& value-&/' | "${cli[@]}" | sort | uniq -c >>answers
	ask "${cli[@]}" eval 'local s = 0; for i = 1, 3000 do s = s + #redis.call("get", "key:" .. i) end; return s' 0
	look 1 redis-server # in Debian a symbolic link to redis-check-rdb
	under_load "$redis" redis-benchmark -s socket -q -n 40000 -c 20 -P 20 -r 1000 -t set,lpush,zadd --csv
	ask "${cli[@]}" dbsize
	ask "${cli[@]}" debug reload
	ask "${cli[@]}" bgsave # a fork
	wait_until has_lines 1 'Background saving terminated with success' out
	ask "${cli[@]}" bgrewriteaof # another
	wait_until has_lines 1 'Background AOF rewrite finished successfully' out
	ask "${cli[@]}" nonsense
	ask "${cli[@]}" --csv eval 'local d = redis.call("keys", "key:1*"); table.sort(d); return #d' 0
	ask "${cli[@]}" shutdown
	ended
	sed -i '/^"/d' answers # how fast it was
	find . -type f -name 'append*' | sort >files
	# without times, sizes and pids
	cut -d ' ' -f 7- out | grep -v ' in \| age \|taking too long\|usage\|CoW\|pid' | sed -E 's/bg-[0-9]+/bg/' >out.plain
}

# bats test_tags=program,scraped
@test "redis: threads, scripts, forks that save" {
	need_subject redis
	same_sessions redis_session out dump.rdb appendonlydir
	assert_ended 0 1
	assert_answered 28893
}
