#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Shells, and the small tools that scripts are made of, do the same with and without us.
# bats file_tags=area:host

setup() {
	load ../helpers/common
	common_setup
	load ../helpers/real
	real_setup
}

teardown() {
	common_teardown
}

# What every POSIX shell can do: functions, pipes, jobs, traps, descriptors, redirections.
posix_script='
	trap "echo trapped" USR1; kill -USR1 $$
	i=0; while [ $i -lt 30 ]; do echo $i >file.$i & i=$((i + 1)); done; wait
	cat file.* | sort -n | tail -n 1
	words() { for word; do printf "<%s>" "$word"; done; echo; }
	words "a b" c* "$@"; x=$(ls | wc -l); echo "$x"
	exec 3>three; echo three >&3; exec 3>&-; cat <three
	(exit 5); echo $?; { sh -c "kill -TERM \$\$"; echo $?; } 2>/dev/null; false | true; echo $?
	cat <<-end
	here: ${x}${none:-default}
	end
	ulimit -n; ls -l /proc/self/fd | wc -l; umask 027; mkdir folder; set -C; (echo again >three) 2>/dev/null; echo $?
	env | grep -v "^LD_PRELOAD=" | sort; no_such_command; exit 6'

# bats test_tags=program,trap:T08,trap:T60
@test "bash with jobs, traps, arrays, coprocesses and process substitution" {
	unchanged_status 6 bash --posix -c "$posix_script" bash one two
	unchanged_status 9 bash -c '
		declare -A map; for i in {1..3000}; do map[$i]=$((i * i)); done; echo "${#map[@]} ${map[77]}"
		coproc cat; echo hello >&"${COPROC[1]}"; read -r y <&"${COPROC[0]}"; echo "$y"
		diff <(seq 5) <(seq 6); mapfile -t lines < <(seq 1000); echo "${lines[999]}"
		exec 7>seven; echo seven >&7; ls /proc/self/fd; [[ abc =~ a(.)c ]] && echo "${BASH_REMATCH[1]}"
		printf -v text "%05d" 42; echo "$text ${text//0/zero}"; set -o pipefail; false | true; echo $?
		trap "echo the end" EXIT; read -r -t 0.01 <> <(:); echo $?
		ulimit -v; shopt -s globstar; touch a b; echo **; export PATH=/nowhere; ls; exit 9'
	assert_counted bash cat seq
}

# bats test_tags=program
@test "dash" {
	unchanged_status 6 dash -c "$posix_script" dash one two
	# it leaves by _exit: its own page is in the test of a living one
	assert_counted sort
}

# bats test_tags=program
@test "busybox: its shell and its applets" {
	need_subject busybox
	unchanged_status 6 "$SUBJECTS_DIR/busybox/run" busybox sh -c "$posix_script" sh one two
	unchanged_status 3 "$SUBJECTS_DIR/busybox/run" busybox sh -c '
		$0 seq 3000 | $0 sort -r -n >sorted; $0 md5sum sorted; $0 gzip sorted; $0 zcat sorted.gz | $0 awk "{ s += \$1 } END { print s }"
		$0 touch -d @86400 sorted.gz; $0 tar -cf all.tar sorted.gz; $0 tar -tf all.tar; $0 sed -n 1p /etc/passwd; $0 find . | $0 sort; $0 dd if=sorted.gz of=dd bs=99 2>&1
		echo "2 3 * p" | $0 dc; $0 diff sorted.gz dd; $0 timeout 9 $0 expr 6 "*" 7; $0 ls /nonexistent; exit 3' \
		"$SUBJECTS_DIR/busybox/bin/busybox"
	# named by its applet; the shell leaves by _exit
	assert_counted sort awk
}

# bats test_tags=program
@test "coreutils" {
	mkdir given
	seq 100000 | shuf --random-source=/bin/bash >given/numbers
	seq 1 3 3000 >given/thirds
	unchanged_status 2 bash -c '
		sort -n -o sorted numbers; sort --parallel=4 -S 2M numbers | sha256sum; sort thirds >t; sort numbers | join - t | wc
		comm -12 t <(sort numbers) | tail -n 2; uniq -c sorted | tail -n 1; cut -c 1-2 sorted | sort -u | wc -l
		tr 0-9 a-j <sorted | fold -w 70 | tail -n 2; paste -s -d + thirds | md5sum; split -n 7 numbers part.
		od -A n -t x4 numbers | tail -n 1; base64 -w 0 numbers | base64 -d | cmp - numbers; nl thirds | tac | head -n 1
		cp -a numbers copy; ln -s copy link; ln copy hard; mkdir -p a/b/c; mv part.a? a/b; chmod -R u=rwX,go= a
		stat -c "%n %s %h %f" copy link hard; du -b a | sort; truncate -s 5000 copy; shred -n 1 --random-source=numbers copy
		dd if=numbers of=dd bs=1000 count=9 conv=fsync status=none; install -m 600 dd installed; rm -r a; csplit -s thirds 5 10
		timeout 9 env A=1 printenv A; nice -n 3 nice; printf "%q %.3f\n" "a b" 1.5; expr 7 "*" 6; numfmt --to=iec 123456789
		echo one two | xargs -n 1 echo; find . -type f | sort | wc -l; date -u -d @86400 +%c; factor 123456789012; pr -l 20 thirds | wc
		stdbuf -oL cat thirds | tail -n 1; echo a b c a | tsort 2>&1; yes | head -n 1000 | cksum; ls -R --color=always | wc -l
		tee x y <thirds | b2sum; test -s x -a -f y; echo $?; ptx thirds | tail -n 1; ls /nonexistent; sort /nonexistent'
	assert_counted sort join cut fold split cp shred stat xargs find tsort
}

# bats test_tags=program
@test "tar, gzip, awk, sed, grep, diff and find" {
	mkdir given
	seq 20000 >given/numbers
	unchanged_status 2 bash -c '
		sed "s/7/seven/g; 5000q" numbers >changed; diff numbers changed | tail -n 3; diff -u <(head -n 9 numbers) <(head -n 9 changed) | tail -n +3
		tar --mtime=@0 --owner=0 --group=0 --sort=name -czf all.tar.gz numbers changed; tar -tvzf all.tar.gz; mkdir out; tar -C out -xf all.tar.gz
		gzip -k -n numbers; zcat numbers.gz | tail -n 1; grep -c "^1.*9$" numbers; grep -P "(\d)\1\1\1" numbers; grep -rl seven . | sort
		awk "BEGIN { for (i = 0; i < 99999; i++) x[i % 777] = i; print length(x); print substr(\"text\", 2) | \"cat\" }"
		find . -name "n*" -exec wc -l {} + | tail -n 1; find . -type f -print0 | xargs -0 -P 4 -n 1 basename | sort; tar -xf /nonexistent'
	assert_counted tar gzip sed grep diff find
}

# Starts a shell that works off lines, and scrapes it before and after the work.
scrape_shell() {
	start_program "$1" "${@:2}" -c 'while read -r line; do
		i=0; while [ $i -lt 500 ]; do i=$((i + 1)); eval "v_$i=$line$i"; done; echo "$v_77"; done; exit 5'
	scrape_program "$1"
	go_on
	expect go77
	scrape_program "$1"
	assert_metric "promshim_threads{program=\"$1\"}" -eq 0
	assert_metric "process_threads{program=\"$1\"}" -eq 1
	finish
	assert_equal "$status" 5
	assert_equal "$(<"$err")" ""
}

# bats test_tags=program,scraped
@test "a living bash is scraped" {
	scrape_shell bash bash
}

# bats test_tags=program,scraped
@test "a living dash is scraped" {
	scrape_shell dash dash
}

# bats test_tags=program,scraped
@test "a living busybox is scraped" {
	need_subject busybox
	scrape_shell sh "$SUBJECTS_DIR/busybox/bin/busybox" sh
}
