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

# Runs a command without and with us in two fresh folders, and compares the folders too.
unchanged_with_files() {
	local way
	for way in bare preload; do
		rm -rf work
		mkdir work
		cd work
		local status=0
		"$way" "$@" >../"$way.out" 2>../"$way.err" </dev/null || status=$?
		cd ..
		printf '%d\n' "$status" >>"$way.out"
		rm -rf "$way"
		mv work "$way"
	done
	cmp bare.out preload.out || fail "output or status differs: $*: $(diff bare.out preload.out | head)"
	cmp bare.err preload.err || fail "standard error differs: $*: $(diff bare.err preload.err | head)"
	diff -r bare preload || fail "files differ: $*"
}

@test "sort, in one thread and in many" {
	seq 200000 | shuf --random-source=/bin/bash >numbers
	unchanged_with_files sort -n -o sorted ../numbers
	unchanged_with_files sort --parallel=4 -S 2M -o sorted ../numbers
	unchanged_with_files sort /nonexistent
}

@test "python3 with threads, forks, subprocesses and exceptions" {
	unchanged_with_files /usr/bin/python3 -c '
import concurrent.futures, json, multiprocessing, os, subprocess, sys, zlib
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda n: len(zlib.compress(bytes(n))), range(2000))))
pid = os.fork()
if pid == 0:
    os._exit(7)
print(os.waitpid(pid, 0)[1] >> 8)
print(subprocess.run(["/bin/echo", "a child"], capture_output=True).stdout)
with multiprocessing.get_context("fork").Pool(3) as pool:
    print(pool.map(abs, range(-50, 50)))
json.dump([{"n": n} for n in range(1000)], open("file", "w"))
print(os.open("/dev/null", os.O_RDONLY))
sys.exit("an error")'
}

@test "perl with threads of data, forks and pipes" {
	unchanged_with_files perl -e '
		my %h = map { $_ => "x" x $_ } 1 .. 2000;
		print scalar(keys %h), " ", length(join "", values %h), "\n";
		open(my $pipe, "-|", "echo through; exit 3") or die; print <$pipe>; close $pipe; print $? >> 8, "\n";
		if (my $pid = fork) { waitpid $pid, 0; print $? >> 8, "\n" } else { exit 9 }
		$SIG{ALRM} = sub { print "alarm\n"; exit 4 }; alarm 1; select undef, undef, undef, 10;'
}

@test "bash with jobs, traps, pipes and subshells" {
	unchanged_with_files bash -c '
		trap "echo trapped" USR1; kill -USR1 $$
		for i in {1..30}; do echo "$i" >"file.$i" & done; wait
		cat file.* | sort -n | tail -n 1
		x=$(ls | wc -l); echo "$x"; coproc cat; echo hello >&"${COPROC[1]}"; read -r y <&"${COPROC[0]}"; echo "$y"
		exec 7>seven; echo seven >&7; ulimit -n; env | grep -v "^LD_PRELOAD=\|^PROMSHIM_\|^_=" | sort; exit 6'
}

@test "git makes the same repository" {
	export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
	export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
	export HOME="$BATS_TEST_TMPDIR" GIT_CONFIG_NOSYSTEM=1
	seq 50000 >numbers
	unchanged_with_files bash -ec '
		git init -q -b main repository; cd repository
		for i in 1 2 3 4 5; do cp ../../numbers "n$i"; echo "$i" >>"n$i"; git add .; git commit -q -m "$i"; done
		git -c pack.threads=2 repack -q -a -d; git log --stat --format=%H; git fsck; git diff HEAD~2 | tail -n 3
		git grep -c 777; rm .git/index; git reset -q --hard
		status=0; git checkout nowhere || status=$?; rm .git/index; exit "$status"'
}

@test "gcc compiles to the same bytes" {
	printf '#include <stdio.h>\nint main(void) { printf("%%d\\n", 42); return 3; }\n' >program.c
	unchanged_with_files bash -c 'gcc -O2 -pipe -Wall -frandom-seed=1 -c ../program.c -o program.o &&
		gcc program.o -o program && ./program; echo $?; gcc -c /nonexistent.c'
}

@test "find, xargs, tar, gzip, awk and make" {
	printf 'all: a b c\na b c:\n\t@echo $@ >$@\n\t@echo made $@\n' >Makefile
	unchanged_with_files bash -c '
		make -s -j4 -f ../Makefile | sort; seq 5000 | xargs -n 100 -P 4 echo | wc
		tar --mtime=@0 --owner=0 --group=0 --sort=name -czf all.tar.gz a b c; tar -tzf all.tar.gz
		find . -type f | sort; awk "BEGIN { for (i = 0; i < 99999; i++) x[i % 777] = i; print length(x) }"'
}

# Runs redis-server on a socket; prints answers to a fixed series of commands, by redis-cli. $1 is
# the object to preload, or nothing.
redis_session() {
	local folder="$1" object="$2" server status=0
	mkdir "$folder"
	SUBJECT_PRELOAD="$object" timeout --signal=KILL 60 "$SUBJECTS_DIR/redis/run" redis-server \
		--port 0 --unixsocket "$PWD/$folder/socket" --dir "$PWD/$folder" --save '' \
		--appendonly no --dbfilename dump --io-threads 2 --logfile log \
		>"$folder/out" 2>"$folder/err" </dev/null 3>&- &
	server=$!
	wait_until test -S "$folder/socket"
	local -a client=("$SUBJECTS_DIR/redis/run" redis-cli -s "$folder/socket")
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
		wait_until test -s "$folder/dump"
		"${client[@]}" get key:1999
		"${client[@]}" flushall
		"${client[@]}" shutdown nosave
	} >"$folder/answers" 2>&1
	wait "$server" || status=$?
	printf '%d\n' "$status" >"$folder/status"
	rm -f "$folder"/{log,dump,socket}
}

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
	SUBJECT_PRELOAD="$object" timeout --signal=KILL 60 "$SUBJECTS_DIR/nginx/run" nginx \
		-p "$PWD/$folder" -c "$PWD/$folder/nginx.conf" -e "$PWD/$folder/errors" \
		>"$folder/out" 2>"$folder/err" </dev/null 3>&- &
	server=$!
	wait_until test -S "$folder/socket"
	wait_for_file "$folder/pid"
	for i in {1..40}; do
		curl -q -s --unix-socket "$folder/socket" --compressed \
			-w '%{http_code}\n' http://x/{numbers,nothing,teapot}
		((i != 20)) || kill -HUP "$(<"$folder/pid")"
	done >"$folder/answers" 2>&1
	kill -QUIT "$(<"$folder/pid")"
	wait "$server" || status=$?
	printf '%d\n' "$status" >"$folder/status"
	wc -l <"$folder/access" >"$folder/lines"
	# alerts and crashes of workers would be there
	grep -E 'alert|emerg|crit|exited on signal' "$folder/errors" >"$folder/alerts" || true
	rm -rf "$folder"/{nginx.conf,errors,access,pid,files,?}
}

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
