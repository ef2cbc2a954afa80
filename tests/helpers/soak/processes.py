# SPDX-License-Identifier: MIT
"""What /proc says of processes. A process is a pid and the time of its start: pids come again."""

import ctypes
import os
import signal
import time

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36  # prctl(2), linux/prctl.h


def adopt_orphans():
	"""Makes us the parent of what our children leave behind, so that it can be found and ended."""
	ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def boot_time():
	with open("/proc/stat", encoding="ascii") as file:
		return next(int(line.split()[1]) for line in file if line.startswith("btime"))


def stat(pid):
	"""State, parent and start (ticks since boot) of a process; None if there is none."""
	try:
		with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
			fields = file.read().rpartition(")")[2].split()
	except OSError:
		return None
	return fields[0], int(fields[1]), int(fields[19])


def start_of(pid):
	"""When a process that lives began, in ticks; None if it does not live."""
	found = stat(pid)
	return found[2] if found and found[0] not in "ZX" else None


def descendants(*roots):
	"""The living processes below these, themselves included."""
	children = {}
	for name in os.listdir("/proc"):
		found = stat(name) if name.isdigit() else None
		if found and found[0] not in "ZX":
			children.setdefault(found[1], []).append(int(name))
	tree = [pid for pid in roots if start_of(pid) is not None]
	for pid in tree:
		tree += children.get(pid, [])
	return tree


def resident_bytes(pid):
	"""What a process has in memory; what several have is shared out, so that sums are true."""
	try:
		with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
			return next(int(line.split()[1]) << 10 for line in file if line.startswith("Pss:"))
	except (OSError, StopIteration):
		return 0


def descriptors(pid):
	try:
		return len(os.listdir(f"/proc/{pid}/fd"))
	except OSError:
		return 0


def kill(pid, number=signal.SIGKILL):
	try:
		os.kill(pid, number)
	except ProcessLookupError:
		pass


def reap(pid):
	"""Takes the status of an orphan that we adopted; of a process of another parent nothing."""
	try:
		os.waitpid(pid, os.WNOHANG)
	except OSError:
		pass


def reap_all():
	"""Takes the status of every child that has ended, so that no zombie outlives us."""
	try:
		while os.waitpid(-1, os.WNOHANG)[0]:
			pass
	except ChildProcessError:
		pass


def wait_gone(pids, seconds=10):
	"""Waits until none of these lives, reaping our own."""
	deadline = time.monotonic() + seconds
	while any(start_of(pid) is not None for pid in pids):
		if time.monotonic() > deadline:
			return False
		time.sleep(0.01)
	for pid in pids:
		reap(pid)
	return True
