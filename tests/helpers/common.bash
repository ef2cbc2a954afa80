# SPDX-License-Identifier: MIT
# Loaded by every bats file: `setup() { load helpers/common; common_setup; }`.
#
# Targets run under LD_PRELOAD alone: bats, curl and promtool are never preloaded. Ports are
# always free ones, told by PROMSHIM_PORT_FILE. Every page that a helper fetches goes through
# check_page. Descriptors above 2 are closed for targets: bats waits for whoever holds its own.
# shellcheck shell=bash disable=SC2154,SC2034

bats_require_minimum_version 1.8.0

# Sets, for each test:
#   shim_so    the preload object        promshim   the command
#   targets    folder of the targets     page       where scraped pages and text files go
common_setup() {
	local name
	# as bats_load_library does it, but for the thirty processes that this starts in each test
	for name in "$BATS_LIB_PATH"/bats-{support,assert}/src/*.bash; do
		# shellcheck disable=SC1090
		source "$name"
	done
	: "${PROMSHIM_SO:?the preload object}" "${PROMSHIM:?the command}" "${TARGETS:?their folder}"
	shim_so="$PROMSHIM_SO"
	promshim="$PROMSHIM"
	targets="$TARGETS"
	must_run="${PROMSHIM_TESTS_MUST_RUN-}"
	page="$BATS_TEST_TMPDIR/page"
	started=()
	# Settings of the tester would be settings of every target.
	for name in "${!PROMSHIM_@}"; do
		unset "$name"
	done
	unset LD_PRELOAD LD_LIBRARY_PATH # meson sets the latter for what the suite depends on
	export PROMSHIM_PORT=0 LC_ALL=C
	export SUBJECTS_DIR="${SUBJECTS_DIR:-$SOURCE_ROOT/build/subjects}"
	cd "$BATS_TEST_TMPDIR" || return 1
}

# Ends what start left running: by the recorded pid, with all that came from it.
common_teardown() {
	local pid
	for pid in "${started[@]}"; do
		kill -KILL -- "-$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	started=()
	[[ -z "${holder-}" ]] || release_port
	[[ -z "${public-}" ]] || leave_public
}

# For hosts that become another user: the folder of the clone, or what bats keeps, may be one
# that only its owner can enter. Copies the object and the named targets to where everybody may
# read them, and goes there; everybody may write there too: $public.
go_public() {
	local name
	public="$(mktemp -d /tmp/promshim-public.XXXXXX)"
	install -m 755 "$shim_so" "$public"
	for name; do
		install -m 755 "$targets/$name" "$public"
	done
	chmod 777 "$public"
	shim_so="$public/${shim_so##*/}"
	targets="$public"
	cd "$public" || return 1
}

leave_public() {
	cd "$BATS_TEST_TMPDIR" || return 1
	rm -rf "$public"
	public=
}

# Removes what libfaketime leaves of processes that were killed or have executed another program.
forget_faketime() {
	local file
	for file in /dev/shm/faketime_shm_* /dev/shm/sem.faketime_sem_*; do
		[[ ! -e "$file" || -d "/proc/${file##*_}" ]] || rm -f "$file"
	done
}

# Ends the test because something is missing: a failure where nothing may be.
missing() {
	[[ -z "$must_run" ]] || fail "missing: $*"
	skip "missing: $*"
}

# Ends the test because this machine's kernel does not have something that no package brings: a
# skip everywhere, as such a machine cannot be made fit.
kernel_lacks() {
	skip "not in this kernel: $*"
}

# Makes the named subjects (scripts/subjects) ready; for a library, $subject is its path.
need_subject() {
	local printed
	printed="$("$SOURCE_ROOT/scripts/subjects" "$@" 2>"$BATS_TEST_TMPDIR/subjects.err" 3>&-)" \
		|| missing "subject $*: $(<"$BATS_TEST_TMPDIR/subjects.err")"
	subject="$(cut -f 2 <<<"$printed" | tail -n 1)"
}

# Runs a command alone. What hangs ends after some time that is longer than any test takes; by
# KILL, as a host that hangs may well block SIGTERM.
bare() {
	timeout --signal=KILL "$((5 * TESTS_PATIENCE))" env -u LD_LIBRARY_PATH "$@" 3>&- 4>&- 10>&-
}

# Runs a command, and nothing but it, under the shim. ${ahead} and ${behind} are objects that
# stand before and behind ours in LD_PRELOAD.
preload() {
	bare LD_PRELOAD="${ahead:+$ahead:}$shim_so${behind:+:$behind}" "$@"
}

# Runs a command under the shim in mode count: $page is what it left at exit, checked.
# Returns the command's status.
count() {
	local status=0
	rm -f "$page"
	PROMSHIM_MODE=count PROMSHIM_TEXTFILE="$page" preload "$@" || status=$?
	if [[ ! -s "$page" ]]; then
		printf 'status %d, and no page was left by: %s\n' "$status" "$*" >&2
		return 97
	fi
	check_page "$page" || return 98
	return "$status"
}

# Holds a port that nobody else gets until release_port or teardown: $held.
hold_port() {
	python3 -c '
import signal, socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
open(sys.argv[1], "w").write(str(s.getsockname()[1]))
signal.pause()' "$BATS_TEST_TMPDIR/held" 3>&- &
	holder=$!
	wait_for_file "$BATS_TEST_TMPDIR/held"
	held="$(<"$BATS_TEST_TMPDIR/held")"
}

release_port() {
	kill "$holder" 2>/dev/null || true
	wait "$holder" 2>/dev/null || true
	holder=
}

# Starts a command under the shim in the background and waits until it serves:
#   pid    of the command itself      port   that it serves
#   input  its standard input         out, err   files of its output
start() {
	start_silent "$@"
	wait_for_file "$port_file"
	port="$(<"$port_file")"
}

# As start for a host that may never serve.
start_silent() {
	local number="${#started[@]}" runner
	port_file="$BATS_TEST_TMPDIR/port.$number"
	out="$BATS_TEST_TMPDIR/out.$number"
	err="$BATS_TEST_TMPDIR/err.$number"
	mkfifo "$BATS_TEST_TMPDIR/input.$number"
	PROMSHIM_PORT_FILE="${PROMSHIM_PORT_FILE-$port_file}" preload "$@" \
		<"$BATS_TEST_TMPDIR/input.$number" >"$out" 2>"$err" &
	runner=$!
	exec {input}>"$BATS_TEST_TMPDIR/input.$number"
	wait_until has_child "$runner"
	# The function runs in a shell, that runs timeout, that runs the command: the group of
	# processes that teardown ends is timeout's.
	waiter="$runner"
	runner="$(children "$runner")"
	started+=("$runner")
	wait_until has_child "$runner"
	pid="$(children "$runner")"
}

# Prints the children of a process.
children() {
	local listed=""
	{ read -r listed <"/proc/$1/task/$1/children"; } 2>/dev/null || true
	printf '%s' "${listed%% *}"
}

has_child() {
	[[ -n "$(children "$1")" ]]
}

# Lets the last started command go on: one line on its standard input.
go_on() {
	printf 'go\n' >&"$input"
}

# Waits until the last started command has printed a line.
expect() {
	wait_until grep -qxF -- "$1" "$out"
}

# Closes the last started command's input and waits for its end: $status.
finish() {
	status=0
	exec {input}>&-
	wait "$waiter" || status=$?
}

# Waits until a command succeeds, or fails the test once the patience of all tests
# (tests/helpers/patience) is at its end; by polling, as what tests wait for are files.
wait_until() {
	local deadline=$((SECONDS + TESTS_PATIENCE)) never
	! "$@" || return 0
	exec {never}<> <(:) # what nothing is ever read from
	until "$@"; do
		((SECONDS < deadline)) || die "waited in vain: $*${err:+; stderr: $(cat "$err")}"
		read -r -t 0.02 -u "$never" || true
	done
	exec {never}>&-
}

wait_for_file() {
	wait_until test -s "$1"
}

# As fail, also in a condition and in what wait_until tries again: bats goes on there.
die() {
	fail "$@" || exit 1
}

# Fetches a path of the started host ($port) into $page and checks it.
scrape() {
	fetch "http://127.0.0.1:${1:-$port}/metrics" || die "no page from port ${1:-$port}"
	check_page "$page" || die "the page is not well-formed"
}

# Tells whether the started host answers.
is_served() {
	fetch "http://127.0.0.1:$port/metrics" 2>/dev/null
}

# Tells whether its page has what the allocator holds.
shows_allocator() {
	is_served && grep -q '^promshim_allocator_heap_bytes' "$page"
}

# The same of a UNIX socket, whose file is there before anybody listens.
is_served_on() {
	fetch --unix-socket "$1" "http://localhost/metrics" 2>/dev/null
}

# As scrape over a UNIX socket.
scrape_socket() {
	fetch --unix-socket "$1" "http://localhost/metrics" || die "no page from $1"
	check_page "$page" || die "the page is not well-formed"
}

# curl with everything that a user's environment could change switched off.
fetch() {
	curl -q --silent --show-error --fail --noproxy '*' --max-time "$TESTS_PATIENCE" --output "$page" "$@" 3>&-
}

# Holds a page against our checker and, where it is, promtool.
check_page() {
	local promtool="$SUBJECTS_DIR/prometheus/usr/bin/promtool"
	"$SOURCE_ROOT/tests/helpers/check-page" "$1" >&2 || return 1
	if [[ -x "$promtool" ]]; then
		"$promtool" check metrics <"$1" >&2 || return 1
	fi
}

# Prints the value of a series of $page: metric NAME or metric 'NAME{label="value",...}'; labels
# that are not named may have any value, but one series only may match.
metric() {
	"$SOURCE_ROOT/tests/helpers/page-value" "$page" "$1"
}

# Reads the counters of $page into an associative array: totals NAME.
totals() {
	local -n into="$1"
	local -a values=()
	mapfile -t values < <("$SOURCE_ROOT/tests/helpers/page-value" "$page" \
		promshim_malloc_{allocations,frees,allocated_bytes,freed_bytes}_total \
		promshim_malloc_request_size_bytes_{sum,count} \
		promshim_malloc_{reallocations,reallocations_moved,failures}_total \
		promshim_malloc_live_{bytes,blocks} \
		promshim_thread_{starts,ends,start_failures}_total promshim_uncounted_events_total)
	((${#values[@]} == 15)) || fail "not every counter is on the page"
	into=([allocations]="${values[0]}" [frees]="${values[1]}" [allocated]="${values[2]}"
		[freed]="${values[3]}" [requested]="${values[4]}" [requests]="${values[5]}"
		[reallocations]="${values[6]}" [moved]="${values[7]}" [failures]="${values[8]}"
		[live_bytes]="${values[9]}" [live_blocks]="${values[10]}" [starts]="${values[11]}"
		[ends]="${values[12]}" [start_failures]="${values[13]}" [uncounted]="${values[14]}")
}

# assert_metric 'NAME{...}' -eq|-ne|-lt|-le|-gt|-ge NUMBER
assert_metric() {
	local value
	value="$(metric "$1")" || fail "no value of $1"
	awk -v a="$value" -v op="$2" -v b="$3" 'BEGIN {
		if (op == "-eq") r = a == b
		if (op == "-ne") r = a != b
		if (op == "-lt") r = a < b
		if (op == "-le") r = a <= b
		if (op == "-gt") r = a > b
		if (op == "-ge") r = a >= b
		exit !r
	}' || fail "$1 is $value, expected $2 $3"
}

# No series of this name is on the page.
refute_metric() {
	run grep -E "^$1(\{| )" "$page"
	assert_failure
}

# What a shell says of a command's death must not be taken for the command's own words.
# shellcheck disable=SC2016 # for another shell to expand
redirected='exec "${@:2}" >"$1.out" 2>"$1.err"'

# Runs a command without and with the shim: status, standard output and standard error must be
# the same to the byte. Leaves them in bare.out, bare.err, and $status.
assert_unchanged() {
	local bare_status=0 shim_status=0
	bare bash -c "$redirected" bash bare "$@" </dev/null 2>/dev/null || bare_status=$?
	bare bash -c "$redirected" bash shim env LD_PRELOAD="$shim_so" "$@" </dev/null 2>/dev/null \
		|| shim_status=$?
	assert_equal "$shim_status" "$bare_status"
	cmp bare.out shim.out || fail "standard output differs: $*"
	cmp bare.err shim.err || fail "standard error differs: $(cat shim.err)"
	status=$bare_status
}
