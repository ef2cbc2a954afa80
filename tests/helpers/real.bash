# SPDX-License-Identifier: MIT
# Real programs without and with the shim, and pages of those that live. Suites of tests/real load
# it after common, and call real_setup.
#
# What a command does is its standard output, its standard error, its status, and the files that it
# leaves: names, kinds, modes, owners, targets of links, contents.
# shellcheck shell=bash disable=SC2154,SC2034

# Sets, for each test, where each program leaves its page and its port; both ways of running see
# the same settings, so that they differ in LD_PRELOAD alone.
real_setup() {
	export PROMSHIM_TEXTFILE="$BATS_TEST_TMPDIR/pages/%n"
	export HOME="$BATS_TEST_TMPDIR/home"
	mkdir pages ports home
}

# Runs a command in a fresh folder, a copy of ./given if there is one, at the same path each time,
# with objects in LD_PRELOAD. What it did stays in WAY.did: ./files, out, err, status, list.
run_once() {
	local way="$1" objects="$2" status=0
	local did="$BATS_TEST_TMPDIR/$way.did"
	shift 2
	rm -rf work "$did"
	mkdir "$did"
	if [[ -d given ]]; then
		cp -a given work
	else
		mkdir work
	fi
	# in a shell of its own, since a shell tells of the death of what it runs
	# shellcheck disable=SC2016 # for another shell to expand
	bare bash -c 'cd work && exec "${@:2}" >"$1/out" 2>"$1/err" </dev/null' bash "$did" \
		env ${objects:+LD_PRELOAD="$objects"} "$@" 2>/dev/null || status=$?
	printf '%d\n' "$status" >"$did/status"
	mv work "$did/files"
	((${#forget[@]} == 0)) || (cd "$did/files" && rm -rf -- "${forget[@]}")
	(cd "$did/files" && find . -printf '%P %y %m %U:%G %l\n' | LC_ALL=C sort) >"$did/list"
	if [[ -n "${filter-}" ]]; then
		local stream
		for stream in out err; do
			"$filter" <"$did/$stream" >"$did/filtered"
			mv "$did/filtered" "$did/$stream"
		done
	fi
}

# Ends the test unless two runs did the same.
compare() {
	local one="$BATS_TEST_TMPDIR/$1.did" other="$BATS_TEST_TMPDIR/$2.did"
	diff -r --no-dereference "$one" "$other" >differences 2>&1 \
		|| fail "$3: $(head -n 40 differences)"
}

# Runs a command without and with the shim, which must do the same: $status. These may be set:
#   ahead, behind   objects that stand before and behind ours in LD_PRELOAD, and without it too
#   filter          a function that takes out of output what differs between two bare runs
#   forget          files that differ between two bare runs
# Where something is taken out, what is left must agree between two bare runs first.
unchanged() {
	local -a forget=("${forget[@]}")
	local without="${ahead-}${ahead:+${behind:+:}}${behind-}"
	run_once bare "$without" "$@"
	if [[ -n "${filter-}" ]] || ((${#forget[@]} != 0)); then
		run_once again "$without" "$@"
		compare bare again "two bare runs differ: $*"
	fi
	rm -f pages/*
	run_once shim "${ahead:+$ahead:}$shim_so${behind:+:$behind}" "$@"
	compare bare shim "with the shim it does something else: $*"
	status="$(<shim.did/status)"
}

# As unchanged, and the status is the first argument, so that a test of a program that never ran
# cannot pass.
unchanged_status() {
	unchanged "${@:2}"
	assert_equal "$status" "$1"
}

# The named programs ran under the shim in the last comparison, and it counted them.
assert_counted() {
	local name
	for name in "$@"; do
		page="pages/$name"
		check_page "$page"
		assert_metric "promshim_malloc_allocations_total{program=\"$name\"}" -gt 0
		assert_metric promshim_uncounted_events_total -eq 0
	done
}

# As start for a command that becomes, or starts, the named program: the port is that one's.
start_program() {
	local name="$1"
	PROMSHIM_PORT_FILE="$BATS_TEST_TMPDIR/ports/%n" start_silent "${@:2}"
	port_of "$name"
}

# Waits until the named program serves: $port.
port_of() {
	wait_for_file "$BATS_TEST_TMPDIR/ports/$1"
	port="$(<"$BATS_TEST_TMPDIR/ports/$1")"
}

# Scrapes a living program: its page holds its name and counts, which must have grown since the
# last scrape of it if there was one.
scrape_program() {
	local name="$1" now
	scrape
	now="$(metric "promshim_malloc_allocations_total{program=\"$name\"}")"
	((now > ${allocations_before:-0})) || fail "$now allocations of $name, not above ${allocations_before:-0}"
	assert_metric "process_resident_memory_bytes{program=\"$name\"}" -gt 0
	assert_metric promshim_uncounted_events_total -eq 0
	allocations_before="$now"
}
