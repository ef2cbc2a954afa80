#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Real programs do the same with and without us: output, errors, exit code and files, to the byte.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
}

teardown() {
	common_teardown
}

# Tells whether redis, asked by ${client[@]}, has this among its answer.
answers() {
	"${client[@]}" "${@:2}" 2>/dev/null | tr -d '\r' | grep -qxF -- "$1"
}

# Prints the group of what runs as `bare ... &`: that of its child, timeout.
of_bare() {
	wait_until has_child "$1"
	children "$1"
}

# Runs redis-server on a socket; prints answers to a fixed series of commands, by redis-cli. $1 is
# the object to preload, or nothing.
redis_session() {
	local folder="$1" object="$2" server status=0
	mkdir "$folder"
	SUBJECT_PRELOAD="$object" bare "$SUBJECTS_DIR/redis/run" redis-server \
		--port 0 --unixsocket "$PWD/$folder/socket" --dir "$PWD/$folder" --save '' \
		--appendonly no --dbfilename dump --io-threads 2 --logfile log \
		>"$folder/out" 2>"$folder/err" </dev/null 3>&- &
	server=$!
	started+=("$(of_bare "$server")")
	local -a client=("$SUBJECTS_DIR/redis/run" redis-cli -s "$folder/socket")
	wait_until answers PONG ping # its socket is there before it listens
	{
		"${client[@]}" ping
		seq 2000 | sed 's/.*/set key:& value-&/' | "${client[@]}" | sort | uniq -c
		"${client[@]}" eval 'return redis.call("get", "key:77")' 0
		seq 300 | sed 's/.*/rpush list &/' | "${client[@]}" | tail -n 1
		"${client[@]}" dbsize
		"${client[@]}" sort list desc limit 0 3
		"${client[@]}" nonsense
		"${client[@]}" debug reload
		"${client[@]}" bgsave
		# a shutdown would end the child that writes, and what it leaves behind
		wait_until answers rdb_bgsave_in_progress:0 info persistence
		test -s "$folder/dump"
		"${client[@]}" get key:1999
		"${client[@]}" flushall
		"${client[@]}" shutdown nosave
	} >"$folder/answers" 2>&1
	wait "$server" || status=$?
	printf '%d\n' "$status" >"$folder/status"
	rm -f "$folder"/{log,dump,socket}
}

# bats test_tags=trap:T60
@test "redis answers the same, saves, and shuts down" {
	need_subject redis
	redis_session bare ""
	redis_session shim "$shim_so"
	diff -r bare shim
	run -0 cat shim/status
	assert_output 0
	run -0 grep -c value-77 shim/answers
}

# Runs nginx, master and 2 workers, on a socket, with a reload in the middle.
nginx_session() {
	local folder="$1" object="$2" server status=0 i
	mkdir -p "$folder/files"
	chmod 777 "$folder" "$folder/files"
	seq 10000 >"$folder/files/numbers"
	cat >"$folder/nginx.conf" <<-EOF
		daemon off; worker_processes 2; pid $PWD/$folder/pid; error_log $PWD/$folder/errors notice;
		$( ((EUID != 0)) || printf 'user root;')
		events { worker_connections 64; }
		http {
		  access_log $PWD/$folder/access; root $PWD/$folder/files; gzip on; gzip_types *;
		  client_body_temp_path $PWD/$folder/a; proxy_temp_path $PWD/$folder/b;
		  fastcgi_temp_path $PWD/$folder/c; uwsgi_temp_path $PWD/$folder/d; scgi_temp_path $PWD/$folder/e;
		  server { listen unix:$PWD/$folder/socket; location /teapot { return 418 "teapot"; } }
		}
	EOF
	SUBJECT_PRELOAD="$object" bare "$SUBJECTS_DIR/nginx/run" nginx \
		-p "$PWD/$folder" -c "$PWD/$folder/nginx.conf" -e "$PWD/$folder/errors" \
		>"$folder/out" 2>"$folder/err" </dev/null 3>&- &
	server=$!
	started+=("$(of_bare "$server")")
	wait_for_file "$folder/pid" # written when it listens
	for i in {1..40}; do
		curl -q -s --unix-socket "$folder/socket" --compressed \
			-w '%{http_code}\n' http://x/{numbers,nothing,teapot}
		((i != 20)) || kill -HUP "$(<"$folder/pid")"
	done >"$folder/answers" 2>&1
	# two signals at once would be handled in an order of nginx's own
	wait_until has_reloaded "$folder/errors"
	kill -QUIT "$(<"$folder/pid")"
	wait "$server" || status=$?
	printf '%d\n' "$status" >"$folder/status"
	wc -l <"$folder/access" >"$folder/lines"
	# alerts and crashes of workers would be there
	grep -E 'alert|emerg|crit|exited on signal' "$folder/errors" >"$folder/alerts" || true
	rm -rf "$folder"/{nginx.conf,errors,access,pid,files,?}
}

# Tells whether, by its log, nginx has started two more workers and the first two have ended.
has_reloaded() {
	(($(grep -c 'start worker process [0-9]' "$1") == 4)) \
		&& (($(grep -c 'worker process [0-9]* exited with code 0' "$1") == 2))
}

# bats test_tags=trap:T60
@test "nginx, master and workers, answers the same, reloads, and quits" {
	need_subject nginx
	nginx_session bare ""
	nginx_session shim "$shim_so"
	diff -r bare shim
	run -0 cat shim/status
	assert_output 0
	run -0 cat shim/lines
	assert_output 120
	run -0 cat shim/alerts
	assert_output ""
}
