#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Chromium draws the same with and without us, within each of its sandboxes. What is sandboxed is
# to be as tight as before, and our threads would make it abort: it is counted and not served.
# bats file_tags=area:host

setup() {
	load ../helpers/common
	common_setup
	load ../helpers/servers
}

teardown() {
	common_teardown
}

# A page that draws, counts and writes.
page_to_draw() {
	cat <<-'EOF'
		<!doctype html><title>a page</title><body style="background:#def"><h1>a page</h1>
		<canvas id="canvas" width="300" height="200"></canvas><p id="numbers"></p><script>
		const canvas = document.getElementById('canvas').getContext('2d');
		for (let i = 0; i < 300; i++) {
		  canvas.fillStyle = `rgb(${i * 7 % 256},${i * 13 % 256},${i * 29 % 256})`;
		  canvas.fillRect(i, i % 200, 20, 20);
		}
		const text = [...Array(1000).keys()].map(n => n * n).join(' ');
		document.getElementById('numbers').textContent = text;
		</script>
	EOF
}

# Sets browser: the command, with a home and the switches that follow.
need_browser() {
	need_nobody
	browser=(env HOME="$PWD" XDG_CONFIG_HOME="$PWD" XDG_CACHE_HOME="$PWD" DBUS_SESSION_BUS_ADDRESS=disabled:
		DBUS_SYSTEM_BUS_ADDRESS=disabled: "${nobody[@]}" "${chromium:-$SUBJECTS_DIR/chromium/run}" chromium --headless
		--disable-gpu --user-data-dir="$PWD/user" "--window-size=600,400" "${switches[@]}")
}

# Draws a page to a file, then stays with another for as long as it is looked at.
browser_session() {
	need_browser
	page_to_draw >page.html
	give_to_nobody . page.html
	with_way "${browser[@]}" --screenshot="$PWD/page.png" "file://$PWD/page.html" >out.first 2>err.first
	rm -rf user
	serve "${browser[@]}" --remote-debugging-port=0 "file://$PWD/page.html"
	wait_for_file user/DevToolsActivePort
	read -r port <user/DevToolsActivePort
	devtools="http://127.0.0.1:$port/json"
	wait_until is_drawn 1
	look 2 chromium chrome_crashpad_handler
	under_load bash -c 'for n in {1..8}; do
		curl -q -s -S --noproxy "*" -X PUT "$1/new?$2" | grep -c webSocketDebuggerUrl; done' load "$devtools" "file://$PWD/page.html"
	wait_until is_drawn 9
	tightness | sort | uniq -c >tightness
	kill -TERM "$pid"
	ended
	# without times, and what it wants of a bus that is not there, as often as it has time for
	cut -d ']' -f 2- err.first err | grep -v 'DBus\|the bus\|^$\|DevTools listening' | sort -u >said
}

is_drawn() {
	(($(curl -q -s --noproxy '*' "$devtools/list" | grep -c '"title": "a page"') == $1))
}

# What a process may do, for each that came from the browser: its kind, its filters, whether it
# has namespaces of its own, and whether it has but one thread.
tightness() {
	python3 - "$pid" <<-'EOF'
		import os, re, sys
		status = {}
		for pid in filter(str.isdigit, os.listdir("/proc")):
		    try:
		        with open(f"/proc/{pid}/status") as file:
		            status[pid] = dict(re.findall(r"^(\w+):\t(.*)$", file.read(), re.M))
		    except (FileNotFoundError, ProcessLookupError):
		        pass
		family = {sys.argv[1]}
		while more := {p for p, s in status.items() if s["PPid"] in family} - family:
		    family |= more
		for pid in family:
		    s = status[pid]
		    with open(f"/proc/{pid}/cmdline") as file:
		        kind = re.findall(r"--type=([\w-]+)", file.read())[:1] or ["browser"]
		    own = [n for n in ("user", "pid", "net")
		        if os.readlink(f"/proc/{pid}/ns/{n}") != os.readlink(f"/proc/self/ns/{n}")]
		    print(*kind, s["Seccomp"], s["NoNewPrivs"], *own)
	EOF
}

# Both sessions with the switches; WHAT the tightness must have, as a pattern.
browser_test() {
	need_subject chromium
	same_sessions browser_session page.html user out out.first err err.first chromium dconf fontconfig '.*'
	run -0 file_type shim/page.png
	assert_output PNG
	assert_equal "$(grep -cE -- "$1" shim/tightness)" 1
}

file_type() {
	head -c 4 "$1" | tail -c 3
}

# bats test_tags=program,scraped
@test "chromium without its sandbox" {
	switches=(--no-sandbox)
	browser_test '^ +[0-9]+ renderer 0 1$'
}

# bats test_tags=program,scraped
@test "chromium in its sandbox of namespaces and filters" {
	switches=()
	browser_test '^ +[0-9]+ renderer 2 1 user pid net$'
}

# bats test_tags=program,scraped
@test "chromium in its setuid sandbox" {
	((EUID == 0)) || missing root
	need_subject chromium
	# a copy, so that no setuid program is left where programs are unpacked
	mkdir -p copy/usr/lib
	cp -a "$SUBJECTS_DIR/chromium/usr/lib/chromium" copy/usr/lib
	chmod 4755 copy/usr/lib/chromium/chrome-sandbox
	sed "s#program='[^']*'#program='$PWD/copy'#" "$SUBJECTS_DIR/chromium/run" >copy/run
	cp "$shim_so" copy
	chmod 755 copy/run
	shim_so="$PWD/copy/${shim_so##*/}" chromium="$PWD/copy/run" switches=(--disable-namespace-sandbox)
	browser_test '^ +[0-9]+ renderer 2 1 pid net$'
	rm -r copy
}
