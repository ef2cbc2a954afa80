#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Name spaces: what makes them, joins them or runs containers in them does as without us.
# bats file_tags=area:host

setup() {
	load helpers/common
	common_setup
	inside='echo inside; id -u; id -g; cat /proc/self/uid_map /proc/self/setgroups'
}

teardown() {
	[[ -z "${inhabitant-}" ]] || kill -KILL "$inhabitant" 2>/dev/null || true
	common_teardown
}

need_namespaces() {
	unshare --user --net true 2>unshare.err || missing "name spaces: $(<unshare.err)"
}

# As assert_unchanged, and all that matters has run: the last line is the command's own.
assert_same_inside() {
	assert_unchanged "$@"
	[[ "$status" == 0 && "$(<bare.out)" == *inside* ]] || fail "status $status: $(<bare.err): $*"
}

# bats test_tags=trap:T47
@test "unshare makes every set of name spaces as without us" {
	need_namespaces
	((EUID == 0)) || missing root
	local options
	local -a option=()
	go_public # -S makes another user of who runs there
	for options in -U -Ur '-Ur --keep-caps' -Uc '-U --map-user=1000' '-U --setgroups=deny' -Urm -Urn \
		'-Urp --fork' '-Urpf --mount-proc' '-Urpfn --mount-proc --kill-child' -UrC -UrT -Urui -Urmuinp \
		'-Urmuinpf --mount-proc' '-pf -S 65534 -G 65534' '-m --propagation=private' -n -u -i -C -T; do
		read -r -a option <<<"$options"
		if [[ "$options" == -Urmuinp ]]; then # without --fork the first child is the last
			assert_same_inside unshare "${option[@]}" bash -c 'echo inside'
		else
			assert_same_inside unshare "${option[@]}" bash -c "$inside"
		fi
	done
}

# bats test_tags=trap:T47
@test "unshare by an ordinary user makes every set of name spaces as without us" {
	need_namespaces
	local options
	local -a option=() nobody=()
	((EUID != 0)) || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	go_public
	for options in -U -Ur -Uc -Urm -Urn '-Urpf --mount-proc' -UrC -UrT; do
		read -r -a option <<<"$options"
		assert_same_inside "${nobody[@]}" unshare "${option[@]}" bash -c "$inside"
	done
}

# Sets the loopback of a process's network up.
loopback_up() {
	nsenter --net -t "$1" /usr/bin/python3 -c '
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 1))'
}

# curl from inside the network of process $pid.
fetch_inside() {
	nsenter --net -t "$pid" curl -q --silent --fail --noproxy '*' \
		--max-time "$TESTS_PATIENCE" --output "$page" "http://127.0.0.1:$port/metrics" 3>&-
}

# bats test_tags=trap:T47
@test "a host that unshares its user and network is served in the new network" {
	((EUID == 0)) || missing root
	run -0 --separate-stderr bare "$targets/sandbox" unshare </dev/null
	assert_output "put away"
	start "$targets/sandbox" unshare
	expect "put away"
	is_there() {
		port="$(<"$port_file")" fetch_inside
	}
	# as it is made, its loopback is down: nobody gets there, and check says so once it serves again
	is_out_of_reach() {
		run "$promshim" check "$pid"
		[[ "$status" == 3 && "$output" == *"not reachable from outside. Set PROMSHIM_ADDRESS"* ]]
	}
	wait_until is_out_of_reach
	run ! is_there
	loopback_up "$pid"
	wait_until is_there
	check_page "$page"
	assert_metric promshim_malloc_allocations_total -ge 1000
	finish
	assert_equal "$status" 0
	assert_equal "$(<"$err")" ""
}

# bats test_tags=trap:T47
@test "a thread that moves to another network leaves the server where it was" {
	((EUID == 0)) || missing root
	start /usr/bin/python3 -c '
import ctypes, os
def where(): return os.readlink("/proc/thread-self/ns/net")
before = where()
for flags in 0x40000000, 0x08000000, 0x04000000, 0x02000000: # network, IPC, host name, cgroup
    assert ctypes.CDLL(None).unshare(flags) == 0
assert where() != before
print("moved", flush=True)
input()'
	expect moved
	scrape
	scrape
	go_on
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T47
@test "a browser's sandbox, in name spaces by the bare system call, holds as without us" {
	need_namespaces
	local mode
	for mode in serve count; do
		PROMSHIM_MODE=$mode assert_unchanged "$targets/sandbox" clone
		assert_equal "$status $(<bare.out)" "0 put away"
		PROMSHIM_MODE=$mode assert_unchanged "$targets/sandbox" unshare
		assert_equal "$status $(<bare.out)" "0 put away"
	done
	start "$targets/sandbox" clone
	expect "put away"
	scrape
	assert_metric promshim_roots -eq 1
	finish
	assert_equal "$status" 0
}

# bats test_tags=trap:T31
@test "a child of the bare system call that changes its ids waits for no thread of ours" {
	local i
	for i in {1..3}; do
		assert_unchanged "$targets/sandbox" ids
		assert_equal "$status $(<bare.out)" "0 all ended"
	done
}

# bats test_tags=trap:T47
@test "bubblewrap makes sandboxes as without us" {
	need_namespaces
	need_subject bubblewrap
	local options
	local -a option=()
	for options in "" --unshare-all '--unshare-all --share-net --die-with-parent --new-session' \
		'--unshare-all --uid 1000 --gid 1000 --proc /proc' \
		'--unshare-user --unshare-pid --as-pid-1 --proc /proc' '--unshare-user --disable-userns' \
		'--cap-drop ALL' '--unshare-net --unshare-ipc --unshare-uts --hostname x' \
		'--unshare-user-try --unshare-cgroup-try --tmpfs /home --clearenv'; do
		read -r -a option <<<"$options"
		assert_same_inside "$SUBJECTS_DIR/bubblewrap/usr/bin/bwrap" --bind / / --dev /dev \
			"${option[@]}" /bin/bash -c "$inside; grep Cap /proc/self/status"
	done
}

# Starts what lives in name spaces of its own: $inhabitant.
inhabit() {
	rm -f there
	[[ -p never ]] || mkfifo never
	# no child of its own: below one is looked for
	unshare "$@" bash -c 'exec <>never; echo there; read -r' >there 3>&- &
	inhabitant=$!
	wait_for_file there
	# with --fork it is the child that lives there
	inhabitant="$(children "$inhabitant" | grep . || printf '%s' "$inhabitant")"
}

# bats test_tags=trap:T47
@test "nsenter joins every set of name spaces as without us" {
	((EUID == 0)) || missing root
	need_namespaces
	inhabit -Urmnpf --mount-proc --kill-child
	local options
	local -a option=()
	for options in -U '-U --preserve-credentials' -n -p '-F -p' -u -T '-U -n -p' '-m -p' '-a' \
		'-a -S 0 -G 0' '-a -F'; do
		read -r -a option <<<"$options"
		assert_same_inside nsenter -t "$inhabitant" "${option[@]}" bash -c 'echo inside; id -u'
	done
}

# A bundle whose root is this system's, read-only, with the object in it.
make_bundle() {
	local folder
	mkdir -p bundle/rootfs/{bin,lib,lib64,usr,proc,dev,shim} state
	for folder in bin lib lib64 usr; do
		printf '{"destination": "/%s", "type": "bind", "source": "/%s", "options": ["rbind", "ro"]},\n' \
			"$folder" "$folder"
	done >mounts
	cat >bundle/config.json <<-EOF
		{"ociVersion": "1.0.2", "hostname": "inside", "root": {"path": "rootfs", "readonly": true},
		"process": {"terminal": false, "cwd": "/", "user": {"uid": 0, "gid": 0},
		"env": ["PATH=/usr/bin:/bin"$1], "args": ["/bin/bash", "-c", "$inside; hostname"]},
		"mounts": [$(<mounts)
		{"destination": "/shim", "type": "bind", "source": "${shim_so%/*}", "options": ["rbind", "ro"]},
		{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}],
		"linux": {"uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}],
		"gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}],
		"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
		{"type": "network"}, {"type": "user"}]}}
	EOF
}

# Runs a container without and with us in the runtime, and with us inside as well. Cgroups are
# not what this is about: of the old ones, and of both at once, not every runtime knows.
assert_runs_containers() {
	local -a runtime=(unshare --mount bash -c
		'mount -t cgroup2 none /sys/fs/cgroup && cd bundle && exec "$@"' bash
		"$SUBJECTS_DIR/$1/run" "$@" --root "$PWD/state")
	((EUID == 0)) || missing root
	need_namespaces
	need_subject "$1"
	make_bundle ""
	assert_same_inside "${runtime[@]}" run one
	make_bundle ", \"LD_PRELOAD=/shim/${shim_so##*/}\", \"PROMSHIM_PORT=0\""
	assert_same_inside "${runtime[@]}" run two
	run -0 "${runtime[@]}" list -q
	assert_output ""
}

# bats test_tags=trap:T47
@test "crun runs containers as without us" {
	assert_runs_containers crun --cgroup-manager=disabled
}

# bats test_tags=trap:T47
@test "runc runs containers as without us" {
	assert_runs_containers runc
}

# bats test_tags=trap:T47
@test "newuidmap and newgidmap write the maps as without us" {
	((EUID == 0)) || missing root
	need_namespaces
	need_subject uidmap
	local way kind
	local -a numbers=()
	for way in bare preload; do
		inhabit -U
		for kind in uid gid; do
			run -0 "$way" "$SUBJECTS_DIR/uidmap/run" "new${kind}map" "$inhabitant" 0 0 1
			assert_output ""
			read -r -a numbers <"/proc/$inhabitant/${kind}_map"
			assert_equal "${numbers[*]}" "0 0 1"
			run -1 "$way" "$SUBJECTS_DIR/uidmap/run" "new${kind}map" "$inhabitant" 0 5 1
		done
		kill -KILL "$inhabitant"
	done
}

# bats test_tags=trap:T62
@test "in a time name space the clocks are the host's, and ours with them" {
	need_namespaces
	local -a later=(unshare -UrT --monotonic 1000000 --boottime 2000000)
	local from="$EPOCHSECONDS"
	assert_unchanged "${later[@]}" cut -d ' ' -f 3- /proc/self/timens_offsets
	PROMSHIM_INCLUDE=threads start "${later[@]}" "$targets/threads" held 3
	expect "all there"
	go_on
	go_on
	go_on
	expect "all gone"
	scrape
	# none lived longer than this test, nor for the 1000000 seconds by which the clocks differ
	assert_metric promshim_thread_lifetime_seconds_sum -gt 0
	assert_metric promshim_thread_lifetime_seconds_sum -le $((3 * (EPOCHSECONDS - from + 1)))
	assert_metric promshim_start_time_seconds -ge "$from"
	assert_metric promshim_start_time_seconds -le $((EPOCHSECONDS + 1))
	finish
	assert_equal "$status" 0
}
