#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that hold sessions for others: tmux and openssh do the same with and without us.
# bats file_tags=area:host

setup() {
	load ../helpers/common
	common_setup
	load ../helpers/real
	real_setup
}

teardown() {
	[[ -z "${tmux_folder-}" ]] || TMUX_TMPDIR="$tmux_folder" "$SUBJECTS_DIR/tmux/run" tmux kill-server 2>/dev/null || true
	common_teardown
}

# Works in a tmux with two windows and prints what they show; $1 is the object to preload.
tmux_session() {
	local object="$1" n
	export TMUX_TMPDIR="$BATS_TEST_TMPDIR/tmux.${object:+shim}" TERM=screen
	mkdir "$TMUX_TMPDIR"
	tmux_folder="$TMUX_TMPDIR"
	local -a tmux=(bare PROMSHIM_PORT_FILE="$BATS_TEST_TMPDIR/ports/%n.%p" ${object:+LD_PRELOAD="$object"}
		"$SUBJECTS_DIR/tmux/run" tmux -f /dev/null)
	# the server takes the name of a command: it must have been the first one, and it lives on
	"${tmux[@]}" new-session -d -s first -n first -x 80 -y 24 'PS1="> " exec sh'
	"${tmux[@]}" new-window -d -t first: -n second 'PS1="> " exec bash --norc --noprofile'
	for n in 0 1; do
		"${tmux[@]}" send-keys -t "first:$n" 'i=0; while [ $i -lt 100 ]; do i=$((i + 1)); echo "line $i"; done; tty | cut -c 1-9; echo "the e"nd' Enter
		wait_until shows_the_end "$n"
		"${tmux[@]}" capture-pane -p -t "first:$n" -S -200 | sed 's/^.*\$((i + 1)).*$/typed/; /^>/d'
	done
	"${tmux[@]}" split-window -t first:1 'exec cat'
	"${tmux[@]}" list-panes -a -F '#{window_name} #{pane_width}x#{pane_height} #{pane_current_command}'
	"${tmux[@]}" set-buffer -b b text
	"${tmux[@]}" show-buffer -b b
	"${tmux[@]}" has-session -t none || echo "status $?"
	"${tmux[@]}" show-options -g status
	if [[ -n "$object" ]]; then
		# clients have ports of their own; a server that forked serves at its first work as a grown one
		wait_until is_served_by_tmux
		port_of "tmux.$("${tmux[@]}" display-message -p '#{pid}')"
		scrape_program tmux >&2
		assert_metric 'process_threads{program="tmux"}' -eq 1
	fi
	"${tmux[@]}" kill-server
}

is_served_by_tmux() {
	[[ -s "ports/tmux.$("${tmux[@]}" display-message -p '#{pid}')" ]]
}

shows_the_end() {
	"${tmux[@]}" capture-pane -p -t "first:$1" | grep -qx 'the end'
}

# bats test_tags=program,scraped
@test "tmux: a server, its clients, and what runs in its windows" {
	need_subject tmux
	tmux_session "" >bare.out 2>bare.err
	tmux_session "$shim_so" >shim.out 2>shim.err
	diff bare.out shim.out
	diff bare.err shim.err
	run -0 grep -c '^line ' shim.out
	assert_output 200
}

# Makes keys, and the files that sshd has to find in /etc and /run, into ./ssh.
make_ssh() {
	mkdir ssh
	"$SUBJECTS_DIR/openssh/run" ssh-keygen -q -t ed25519 -N '' -f ssh/host
	"$SUBJECTS_DIR/openssh/run" ssh-keygen -q -t ed25519 -N '' -f ssh/user
	cat >ssh/passwd <<-'EOF'
		root:x:0:0:root:/root:/bin/bash
		sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
		tester:*:65534:65534::/:/bin/bash
	EOF
	cat >ssh/config <<-EOF
		HostKey $PWD/ssh/host
		AuthorizedKeysFile /run/sshd/user.pub
		PidFile none
		StrictModes no
		UsePAM no
		PasswordAuthentication no
		Subsystem sftp internal-sftp
		PrintMotd no
		AcceptEnv WORD
	EOF
	# Runs sshd where it finds its folder, its users, and a home that it may read; all of that is
	# gone with its namespace.
	cat >ssh/start <<-'EOF'
		mount --bind "$1/passwd" /etc/passwd
		mount -t tmpfs -o mode=755 none /run
		mkdir -m 755 /run/sshd
		install -m 644 "$1/user.pub" /run/sshd/user.pub
		exec "$2/usr/sbin/sshd" -D -e -f "$1/config" -p "$3" -o ListenAddress=127.0.0.1
	EOF
}

# Says how a command ended; what it says itself of errors stays in ssh/errors.
say_status() {
	local status=0
	"$@" 2>>ssh/errors || status=$?
	echo "status $status"
}

# Logs in and works; what it prints must be the same with and without us. $1 is the object.
ssh_session() {
	local object="$1" libraries at
	libraries="$(sed -n 's/^LD_LIBRARY_PATH=//p' "$SUBJECTS_DIR/openssh/env")"
	rm -f ssh/log
	hold_port
	at="$held"
	release_port
	local -a environment=(env LD_LIBRARY_PATH="$libraries" ${object:+LD_PRELOAD="$object"}
		PROMSHIM_PORT_FILE="$BATS_TEST_TMPDIR/ports/%n.%p")
	"${environment[@]}" timeout --signal=KILL "$((5 * TESTS_PATIENCE))" unshare -m sh -e ssh/start "$PWD/ssh" "$SUBJECTS_DIR/openssh" "$at" \
		2>ssh/log >/dev/null </dev/null 3>&- &
	local server=$!
	started+=("$server")
	wait_until grep -qs 'Server listening' ssh/log
	printf '[127.0.0.1]:%s %s\n' "$at" "$(<ssh/host.pub)" >ssh/known
	local -a options=(-F none -i ssh/user -o UserKnownHostsFile="$PWD/ssh/known" -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o BatchMode=yes)
	local -a ssh=("${environment[@]}" timeout --signal=KILL "$((5 * TESTS_PATIENCE))" "$SUBJECTS_DIR/openssh/usr/bin/ssh" "${options[@]}" -p "$at")
	export WORD=sent
	say_status "${ssh[@]}" -o SendEnv=WORD tester@127.0.0.1 'id -u; pwd; echo "$WORD"; echo an error >&2; ls -l /proc/self/fd | wc -l; exit 7' </dev/null
	say_status "${ssh[@]}" -C tester@127.0.0.1 'sha256sum; tty' < <(seq 200000)
	say_status "${ssh[@]}" -tt tester@127.0.0.1 'tty | cut -c 1-9; stty size' </dev/null
	say_status "${ssh[@]}" nobody_known@127.0.0.1 true </dev/null
	say_status "${ssh[@]}" tester@127.0.0.1 'kill -TERM $$' </dev/null
	if [[ -n "$object" ]]; then
		port_of "sshd.$(server_of "$server")"
		scrape_program sshd >&2
		assert_metric 'promshim_threads{program="sshd"}' -eq 0
	fi
	kill "$(server_of "$server")"
	local status=0
	wait "$server" 2>/dev/null || status=$?
	echo "status $status"
	started=()
	# what both say, in no order, without numbers of ports and processes
	sed -E 's/port [0-9]+/port N/; s/pid [0-9]+/pid N/' ssh/errors ssh/log | sort
	rm ssh/errors
}

# sshd itself, below timeout.
server_of() {
	children "$1"
}

# bats test_tags=program,scraped,trap:T48,trap:T50
@test "openssh: logins on loopback, with a drop of rights and a sandbox" {
	((EUID == 0)) || missing "root: sshd changes to other users"
	need_subject openssh
	make_ssh
	ssh_session "" >bare.out
	ssh_session "$shim_so" >shim.out
	diff bare.out shim.out
	run -0 cat shim.out
	assert_line --index 0 65534
	assert_line "status 7"
	assert_line sent
	refute_line --partial 'fatal'
}
