#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# More servers, each with a habit of its own: an allocator that is not glibc's, capabilities, a
# child that is started and watched, code that is compiled and loaded, schedulers of their own.
# bats file_tags=area:host

setup() {
	load ../helpers/common
	common_setup
	load ../helpers/servers
}

teardown() {
	common_teardown
}

dig() {
	"$SUBJECTS_DIR/named/run" dig @"$address" -p "$query_port" +nocomments +nostats +nocmd +timeout=5 +tries=2 "$@"
}

# A port that is free for TCP and UDP.
free_port() {
	python3 -c '
import socket
while True:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            continue
        print(tcp.getsockname()[1])
        break'
}

# So many questions for dig -f, with a flag.
names() {
	local n
	for ((n = 1; n <= $1; n++)); do
		printf '@%s -p %d +short +timeout=5 +tries=2 n%d.zone.test A %s\n' "$address" "$query_port" "$n" "$2"
	done
}

named_session() {
	local n
	cat >conf <<-EOF
		options {
		  directory "$PWD"; listen-on port $query_port { $address; }; listen-on-v6 { none; };
		  pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify no;
		};
		controls { };
		zone "zone.test" { type primary; file "zone"; };
	EOF
	{
		printf '$TTL 60\n@ SOA ns root 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n@ MX 5 ns\nalias CNAME ns\n'
		for n in {1..3000}; do printf 'n%d A 10.0.%d.%d\n' "$n" $((n / 256)) $((n % 256)); done
	} >zone
	names 3000 +notcp >names
	give_to_nobody .
	serve "$SUBJECTS_DIR/named/run" named -g -n 2 -c "$PWD/conf" -u nobody
	wait_until has_lines 1 ' running$' err
	ask dig zone.test MX alias.zone.test A nothing.zone.test A elsewhere.test A
	ask dig zone.test SOA +tcp
	look 1 named
	# no more allocations that are seen: it calls mallocx, which is jemalloc's alone
	ask "$SUBJECTS_DIR/named/run" dig -f names
	look 1 named
	sed -i 's/ root 1 60/ root 2 60/' zone
	kill -HUP "$pid" # reloads
	wait_until has_lines 1 'loaded serial 2' err
	ask dig zone.test SOA
	kill -TERM "$pid"
	ended
	grep -c '^10\.' answers >count
	# it says so at one end in forty, with us or not: the end of its netlink socket is a race
	cut -d ' ' -f 3- err | sed -E '/^automatic interface scanning terminated: end of file$/d; s/0x[0-9a-f]+//g' | sort >said
}

# bats test_tags=program,scraped
@test "named: jemalloc, threads, capabilities, a reload" {
	((EUID == 0)) || missing root
	need_subject named
	# it looks for an interface's address
	address=127.0.0.1 query_port="$(free_port)"
	same_sessions named_session err
	assert_equal "$(<shim/status)" 0
	assert_equal "$(<shim/count)" 3000
	assert_answered 'zone\.test\..*\sSOA\s.* 2 60 60 60 60'
}

varnish_session() {
	cat >vcl <<-'EOF'
		vcl 4.1;
		backend default none;
		sub vcl_recv { return (synth(200, "fine")); }
		sub vcl_synth {
		  set resp.http.Content-Type = "text/plain";
		  set resp.body = "you asked for " + regsub(req.url, "^/", "") + {"
		"};
		  return (deliver);
		}
	EOF
	serve "$SUBJECTS_DIR/varnish/run" varnishd -F -j none -n "$PWD/work" -a "$PWD/http" -f "$PWD/vcl" \
		-s malloc,8M -T none -p thread_pools=2 -p thread_pool_min=10
	wait_until curl -q -s -o /dev/null --unix-socket http http://x/
	ask curl -q -s -S --unix-socket http http://x/{one,two}
	look 1 varnishd cache-main
	under_load bash -c 'curl -q -s -S --no-progress-meter --parallel --parallel-max 8 --unix-socket http \
		-o /dev/null -w "%{http_code}\n" "http://x/[1-4000]" | sort | uniq -c'
	kill -TERM "$pid"
	ended
	sed -i -E 's/\([0-9]+\)//; s/Child [0-9]+/Child/' err out
}

# bats test_tags=program,scraped
@test "varnishd: a compiled configuration, a manager and a child of many threads" {
	need_subject varnish
	same_sessions varnish_session work
	assert_ended 0 1
	assert_answered 'you asked for two'
	assert_answered ' *4000 200'
}

php_session() {
	cat >pool <<-EOF
		[global]
		error_log = $PWD/errors
		daemonize = no
		[one]
		listen = $PWD/fpm
		listen.mode = 0666
		$( ((EUID != 0)) || printf 'user = nobody\ngroup = nogroup')
		pm = static
		pm.max_children = 3
		pm.max_requests = 400
		clear_env = no
		catch_workers_output = yes
	EOF
	cat >nginx.conf <<-EOF
		daemon off; error_log $PWD/nginx.errors; pid $PWD/nginx.pid; events { }
		http { access_log off; client_body_temp_path temporary; fastcgi_temp_path temporary; proxy_temp_path temporary;
		  uwsgi_temp_path temporary; scgi_temp_path temporary;
		  server { listen unix:$PWD/http; location / { fastcgi_pass unix:$PWD/fpm; fastcgi_param SCRIPT_FILENAME $PWD/page.php;
		    fastcgi_param REQUEST_METHOD GET; fastcgi_param QUERY_STRING \$query_string; } } }
	EOF
	cat >page.php <<-'EOF'
		<?php
		$n = (int)($_GET["n"] ?? 5);
		$all = [];
		for ($i = 0; $i < 3000; $i++) { $all["key $i"] = str_repeat(chr(97 + $i % 26), $i % 100); }
		ksort($all);
		if ($n == 7) { error_log("a line in the log"); }
		if ($n == 8) { nothing(); }
		echo $n, " ", md5(serialize($all)), " ", strlen(json_encode($all)), " ", preg_match("/b+/", implode($all)), "\n";
	EOF
	mkdir temporary
	chmod 755 .
	way=bare serve "$SUBJECTS_DIR/nginx/run" nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/nginx.errors"
	local front="$runner"
	serve "$SUBJECTS_DIR/php-fpm/run" php-fpm8.2 -n -F -y "$PWD/pool"
	wait_until test -S http
	wait_until test -S fpm
	ask curl -q -s -S --unix-socket http -w '%{http_code}\n' 'http://x/?n='{1,2,7,8}
	look 1 php-fpm8.2
	under_load bash -c 'curl -q -s -S --no-progress-meter --parallel --parallel-max 3 --unix-socket http \
		-w "%{http_code}\n" "http://x/?n=[100-1599]" | sed "s/^1[0-9]* //; s/^[2-9][0-9][0-9] [0-9a-f]/x/" | sort | uniq -c | sort -n'
	kill -USR2 "$pid" # runs itself anew
	wait_until has_lines 2 'ready to handle connections' errors
	ask curl -q -s -S --unix-socket http 'http://x/?n=1'
	kill -QUIT "$pid"
	ended
	kill -QUIT "$front"
	wait "$front" || true
	sed -E 's/^\[[^]]*\] //; s/(child|pid) [0-9]+/\1/; s/after [0-9.]+ seconds.*//' errors err | sort -u >said
}

# bats test_tags=program,scraped
@test "php-fpm: a master, workers that are replaced, an upgrade in place" {
	need_subject php-fpm nginx
	same_sessions php_session err errors nginx.errors
	assert_ended 0 1
	assert_answered '1 [0-9a-f]{32} [0-9]+ 1'
	assert_answered '<b>Fatal error</b>:.*'
	assert_answered ' +1500 200'
}

dnsmasq_session() {
	names 1000 +tcp >names
	serve "$SUBJECTS_DIR/dnsmasq/run" dnsmasq -k -C /dev/null --port="$query_port" --listen-address="$address" \
		--bind-interfaces --no-resolv --no-hosts --log-facility=- --user=nobody --cache-size=100 \
		--address=/zone.test/10.0.11.184 --mx-host=mail.test,zone.test,5 --txt-record=text.test,"a text"
	wait_until has_lines 1 'started, version' err
	ask dig n1.zone.test A mail.test MX text.test TXT nothing.test A
	ask dig text.test TXT +tcp # a fork
	look 1 dnsmasq
	ask "$SUBJECTS_DIR/named/run" dig -f names
	look 1 dnsmasq
	kill -HUP "$pid"
	ask dig n2.zone.test A
	kill -TERM "$pid"
	ended
	sed -i -E 's/^.*dnsmasq\[[0-9]+\]: //' err
}

# bats test_tags=program,scraped
@test "dnsmasq: a fork for each connection" {
	((EUID == 0)) || missing root
	need_subject dnsmasq named
	address="$(own_address)" query_port=5300
	same_sessions dnsmasq_session
	assert_equal "$(<shim/status)" 0
	assert_answered '10\.0\.11\.184'
}

# A server of lines in Erlang: each connection is a process, work is spread over schedulers.
erlang_session() {
	local root="$SUBJECTS_DIR/erlang/usr/lib/erlang" bin
	local -a with_object=()
	[[ "$way" == bare ]] || with_object=(LD_PRELOAD="$shim_so")
	bin="$(dirname "$(find "$root" -name beam.smp)")"
	cat >server.erl <<-'EOF'
		-module(server).
		-export([main/0]).
		main() ->
		  {ok, L} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {packet, line}, {active, false}, binary]),
		  {ok, Port} = inet:port(L),
		  ok = file:write_file("port.new", integer_to_list(Port)),
		  ok = file:rename("port.new", "port"),
		  accept(L).
		accept(L) ->
		  {ok, S} = gen_tcp:accept(L),
		  P = spawn(fun() -> receive go -> talk(S) end end),
		  ok = gen_tcp:controlling_process(S, P),
		  P ! go,
		  accept(L).
		talk(S) ->
		  case gen_tcp:recv(S, 0) of
		    {ok, <<"stop", _/binary>>} -> io:format("stopping~n"), halt(3);
		    {ok, Line} -> gen_tcp:send(S, answer(string:trim(binary_to_list(Line)))), talk(S);
		    {error, closed} -> ok
		  end.
		answer("cmd") -> os:cmd("echo a command");
		answer("crash") -> catch list_to_integer("x"), "crashed\n";
		answer("ets") ->
		  T = ets:new(t, []), [ets:insert(T, {N, lists:seq(1, N rem 50)}) || N <- lists:seq(1, 5000)],
		  io_lib:format("~p~n", [ets:foldl(fun({_, X}, A) -> A + lists:sum(X) end, 0, T)]);
		answer(Number) ->
		  Me = self(), N = list_to_integer(Number),
		  [spawn(fun() -> Me ! lists:sum([length(integer_to_list(X * X)) || X <- lists:seq(1, 300)]) end) || _ <- lists:seq(1, N)],
		  Sum = lists:sum([receive V -> V end || _ <- lists:seq(1, N)]),
		  io_lib:format("~p ~s~n", [Sum, binary:encode_hex(erlang:md5(binary:copy(<<"x">>, N * 1000)))]).
	EOF
	cat >ask.py <<-'EOF'
		import socket, sys
		for round in range(int(sys.argv[1])):
		    with socket.create_connection(("127.0.0.1", int(open("port").read()))) as s, s.makefile("rw") as lines:
		        for word in sys.argv[2:]:
		            print(word, file=lines, flush=True)
		            answer = lines.readline()
		            if round == 0: print(answer, end="")
	EOF
	serve env ROOTDIR="$root" BINDIR="$bin" EMU=beam PROGNAME=erl ERL_CRASH_DUMP=/dev/null HOME="$PWD" \
		"${with_object[@]}" "$bin/erlexec" -boot "$root/bin/start_clean" -noshell +S 2:2 \
		-eval '{ok, server} = c:c(server), server:main().'
	wait_for_file port
	ask python3 ask.py 1 5 100 cmd crash ets
	look 2 beam.smp erl_child_setup
	under_load python3 ask.py 40 100 cmd ets
	ask python3 ask.py 1 stop
	ended
}

# bats test_tags=program,scraped
@test "Erlang: schedulers, ports, allocators of its own" {
	need_subject erlang
	same_sessions erlang_session port server.beam
	assert_ended 3 1
	assert_answered 'a command'
}
