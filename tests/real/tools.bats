#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Tools of those who build and look into programs do the same with and without us.
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

# bats test_tags=program,trap:T60
@test "git makes the same repository, clones and merges it" {
	export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
	export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
	export GIT_CONFIG_NOSYSTEM=1
	mkdir given
	seq 50000 >given/numbers
	# an index holds times and inodes
	forget=(repository/.git/index clone/.git/index)
	unchanged_status 1 bash -ec '
		git init -q -b main repository; cd repository
		for i in 1 2 3 4 5; do cp ../numbers "n$i"; echo "$i" >>"n$i"; git add .; git commit -q -m "$i"; done
		git -c pack.threads=2 repack -q -a -d; git log --stat --format=%H; git fsck; git diff HEAD~2 | tail -n 3
		git checkout -q -b side HEAD~1; echo side >side; git add side; git commit -q -m side; git merge -q -m merged main
		git -c grep.threads=4 grep -c 777; git blame -s n1 | tail -n 1; git reset -q --hard
		cd ..; git clone -q repository clone; cd clone; git bisect start -q HEAD HEAD~3 >/dev/null; git stash list; git archive HEAD | sha256sum
		git checkout nowhere'
	assert_counted git
}

# bats test_tags=program,trap:T60
@test "gcc compiles to the same bytes" {
	mkdir given
	printf '#include <stdio.h>\nint main(void) { printf("%%d\\n", 42); return 3; }\n' >given/program.c
	printf 'int f(int n) { int unused; return n / 0; } int g(void) { return "text" }\n' >given/bad.c
	unchanged_status 1 bash -c '
		gcc -O2 -pipe -g -Wall -frandom-seed=1 -c program.c -o program.o && gcc -flto program.o -o program && ./program; echo $?
		gcc -E program.c | wc -l; gcc -S -O3 program.c; gcc -shared -fPIC program.c -o program.so; nm -D program.so; strip program
		ar rcD all.a program.o; ranlib -D all.a; objdump -d program.o | tail -n 3; gcc -c /nonexistent.c; gcc -Wall -c bad.c'
	# others are named by the machine that they compile for
	assert_counted cc1 collect2 program
}

# bats test_tags=program
@test "g++ compiles to the same bytes" {
	mkdir given
	cat >given/program.cpp <<-'EOF'
		#include <algorithm>
		#include <iostream>
		#include <map>
		#include <stdexcept>
		#include <string>
		#include <thread>
		#include <vector>
		int main() {
		  std::map<std::string, std::vector<int>> m;
		  for (int i = 0; i < 5000; i++) m[std::to_string(i % 77)].push_back(i);
		  std::thread([&] { std::sort(m["5"].rbegin(), m["5"].rend()); }).join();
		  try { throw std::runtime_error("thrown"); } catch (const std::exception &e) { std::cout << e.what() << m["5"][0] << '\n'; }
		  return m.size();
		}
	EOF
	unchanged_status 1 bash -c '
		g++ -O2 -pipe -Wall -frandom-seed=1 program.cpp -o program && ./program; echo $?
		echo "int main() { std::string s = 5; }" | g++ -x c++ -c -o nothing -'
	assert_counted cc1plus collect2 program
}

# bats test_tags=program
@test "make builds with many jobs" {
	mkdir given
	cat >given/Makefile <<-'EOF'
		objects := $(patsubst %,f%.o,$(shell seq 40))
		all: program; ./program
		program: $(objects) main.o; gcc -o $@ $^
		main.c: Makefile; { seq -f 'int f%g(void);' 40; echo 'int main(void) { return f7() + f8(); }'; } >$@
		f%.c: Makefile; echo 'int f$*(void) { return $*; }' >$@
		%.o: %.c; gcc -c $< -o $@
		.SECONDARY:
	EOF
	# the order of what four jobs say is not the program's choice
	filter="sort"
	unchanged_status 2 make -j 4
	assert_counted make cc1
}

# bats test_tags=program
@test "sqlite3 writes the same database" {
	need_subject sqlite
	unchanged_status 1 "$SUBJECTS_DIR/sqlite/run" sqlite3 -batch database '
		create table t (a integer primary key, b text, c blob); create index i on t (b);
		with recursive n(x) as (select 1 union all select x + 1 from n where x < 20000) insert into t select x, hex(x * x), zeroblob(x % 50) from n;
		begin; delete from t where a % 3 = 0; rollback; delete from t where a % 7 = 0; vacuum; pragma integrity_check;
		select count(*), sum(length(b)), max(b) from t; select b, count(*) over (order by a) from t limit 3;
		select json_group_array(a) from (select a from t limit 5); .dump t
		select * from nothing;'
	assert_counted sqlite3
}

# bats test_tags=program,scraped
@test "a living sqlite3 is scraped" {
	need_subject sqlite
	start_program sqlite3 "$SUBJECTS_DIR/sqlite/run" sqlite3 -batch
	scrape_program sqlite3
	echo 'create table t (a); with recursive n(x) as (select 1 union all select x + 1 from n where x < 999) insert into t select x from n; select sum(a) from t;' >&"$input"
	expect 499500
	scrape_program sqlite3
	assert_metric 'process_threads{program="sqlite3"}' -eq 1
	finish
	assert_equal "$status" 0
}
