#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that look into others, and other preloaded objects, get on with us.
# bats file_tags=area:host

setup() {
	load ../helpers/common
	common_setup
	load ../helpers/real
	real_setup
}

teardown() {
	common_teardown
	forget_faketime
}

# A program to look into: ./program, of given/program.c.
make_program() {
	mkdir -p given
	cat >given/program.c <<-'EOF'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		static char *leaked;
		static int third(int n) { char *text = malloc(32); sprintf(text, "%d", n); int length = strlen(text); free(text); return length; }
		static int second(int n) { return third(n * 100) + 1; }
		int main(int argc, char **argv) {
		  leaked = strdup("kept");
		  if (argc > 1 && argv[1][0] == 'b') { char *p = malloc(10); p[10] = 1; leaked = p; }
		  if (argc > 1 && argv[1][0] == 's') { *(volatile int *)8 = 1; }
		  printf("%d\n", second(7));
		  return 5;
		}
	EOF
	gcc -g -O0 -w -o given/program given/program.c
}

# bats test_tags=program
@test "strace sees the same calls of a program that is served" {
	need_subject strace
	local strace="$SUBJECTS_DIR/strace/usr/bin/strace"
	make_program
	echo text >given/file
	# a tracer waits for children of every kind, and so sees ours: served is who is traced
	export PROMSHIM_EXCLUDE=strace
	# all that the program does with its file: the descriptors are those that it would have had
	unchanged_status 1 "$strace" -a 1 -o trace -e trace=openat,read,write,close,dup2 -e signal=none -P file \
		bash -c 'cat file nothing 9<file; exec 5<file 1>&2; cat <&5; cat file nothing'
	run -0 cat shim.did/files/trace
	assert_output --partial 'openat(AT_FDCWD, "file", O_RDONLY) = 3'
	assert_counted cat
	filter=without_pids unchanged_status 139 "$strace" -f -e trace=kill ./program s
	unchanged_status 5 "$strace" -o trace -e trace=brk -c -S calls -U calls,name -e inject=getcwd:error=EPERM ./program
}

# bats test_tags=program,scraped
@test "a living strace and the program that it traces are scraped" {
	need_subject strace
	start_program cat "$SUBJECTS_DIR/strace/usr/bin/strace" -f -o trace cat
	scrape_program cat
	port_of strace
	allocations_before=0
	scrape_program strace
	finish
	assert_equal "$status" 0
	run -0 grep -c 'exited with 0' trace
}

# bats test_tags=program,trap:T59
@test "gdb, and a program that it runs" {
	need_subject gdb
	local -a gdb=("$SUBJECTS_DIR/gdb/run" gdb --data-directory="$SUBJECTS_DIR/gdb/usr/share/gdb" -nx -batch
		-ex 'set confirm off' -ex 'set debuginfod enabled off' -ex 'set auto-load off')
	make_program
	filter=without_threads
	# gdb under us, and its program not; then both
	unchanged_status 0 "${gdb[@]}" -ex 'unset environment LD_PRELOAD' -ex 'break third' -ex run -ex bt -ex 'print n' \
		-ex finish -ex 'info line' -ex continue ./program
	run -0 cat shim.did/out
	assert_output --partial 'exited with code 05'
	assert_counted gdb
	unchanged_status 0 "${gdb[@]}" -ex 'break third' -ex run -ex bt -ex 'print n' -ex next -ex next -ex 'print text[0]' \
		-ex continue ./program
	assert_counted gdb program
	unchanged_status 0 "${gdb[@]}" -ex run -ex 'bt 1' -ex 'print $_siginfo.si_signo' -ex kill --args ./program s
}

# What gdb says of threads, and numbers of processes. A leader that is seen to end before its threads is a new process.
without_threads() {
	grep -vE '^\[(New Thread|New process|Thread .* exited|Switching to Thread|Thread debugging|Inferior 1 .*killed)|^Using host libthread_db|^$' \
		| sed -E 's/argv=0x[0-9a-f]+/argv=ADDRESS/; s/^Thread [0-9]+ "program" (hit|received)/Program \1/; s/process [0-9]+/process N/; s/^Program hit/Thread hit/; s/^Thread hit //'
}

# A thread of a traced program ends as that does.
without_pids() {
	# a thread of ours may be in a call when the program is killed
	sed -E '/Process [0-9]+ (attached|detached)/d; /\?\?\?\( <unfinished/d; s/\[pid +[0-9]+\] //; s/si_pid=[0-9]+/si_pid=N/; s/^[0-9]+ +//' | LC_ALL=C sort -u
}

# bats test_tags=program,trap:T59
@test "valgrind finds the same faults, and none of ours" {
	make_program
	unchanged_status 5 valgrind -q --leak-check=full --show-leak-kinds=definite --error-exitcode=9 ./program
	filter=without_our_frames
	unchanged_status 9 valgrind --leak-check=no --error-exitcode=9 ./program b
	run -0 cat shim.did/err
	assert_output --partial 'Invalid write of size 1'
	assert_output --partial '1 errors from 1 contexts'
}

# Where a block came from passes through us; how much was allocated counts what is ours.
without_our_frames() {
	sed -E 's/^==[0-9]+== ?//; s/0x[0-9A-Fa-f]+/ADDRESS/g' | grep -vE 'libpromshim|^Command:|in use at exit|total heap usage|Parent PID|^ *(at|by) ADDRESS: (malloc|main|__libc_start|\(below main)'
}

# bats test_tags=program,trap:T59
@test "fakeroot" {
	need_subject fakeroot
	local folder="$SUBJECTS_DIR/fakeroot/usr"
	# as a user without rights, so that it is fakeroot who grants them
	unchanged_status 4 setpriv --bounding-set=-all --inh-caps=-all sh -c '
		exec "$0/bin/fakeroot-sysv" -f "$0/bin/faked-sysv" -l "$(echo "$0"/lib/*/libfakeroot/libfakeroot-sysv.so)" -- sh -c "
			echo text >file; chown 12:34 file; mknod device c 1 3; stat -c \"%n %u %g %F\" file device; cp -a file copy; mkdir d; chmod 700 d
			tar -cf - file device | tar -tvf - | cut -c 1-20; ls -ln | cut -c 1-20; id -u; exit 4"' "$folder"
	run -0 cat shim.did/out
	assert_line "file 12 34 regular file"
	assert_line "device 0 0 character special file"
	assert_counted tar ls
}

# bats test_tags=program,scraped,trap:T59,trap:T62
@test "faketime, before and behind us" {
	need_subject faketime
	local faketime="$subject" side
	export FAKETIME='@2001-02-03 04:05:06' TZ=UTC
	for side in ahead behind; do
		local "$side=$faketime"
		# the last command is none: faketime leaves files of a program that executes another
		unchanged_status 0 bash -c 'date +%F; touch file; stat -c %y file | cut -c 1-10; perl -e "print scalar(gmtime), 7, qq(\n)" | cut -c 1-10; /usr/bin/python3 -c "
import threading, time
days = []; t = [threading.Thread(target=lambda: days.append(time.strftime(\"%F\"))) for n in range(9)]
[x.start() for x in t]; [x.join() for x in t]; print(days, time.gmtime().tm_year)"; :'
		run -0 cat shim.did/out
		assert_line --index 0 2001-02-03
		allocations_before=0
		start_program bash bash -c 'read -r x; date +%Y; exit 3'
		scrape_program bash
		go_on
		finish
		assert_equal "$status $(<"$out")" "3 2001"
		unset "$side"
		rm ports/*
	done
}

# bats test_tags=program,trap:T59
@test "eatmydata, before and behind us" {
	need_subject strace
	need_subject eatmydata
	local eatmydata="$subject" side
	export PROMSHIM_EXCLUDE=strace
	for side in ahead behind; do
		local "$side=$eatmydata"
		unchanged_status 0 "$SUBJECTS_DIR/strace/usr/bin/strace" -f -o trace -e trace=fsync,fdatasync,sync -e signal=none -qq \
			bash -c 'dd if=/bin/sh of=copy conv=fsync status=none; sync; cmp copy /bin/sh'
		assert_equal "$(<shim.did/files/trace)" ""
		assert_counted dd cmp
		unset "$side"
	done
}

# In a pid namespace of few numbers: threads of ours have some, if their process lives long enough.
# bats test_tags=program,trap:T47
@test "bwrap, with rights and without" {
	need_subject bubblewrap
	local bwrap="$SUBJECTS_DIR/bubblewrap/usr/bin/bwrap"
	local -a box=("$bwrap" --ro-bind / / --dev /dev --proc /proc --tmpfs /var --unshare-all --die-with-parent)
	unchanged_status 6 "${box[@]}" --hostname box bash -c 'hostname; echo $(($$ < 10)); ls /var; touch /etc/x; exit 6'
	unchanged_status 6 unshare -U --map-user=1000 --map-group=1000 "${box[@]}" --uid 1000 --gid 1000 bash -c 'id -u; id -g; echo $(($$ < 10)); cat /proc/self/uid_map; exit 6'
	run -0 cat shim.did/out
	assert_line --index 0 1000
	unchanged_status 1 "$bwrap" --bind /nonexistent /x true
	unchanged_status 1 "$bwrap" --nonsense
}

# bats test_tags=program
@test "stress-ng: malloc, fork, pthread, clone, vm and signals" {
	need_subject stress-ng
	local stress="$SUBJECTS_DIR/stress-ng/run"
	filter=without_times
	unchanged_status 0 "$stress" stress-ng --metrics-brief --temp-path . --malloc 2 --malloc-ops 3000 --malloc-pthreads 2
	unchanged_status 0 "$stress" stress-ng --metrics-brief --temp-path . --fork 2 --fork-ops 100 --vfork 1 --vfork-ops 100
	unchanged_status 0 "$stress" stress-ng --metrics-brief --temp-path . --pthread 2 --pthread-ops 200 --clone 1 --clone-ops 100
	unchanged_status 0 "$stress" stress-ng --metrics-brief --temp-path . --vm 1 --vm-bytes 16m --vm-ops 500 --sigsegv 1 --sigsegv-ops 100
	assert_counted stress-ng
}

# What is measured, and numbers of processes.
without_times() {
	grep -v '[a-z]secs ' | sed -E 's/\[[0-9]+\]/[N]/g; s/in [0-9.]+s.*/in N s/; s/^(.* metrc.* [a-z]+ +)[0-9].*/\1/; s/stress-ng: info: .*run completed.*/completed/'
}
