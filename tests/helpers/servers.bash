# SPDX-License-Identifier: MIT
# For suites of servers: the same session twice, without and with us, and scraped while it lives.
#
# A session is a function. It starts a server by serve, asks it by ask, has it scraped by look
# and under_load, ends it in its own way, and calls ended. It runs in a folder called session
# both times, so that paths in answers and logs are the same.
# shellcheck shell=bash disable=SC2154,SC2034

# Runs a session both ways. What it left in its folder must be the same, but for files whose name
# matches one of the patterns that follow.
same_sessions() {
	local session="$1" pattern
	shift
	test_folder="$PWD"
	ports="$PWD/ports"
	pages="$PWD/pages"
	mkdir "$ports"
	chmod 1777 "$ports" # workers write there as whoever they become
	open_way
	for way in bare shim; do
		mkdir session
		cd session || return 1
		"$session"
		cd "$test_folder" || return 1
		find session -type s -delete
		for pattern; do
			find session -depth -name "$pattern" -exec rm -rf {} +
		done
		mv session "$way"
	done
	diff -r bare shim >differences || fail "the sessions differ: $(head -n 40 differences)"
}

# Lets users without rights come to the test's folder; they cannot list what lies above it.
open_way() {
	local folder="$PWD"
	while [[ -O "$folder" && "$folder" != / ]]; do
		chmod a+x "$folder" 2>/dev/null || true
		folder="$(dirname "$folder")"
	done
}

# Sets nobody: what runs a command as a user without rights, if we are root. It may read what we
# may: the unpacked programs can lie below a folder that is ours alone.
need_nobody() {
	nobody=()
	((EUID != 0)) || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups
		--inh-caps=+dac_read_search --ambient-caps=+dac_read_search)
}

# For folders that such a user fills.
give_to_nobody() {
	((EUID != 0)) || chown 65534:65534 "$@"
}

# A loopback address that no other test has, so that ports on it are free.
own_address() {
	printf '127.%d.%d.%d' $((64 + (BASHPID >> 16) % 64)) $((BASHPID >> 8 & 255)) $((BASHPID & 255))
}

# Runs a program in the foreground as serve does in the background.
with_way() {
	local object=""
	[[ "$way" == bare ]] || object="$shim_so"
	SUBJECT_PRELOAD="$object" PROMSHIM_PORT_FILE="$ports/%p" \
		timeout --signal=KILL "$((5 * TESTS_PATIENCE))" "$@" </dev/null 3>&- 4>&- 10>&-
}

# Starts a server by the subject's run: its output goes to out and err.
serve() {
	local object=""
	[[ "$way" == bare ]] || object="$shim_so"
	SUBJECT_PRELOAD="$object" PROMSHIM_PORT_FILE="$ports/%p" \
		timeout --signal=KILL "$((5 * TESTS_PATIENCE))" "$@" >out 2>err </dev/null 3>&- 4>&- 10>&- &
	runner=$!
	err="$PWD/err" # wait_until shows it
	started+=("$runner")
	wait_until has_child "$runner"
	pid="$(children "$runner")"
}

# Appends to answers what a command prints, and its status. Its input is the caller's.
ask() {
	local got=0
	"$@" >>answers 2>&1 || got=$?
	printf 'status %d\n' "$got" >>answers
}

# Tells whether a log has so many lines with a pattern: has_lines COUNT PATTERN FILE.
has_lines() {
	(($(grep -c -- "$2" "$3" 2>/dev/null) >= $1))
}

# Scrapes each process of the server: at least so many, with one of the names that follow.
look() {
	[[ "$way" == shim ]] || return 0
	local one
	rm -rf "$pages"
	"$SOURCE_ROOT/tests/helpers/scrapes" look "$ports" "$pages" "$@"
	for one in "$pages"/*; do
		check_page "$one" || fail "the page of process ${one##*/} is not well-formed"
	done
}

# Runs a command that loads the server, with scrapes of each process every 100 ms.
under_load() {
	if [[ "$way" == shim ]]; then
		ask "$SOURCE_ROOT/tests/helpers/scrapes" during "$ports" "$pages" "$@"
	else
		ask "$@"
	fi
}

# Waits for the end of the server; its exit status is among what is compared.
ended() {
	local got=0
	wait "$runner" || got=$?
	printf '%d\n' "$got" >status
}

# Both sessions have an answer, a line that matches an extended regular expression as a whole:
# that two sessions failed alike is no success.
assert_answered() {
	grep -qxE -- "$1" shim/answers || fail "nobody answered '$1', but: $(tail -n 20 shim/answers)"
}

# The server ended with this status, and so many processes at least were scraped under load.
assert_ended() {
	assert_equal "$(<shim/status)" "$1"
	local scraped
	read -r scraped _ <pages/summary
	((scraped >= $2)) || fail "wanted $2 processes: $(<pages/summary)"
}
