#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/soak itself: a few seconds of it pass, and what it looks for it finds.
# bats file_tags=area:host,slow

setup() {
	load helpers/common
	common_setup
	load helpers/servers
	unset PROMSHIM_PORT
	open_way # nginx's workers are somebody else
}

teardown() {
	common_teardown
}

# What scripts/soak runs, on what is built already, for as much work as some seconds have on an idle
# machine: soak SECONDS PROGRAM...
soak() {
	local minutes
	minutes="$(awk -v seconds="$1" 'BEGIN { print seconds / 60 }')"
	mkdir scratch
	chmod a+x scratch
	python3 -B "$SOURCE_ROOT/tests/helpers/soak" --work --minutes "$minutes" --scratch "$PWD/scratch" --seed 1 \
		--shim "$shim_so" --targets "$targets" --bench "$targets/../bench" \
		--subjects "$SUBJECTS_DIR" "${@:2}" 3>&-
}

# Prints a cell of the table in $output: cell HOST COLUMN.
cell() {
	awk -v host="$1" -v name="$2" -F '  +' '
		$1 == "host" { for (i = 1; i <= NF; i++) if ($i == name) column = i }
		$1 == host { gsub(",", "", $column); print $column }' <<<"$output"
}

# A host that serves its own pages: fake NAME WHAT-IT-DOES-WITH-EACH-PAGE, in Python.
fake() {
	cat >"$1" <<-EOF
		#!/usr/bin/env python3
		import http.server, os, signal, time
		count = 0

		def grown():
		    path = os.path.abspath(__file__) + ".pages"
		    with open(path, "r+") as file:
		        pages = int(file.read()) + 1
		        file.seek(0)
		        file.write(str(pages))
		    return pages ** 2 * 4096

		class Page(http.server.BaseHTTPRequestHandler):
		    protocol_version = "HTTP/1.1"
		    def log_message(self, *_): pass
		    def do_GET(self):
		        global count
		        count += 1
		        events = count
		        $2
		        text = "".join(f"# TYPE {n} counter\n{n}{{program=\"fake\"}} {v}\n" for n, v in (
		            ("promshim_malloc_allocations_total", events), ("promshim_exporter_messages_total", 0)))
		        self.send_response(200)
		        self.send_header("Content-Length", str(len(text)))
		        self.end_headers()
		        self.wfile.write(text.encode())

		server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
		path = os.environ["PROMSHIM_PORT_FILE"].replace("%p", str(os.getpid()))
		with open(path + ".new", "w") as file:
		    file.write(str(server.server_port))
		os.rename(path + ".new", path)
		server.serve_forever()
	EOF
	chmod +x "$1"
}

# bats test_tags=soak
@test "a soak of a few seconds passes, kills, restarts and counts" {
	local host
	need_subject redis
	need_subject nginx
	run soak 10 redis nginx python3 storm
	assert_success
	for host in redis nginx python3 storm; do
		(("$(cell "$host" processes)" > 1)) || fail "$host was not started again: $output"
		(("$(cell "$host" killed)" >= 3)) || fail "$host was not killed: $output"
		(("$(cell "$host" events)" > 1000)) || fail "$host counted nothing: $output"
		(("$(cell "$host" scrapes)" > 20)) || fail "$host was not scraped: $output"
	done
	assert_line --regexp '^soak: 0\.1[0-9]* minutes, [0-9]+ scrapes, 0 lost, 0 counters fallen$'
}

# bats test_tags=soak
@test "a soak finds counters that fall, answers that are lost, and deaths" {
	fake steady ''
	fake falls 'events = 50 - count if count > 5 else count'
	fake mute 'if count % 3 == 0: self.close_connection = True; return'
	fake wrong 'if count % 3 == 0: self.send_error(503); return'
	fake dies 'if count == 5: os.kill(os.getpid(), signal.SIGSEGV)'
	# by the pages that it and those before it have served: what is killed and started again goes on growing
	fake grows 'globals()["kept"] = b"x" * grown()'
	printf 0 >grows.pages
	PROMSHIM_MODE=off run -1 soak 20 ./steady ./falls ./mute ./wrong ./dies ./grows
	assert_line --regexp '^FAILED  falls: [0-9]+ counters fallen$'
	assert_line --regexp '^ +falls: promshim_malloc_allocations_total\{program="fake"\} of process [0-9]+ fell from [0-9]+ to [0-9.]+$'
	assert_line --regexp '^FAILED  mute: [0-9]+ scrapes lost$'
	assert_line --regexp '^FAILED  wrong: [0-9]+ scrapes lost$'
	assert_line --regexp '^FAILED  dies: died [0-9]+ times by itself$'
	assert_line --regexp '^FAILED  grows: RSS grew: '
	refute_line --partial 'FAILED  steady'
	assert_equal "$(cell steady lost) $(cell steady fallen) $(cell steady died)" '0 0 0'
	assert_equal "$(cell falls lost) $(cell falls died)" '0 0'
	(("$(cell dies died)" > 0 && "$(cell mute lost)" > 0)) || fail "$output"
}

@test "scripts/soak refuses what it does not know, before it starts anything" {
	run -0 "$SOURCE_ROOT/scripts/soak" --help
	assert_line --partial 'usage: scripts/soak'
	run -2 "$SOURCE_ROOT/scripts/soak"
	run -2 "$SOURCE_ROOT/scripts/soak" five
	run -2 "$SOURCE_ROOT/scripts/soak" --seed
	run -1 soak 1 neither-ours-nor-a-path
	assert_output --partial 'neither-ours-nor-a-path'
}

@test "a soak that is stopped leaves no process and no file" {
	need_subject redis
	local soaker status=0
	mkdir scratch
	python3 -B "$SOURCE_ROOT/tests/helpers/soak" --minutes 5 --scratch "$PWD/scratch" \
		--shim "$shim_so" --targets "$targets" --bench "$targets/../bench" --subjects "$SUBJECTS_DIR" \
		redis storm >out 2>&1 3>&- &
	soaker=$!
	started+=("$soaker")
	wait_until is_anything_scraped
	kill -TERM "$soaker"
	wait "$soaker" || status=$?
	assert_equal "$status" 143
	run grep -slz "$PWD/scratch" /proc/[0-9]*/environ
	assert_output ""
}

# Port files are there, and gone again only when their process is.
is_anything_scraped() {
	compgen -G 'scratch/redis.ports/*' >/dev/null && compgen -G 'scratch/storm.ports/*' >/dev/null
}
