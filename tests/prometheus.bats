#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# End to end: a real Prometheus scrapes a real server, and a query returns what the page shows.
# bats file_tags=area:serve

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
	# Prometheus cannot tell which port it got: one that was free a moment ago is asked for
	api="127.0.0.1:$(python3 -c '
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')"
	timeout --signal=KILL 90 "$SUBJECTS_DIR/prometheus/run" prometheus --config.file=prometheus.yml \
		--storage.tsdb.path="$PWD/data" --web.listen-address="$api" --log.level=warn \
		>prometheus.out 2>&1 </dev/null 3>&- &
	prometheus=$!
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
	local name
	# shellcheck disable=SC1091 # written by scripts/subjects
	source "$SUBJECTS_DIR/redis/env"
	limit=90 start env LD_LIBRARY_PATH="$LD_LIBRARY_PATH" \
		"$SUBJECTS_DIR/redis/usr/bin/redis-server" --port 0 --unixsocket "$PWD/redis" --save ''
	wait_until test -S redis
	start_prometheus
	wait_until query_is 'up{job="shim"}' 1
	seq 5000 | sed 's/.*/set key:& value-&/' \
		| "$SUBJECTS_DIR/redis/run" redis-cli -s redis --pipe >answers
	# a quiet server: what the page shows now is what the next scrape will show
	for name in promshim_thread_starts_total promshim_malloc_reallocations_moved_total \
		'promshim_malloc_request_size_bytes_bucket{le="64.0"}' process_max_fds; do
		wait_until query_is_page "$name"
	done
	wait_until query_is 'count(count by (__name__) ({job="shim", __name__=~"promshim_.*"})) > bool 25' 1
	run -0 query 'scrape_samples_scraped{job="shim"}'
	assert_equal "$output" "$(grep -vc '^#' "$page")"
}

# The value of a series on the page, which moves, is what a query returns a scrape later.
query_is_page() {
	scrape
	query_is "$1" "$(printf '%.17g' "$(metric "$1")")"
}

@test "PromQL of live memory by program has an answer" {
	start "$targets/threads" held 5
	expect "all there"
	start_prometheus
	wait_until query_is 'sum by (program) (promshim_threads)' 5
	wait_until query_is 'promshim_malloc_live_bytes{program="threads"} > bool 0' 1
	wait_until query_is 'promshim_malloc_allocated_bytes_total - promshim_malloc_freed_bytes_total == bool promshim_malloc_live_bytes' 1
}
