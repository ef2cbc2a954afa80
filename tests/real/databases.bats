#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Databases answer, log, store and end the same with and without us, and are scraped under load.
# bats file_tags=area:host

setup() {
	load ../helpers/common
	common_setup
	load ../helpers/servers
}

teardown() {
	common_teardown
}

# Asks of PostgreSQL what needs sorts, hashes, parallel workers, compiled code and an error.
postgres_questions() {
	cat <<-'EOF'
		create table t as select n, md5(n::text) as h, repeat(md5(n::text), n % 50) as r from generate_series(1, 20000) n;
		create index on t (h);
		analyze t;
		select count(*), sum(length(r)), min(h), max(h) from t;
		select substr(h, 1, 1) as c, count(*) from t group by c order by c;
		select a.n from t a join t b on a.h = b.h where a.n % 4999 = 0 order by a.n;
		set max_parallel_workers_per_gather = 2; set min_parallel_table_scan_size = 0;
		set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
		explain (costs off) select count(*) from t where r like '%ab%';
		select count(*) from t where r like '%ab%';
		set jit = on; set jit_above_cost = 0; set jit_inline_above_cost = 0; set jit_optimize_above_cost = 0;
		select pg_jit_available() as compiled, count(*), sum(n * 2 + length(h)) from t where n % 3 >= 0;
		select 1 / 0;
		begin; delete from t where n > 10; savepoint s; insert into t values (0, 'x', 'y'); rollback;
		select count(*) from t;
		copy (select n, h from t order by h limit 5) to stdout;
	EOF
}

postgres_session() {
	local postgres="$SUBJECTS_DIR/postgresql/run"
	local -a psql=("$postgres" psql -X -q -h "$PWD" -U me -d postgres)
	local -a bench=("$postgres" pgbench -h "$PWD" -U me -n --random-seed=1 -c 4 -j 2)
	need_nobody
	postgres_questions >questions
	mkdir data
	give_to_nobody . data
	ask with_way "${nobody[@]}" "$postgres" initdb -D "$PWD/data" -U me -A trust -N --locale=C -E UTF8
	serve "${nobody[@]}" "$postgres" postgres -D "$PWD/data" -k "$PWD" -c listen_addresses= \
		-c fsync=off -c autovacuum=off -c log_line_prefix= -c log_checkpoints=off
	wait_until "${psql[@]}" -c 'select 1' >/dev/null 2>&1
	ask "${psql[@]}" -f questions
	look 1 postgres
	ask "${psql[@]}" -c 'select pg_terminate_backend(pg_backend_pid())'
	ask "$postgres" pgbench -h "$PWD" -U me -i -q -s 1 postgres
	under_load "${bench[@]}" -t 4000 postgres
	ask "${bench[@]}" -C -t 50 postgres # a fork for each transaction
	# a crash: the postmaster kills what is left, and recovers
	kill -KILL "$("${psql[@]}" -A -t -c "select pid from pg_stat_activity where backend_type = 'walwriter'")"
	wait_until "${psql[@]}" -c 'select 1' >/dev/null 2>&1
	ask "${psql[@]}" -c 'select sum(abalance), count(*) from pgbench_accounts' \
		-c 'select count(*), sum(delta) from pgbench_history'
	with_way "$postgres" pg_dump -h "$PWD" -U me -T 'pgbench_*' postgres | sed '/restrict /d' >dump
	kill -INT "$pid"
	ended
	# times and what hangs on them; who asked during the recovery
	sed -i -E '/^(latency|initial connection|average connection|tps|done in|.*\(elapsed )/d' answers
	sed -i -E 's/PID [0-9]+/PID/; s/at [0-9-]{10} .*/at/; /LOG:  (redo|invalid record|checkpoint)/d; /(FATAL: .*recovery|FATAL:  terminating|could not send data|FATAL: .*not yet accepting|FATAL: .*starting up|DETAIL: )/d' err
	find data -path data/pg_wal -prune -o -printf '%y %m %u %P\n' | sort >files
}

# bats test_tags=program,scraped
@test "PostgreSQL: initdb, queries, parallel workers, compiled code, pgbench, recovery" {
	need_subject postgresql
	same_sessions postgres_session data
	assert_ended 0 5
	assert_answered 'Success. You can now start the database server using:'
	assert_answered ' t +\| 20000 \| 400660000'
	assert_answered '.* ERROR:  division by zero'
	assert_answered 'number of transactions actually processed: 16000/16000'
	assert_answered 'number of transactions actually processed: 200/200'
	assert_answered ' +16200 \| +[0-9-]+'
	run -0 grep -c . shim/dump
	assert_output --regexp '^20...$'
}

# Asks of MariaDB what needs three storage engines, sorts, stored code, a rollback and an error.
mariadb_questions() {
	cat <<-'EOF'
		create database d; use d;
		create table i (n int primary key, h char(32), key (h)) engine=innodb;
		insert into i select seq, md5(seq) from seq_1_to_20000;
		create table m engine=myisam as select n, h, repeat(h, n % 20) as r from i;
		create table a engine=aria as select * from m where n % 2 = 0;
		select count(*), min(h), max(h) from i;
		select left(h, 1) as c, count(*), sum(length(r)) from m group by c order by c;
		select count(*) from m join a on reverse(m.h) = reverse(a.h) where m.n < 999 and a.n < 999;
		select json_arrayagg(n) from i where n < 10;
		begin; delete from i where n > 5; select count(*) from i; rollback; select count(*) from i;
		create function f(x int) returns int deterministic return if(x < 2, x, x * x);
		select sum(f(n)) from i;
		select h regexp '^a.*9$' as r, count(*) from i group by r;
		check table i, m, a;
		select * from nowhere;
	EOF
}

mariadb_session() {
	local mariadb="$SUBJECTS_DIR/mariadb/run"
	local -a basics=(--no-defaults --basedir="$SUBJECTS_DIR/mariadb/usr" --datadir="$PWD/data"
		--lc-messages-dir="$SUBJECTS_DIR/mariadb/usr/share/mysql" --innodb-log-file-size=8M
		--innodb-buffer-pool-size=32M --innodb-flush-method=nosync --innodb-flush-log-at-trx-commit=0
		--innodb-buffer-pool-dump-at-shutdown=0 --innodb-buffer-pool-load-at-startup=0)
	local -a client=("$mariadb" mariadb --no-defaults -S "$PWD/socket" -u root)
	need_nobody
	mariadb_questions >questions
	mkdir data
	give_to_nobody . data
	ask with_way "${nobody[@]}" "$mariadb" mariadb-install-db "${basics[@]}" --skip-test-db \
		--auth-root-authentication-method=normal
	serve "${nobody[@]}" "$mariadb" mariadbd "${basics[@]}" --skip-networking --socket="$PWD/socket" \
		--pid-file="$PWD/pid"
	wait_until "${client[@]}" -e 'select 1' >/dev/null 2>&1
	ask "${client[@]}" -f -e 'source questions'
	look 1 mariadbd
	under_load "$mariadb" mariadb-slap --no-defaults -S "$PWD/socket" -u root --concurrency=8 \
		--iterations=1 --number-of-queries=8000 --auto-generate-sql --auto-generate-sql-load-type=mixed
	ask "${client[@]}" d -e 'checksum table i, m, a'
	with_way "$mariadb" mariadb-dump --no-defaults -S "$PWD/socket" -u root --skip-dump-date d >dump
	kill -TERM "$pid"
	ended
	# times and what hangs on them; threads that start it write at once
	sed -i '/seconds to run/d' answers
	sed -E 's/^[0-9-]+ +[0-9:]+ //; s/completed at .*/completed/; s/(sequence number|LSN=|as process|transaction id|buffer_pool_size_max=) *[0-9]+/\1/g' err \
		| sort >err.sorted
	mv err.sorted err
	find data -printf '%y %m %u %P\n' | sort >files
}

# bats test_tags=program,scraped
@test "MariaDB: mariadb-install-db, queries, mariadb-slap, mariadb-dump" {
	need_subject mariadb
	same_sessions mariadb_session data
	assert_ended 0 1
	assert_answered $'20000\t00003e3b9e5336685200ae85d21b4f5e\tfffb8ef15de06d87e6ba6c830f3b6284'
	assert_answered 'ERROR 1146 .*'
	assert_answered $'\tAverage number of queries per client: 1000'
	assert_answered $'d\.a\t2879862834'
	run -0 grep -c . shim/dump
	assert_output --regexp '^50...$'
}
