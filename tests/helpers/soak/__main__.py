# SPDX-License-Identifier: MIT
"""Soaks programs; scripts/soak starts it.

usage: soak --minutes N --scratch DIR --shim OBJECT --subjects DIR --targets DIR --bench DIR
            [--seed N] [--work] PROGRAM...

With --work the minutes are those of a machine that is idle: each host gets as many rounds of scrapes
as it had then, and goes on until a client was served to its end.
"""

import argparse
import glob
import os
import signal
import sys
import threading
import time

import processes
import programs
import report
from host import Host


def on_signal(number, _):
	"""Once: what is ended then is ended to the end."""
	for other in (signal.SIGINT, signal.SIGTERM):
		signal.signal(other, signal.SIG_IGN)
	sys.exit(128 + number)


def arguments():
	parser = argparse.ArgumentParser(prog="soak")
	for name in ("scratch", "shim", "subjects", "targets", "bench"):
		parser.add_argument(f"--{name}", required=True)
	parser.add_argument("--minutes", type=float, required=True)
	parser.add_argument("--seed", type=int, default=int(time.time()))
	parser.add_argument("--work", action="store_true")
	parser.add_argument("programs", nargs="+")
	return parser.parse_args()


def ours_elsewhere():
	"""Files of ours where every process may leave some."""
	return set(glob.glob("/dev/shm/*promshim*") + glob.glob("/tmp/*promshim*"))


def environment():
	left_out = ("LD_PRELOAD", "LD_LIBRARY_PATH", "PROMSHIM_TEXTFILE", "PROMSHIM_SOCKET", "PROMSHIM_SO")
	return {name: value for name, value in os.environ.items() if name not in left_out} | {"LC_ALL": "C"}


def make_hosts(options):
	paths = {"subjects": options.subjects, "targets": options.targets, "bench": options.bench,
		"helpers": os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}
	hosts = []
	for name in options.programs:
		program = programs.program(name, options.scratch, paths)
		ports = f"{program.folder}.ports"
		os.mkdir(ports)
		os.chmod(ports, 0o1777)  # workers write there as whoever they become
		program.prepare()
		hosts.append(Host(program, ports, environment(), options.shim, options.seed))
	return hosts


def is_over(host, seconds):
	return host.elapsed() >= seconds and (host.is_served() or not host.by_work)


def soak(hosts, seconds, by_work):
	"""Runs all of it for so long; whatever happens, nothing is left running."""
	hang = time.monotonic() + seconds + 10 * int(os.environ.get("TESTS_PATIENCE", "60"))
	clients, watchers = [], []
	try:
		for host in hosts:
			host.begin, host.by_work = time.monotonic(), by_work
			host.start()
			watchers.append(threading.Thread(target=host.watch))
			clients.append(threading.Thread(target=host.load))
			clients.append(threading.Thread(target=host.kill_at_random, args=(seconds, 3)))
		for thread in watchers + clients:
			thread.start()
		while not all(is_over(host, seconds) for host in hosts) and time.monotonic() < hang:
			time.sleep(0.2)
			if not all(thread.is_alive() for thread in watchers):
				sys.exit("soak: a watcher has ended; see above")
		stop(hosts, clients, watchers)
		for host in hosts:
			host.finish()
	finally:
		stop(hosts, clients, watchers)
		for host in hosts:
			if host.main is not None:
				host.kill_tree()
				host.program.clear()
		left = processes.descendants(os.getpid())[1:]
		for pid in left:
			processes.kill(pid)
		processes.wait_gone(left)
		processes.reap_all()


def stop(hosts, clients, watchers):
	"""Loads and kills first, so that what is scraped last is at rest."""
	for host in hosts:
		host.over.set()
	for thread in filter(threading.Thread.is_alive, clients):
		thread.join()
	for host in hosts:
		host.ended.set()
	for thread in filter(threading.Thread.is_alive, watchers):
		thread.join()


def main():
	options = arguments()
	for number in (signal.SIGINT, signal.SIGTERM):
		signal.signal(number, on_signal)
	# a shell ignores it for what it starts in the background, and hosts would inherit that
	signal.signal(signal.SIGQUIT, signal.SIG_DFL)
	processes.adopt_orphans()
	before = ours_elsewhere()
	hosts = make_hosts(options)
	print(f"soak: seed {options.seed}, {', '.join(os.path.basename(n) for n in options.programs)}", flush=True)
	soak(hosts, options.minutes * 60, options.work)
	files = {host: sum(not name.isdigit() for name in os.listdir(host.ports)) for host in hosts}
	for path in sorted(ours_elsewhere() - before):
		print(f"left behind, by these or others: {path}")
	sys.exit(0 if report.show(hosts, files, options.minutes) else 1)


main()
