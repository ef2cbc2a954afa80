#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# End to end: a real Prometheus scrapes a real server, and a query returns what the page shows.
# slow: when Prometheus scrapes, and how long it waits for an answer, is by timers of its own.
# bats file_tags=area:serve,slow

setup() {
	load helpers/common
	common_setup
	need_subject prometheus redis
}

teardown() {
	common_teardown
	[[ -z "${prometheus-}" ]] || kill -KILL -- "-$prometheus" 2>/dev/null || true
}

# Starts Prometheus on a port of its own that scrapes $port each second; $api is its address.
start_prometheus() {
	cat >prometheus.yml <<-EOF
		global: {scrape_interval: 1s}
		scrape_configs:
		  - job_name: shim
		    static_configs: [{targets: ['127.0.0.1:$port']}]
	EOF
	"$SUBJECTS_DIR/prometheus/usr/bin/promtool" check config prometheus.yml
	timeout --signal=KILL "$((5 * TESTS_PATIENCE))" "$SUBJECTS_DIR/prometheus/run" prometheus \
		--config.file=prometheus.yml --storage.tsdb.path="$PWD/data" \
		--web.listen-address=127.0.0.1:0 >prometheus.out 2>&1 </dev/null 3>&- 4>&- 10>&- &
	prometheus=$!
	err="$PWD/prometheus.out" # wait_until shows it
	# it logs the port that it got
	wait_until grep -q 'msg="Listening on"' prometheus.out
	api="$(sed -n 's/.*msg="Listening on" address=\([0-9.:]*\).*/\1/p' prometheus.out)"
	wait_until curl -q -s -f --noproxy '*' -o ready "http://$api/-/ready"
}

# Prints the value that a PromQL expression has now; fails while it has none.
query() {
	curl -q -s -f --noproxy '*' "http://$api/api/v1/query" --data-urlencode "query=$1" \
		| jq -e -r '.data.result[0].value[1]'
}

query_is() {
	[[ "$(query "$1" 2>/dev/null)" == "$2" ]]
}

@test "a query returns what the page of a redis-server shows" {
	# shellcheck disable=SC1091 # written by scripts/subjects
	source "$SUBJECTS_DIR/redis/env"
	start env LD_LIBRARY_PATH="$LD_LIBRARY_PATH" \
		"$SUBJECTS_DIR/redis/usr/bin/redis-server" --port 0 --unixsocket "$PWD/redis" --save ''
	expect_redis() {
		"$SUBJECTS_DIR/redis/run" redis-cli -s redis ping 2>/dev/null | grep -q PONG
	}
	wait_until expect_redis # its socket is there before it listens
	start_prometheus
	wait_until query_is 'up{job="shim"}' 1
	seq 5000 | sed 's/.*/set key:& value-&/' \
		| "$SUBJECTS_DIR/redis/run" redis-cli -s redis --pipe >answers
	assert_queries_are_page promshim_thread_starts_total promshim_malloc_reallocations_moved_total \
		'promshim_malloc_request_size_bytes_bucket{le="64.0"}' process_max_fds
	wait_until query_is 'count(count by (__name__) ({job="shim", __name__=~"promshim_.*"})) > bool 25' 1
	wait_until samples_are_page
}

# All samples of the page were taken: some come a second after the first scrape.
samples_are_page() {
	scrape
	query_is 'scrape_samples_scraped{job="shim"}' "$(grep -vc '^#' "$page")"
}

# What queries return was on the page when Prometheus looked: a counter, which even an idle server
# moves, lies between two pages that were read before and after; where they agree it is the same.
assert_queries_are_page() {
	local name value
	local -A before=() asked=()
	scrape
	for name; do
		before[$name]="$(metric "$name")"
	done
	# Its clock counts milliseconds, and Prometheus moves a time by 2 of them to even them out. Of a
	# selector alone: the timestamp of a comparison is that of the query.
	wait_until query_is "timestamp(up{job=\"shim\"}) > bool ($EPOCHREALTIME + 0.01)" 1
	for name; do
		wait_until has_answer "$name"
		asked[$name]="$value"
	done
	scrape
	for name; do
		value="$(metric "$name")"
		awk -v a="${before[$name]}" -v b="${asked[$name]}" -v c="$value" \
			'BEGIN { exit !(a <= b && b <= c) }' \
			|| fail "$name was ${before[$name]}, is $value, and a query says ${asked[$name]}"
	done
}

# Whether a query returns something: $value.
has_answer() {
	value="$(query "$1" 2>/dev/null)"
}

@test "PromQL of live memory by program has an answer" {
	start "$targets/threads" held 5
	expect "all there"
	start_prometheus
	wait_until query_is 'sum by (program) (promshim_threads)' 5
	wait_until query_is 'promshim_malloc_live_bytes{program="threads"} > bool 0' 1
	wait_until query_is 'promshim_malloc_allocated_bytes_total - promshim_malloc_freed_bytes_total == bool promshim_malloc_live_bytes' 1
}
