# SPDX-License-Identifier: MIT
"""One row of the table: a program under the shim, started again when it was killed, scraped each
100 ms, and what became of it.

Three threads each: one scrapes and watches, one loads, one kills. What is killed is put down
before it is killed, so that its failed scrapes are known as such.
"""

import http.client
import os
import random
import re
import subprocess
import threading
import time

import pages
import processes

PERIOD = 0.1
GRACE = 3  # seconds that a process which does not answer may take to be gone
STALL = 30  # seconds without an event, of a program that allocates all the time
NOTES_MAX = 12
# What servers say of the death of their workers: with the pid first, or last.
DEATHS = (
	re.compile(r"\(PID (?P<pid>\d+)\) was terminated by signal (?P<number>\d+)"),
	re.compile(r" process (?P<pid>\d+) exited on signal (?P<number>\d+)"),
	re.compile(r"(?P<number>SIGKILL) to recalcitrant (?P<pid>children)"),
)


class Host:
	starting = threading.Lock()  # one at a time, as orphans are those that nobody has started

	def __init__(self, program, ports, environment, shim, seed):
		self.program, self.ports = program, ports
		self.random = random.Random(f"{seed} {program.name}")
		self.environment = dict(environment, PROMSHIM_PORT="0", PROMSHIM_PORT_FILE=f"{ports}/%p")
		self.environment["SUBJECT_PRELOAD" if program.subject else "LD_PRELOAD"] = shim
		self.log = f"{program.folder}/../{os.path.basename(program.name)}.log"
		self.main = None
		self.begin = time.monotonic()
		self.by_work, self.rounds = False, 0
		self.since = 0
		self.over = threading.Event()  # no more kills and loads
		self.ended = threading.Event()  # no more scrapes
		self.changing = threading.Lock()  # whoever holds it ends or starts the main process
		self.killed = set()  # processes, with what they left us to reap
		self.lives = {}
		self.doubtful = []  # failed scrapes: process, deadline, what
		self.samples = []  # seconds, resident bytes, descriptors
		self.progress = 0
		self.tally = dict.fromkeys(("processes", "killed", "loads", "events", "scrapes", "lost", "cut",
			"fallen", "died", "messages"), 0)
		self.notes = []

	def elapsed(self):
		"""Seconds since the begin; by work, those that as many rounds take on a machine that is idle."""
		return self.rounds * PERIOD if self.by_work else time.monotonic() - self.begin

	def is_served(self):
		"""Whether a client has come to its end, if there are any."""
		return not self.program.loads or self.tally["loads"] > 0

	def note(self, text):
		if text not in self.notes and len(self.notes) < NOTES_MAX:
			self.notes.append(text)

	def start(self):
		self.program.clear()
		with Host.starting, open(self.log, "ab") as log:
			self.main = subprocess.Popen(self.program.command, stdin=subprocess.DEVNULL, stdout=log,
				stderr=subprocess.STDOUT, env=self.environment, cwd=self.program.folder)
		self.since = self.progress = time.monotonic()

	def kill_tree(self):
		"""Ends the main process and all that came from it, as by kill -9."""
		tree = processes.descendants(self.main.pid)
		self.put_down(tree)
		for pid in tree:
			processes.kill(pid)
		# what was forked meanwhile came to us, when its parent died
		while True:
			self.main.wait()
			late = [pid for pid in processes.descendants(*tree) if pid != self.main.pid]
			if not late:
				break
			self.put_down(late)
			for pid in late:
				processes.kill(pid)
			processes.wait_gone(late)
			tree += late
		for pid in tree:
			if pid != self.main.pid:
				processes.reap(pid)

	def put_down(self, tree):
		self.killed.update((pid, processes.start_of(pid)) for pid in tree)

	def kill_whole(self):
		with self.changing:
			if self.main.poll() is None:
				self.tally["killed"] += 1
				self.kill_tree()
				self.start()

	def kill_worker(self):
		with self.changing:
			workers = processes.descendants(self.main.pid)[1:]
			if workers:
				worker = self.random.choice(workers)
				self.tally["killed"] += 1
				self.put_down([worker])
				processes.kill(worker)

	def watch_main(self):
		"""A main process that ended did so by itself: we start again those that we kill."""
		if not self.changing.acquire(blocking=False):
			return
		try:
			status = self.main.poll()
			stalled = self.program.moves and time.monotonic() - self.progress > STALL
			if status is None and not stalled:
				return
			self.tally["died"] += 1
			self.note(f"ended by itself with status {status}: {self.last_words()}" if status is not None
				else f"no event for {STALL} s")
			self.kill_tree()
			self.start()
			self.ended.wait(0.2)  # whoever cannot start is not started for ever
		finally:
			self.changing.release()

	def last_words(self):
		with open(self.log, "rb") as log:
			return " / ".join(log.read()[-2000:].decode(errors="replace").strip().splitlines()[-3:])

	def discover(self):
		"""Port files name who is served. A file older than its process is one of the same pid before."""
		for name in os.listdir(self.ports):
			path = f"{self.ports}/{name}"
			if not name.isdigit() or int(name) in self.lives:
				continue
			try:
				written = os.stat(path).st_mtime
				with open(path, encoding="ascii") as file:
					port = file.read().strip()
			except OSError:
				continue
			start = processes.start_of(int(name))
			if start is None or written < processes.boot_time() + start / processes.TICKS - 1.5:
				os.unlink(path)
			elif port.isdigit():
				self.tally["processes"] += 1
				self.lives[int(name)] = pages.Life(int(name), start, int(port))

	def scrape(self, life):
		"""One page, if the process lives before and after: else what answered may be another's."""
		failed = None
		self.tally["scrapes"] += 1
		try:
			before = life.events()
			text = life.fetch()
			if processes.start_of(life.pid) == life.start:
				for what in life.take(text):
					self.tally["fallen"] += 1
					self.note(what)
			if life.events() > before:
				self.progress = time.monotonic()
		except (OSError, http.client.HTTPException, pages.Wrong, ValueError) as error:
			failed = f"process {life.pid}, which lives, did not answer: {type(error).__name__}: {error}"
		if failed:
			self.doubtful.append((life.pid, life.start, time.monotonic() + GRACE, failed))

	def settle(self, at_once=False):
		"""A failed scrape is lost if its process lives on, and else came to grief with it."""
		waiting = []
		for pid, start, deadline, what in self.doubtful:
			if (pid, start) in self.killed or processes.start_of(pid) != start:
				self.tally["cut"] += 1
			elif at_once or time.monotonic() > deadline:
				self.tally["lost"] += 1
				self.note(what)
			else:
				waiting.append((pid, start, deadline, what))
		self.doubtful = waiting

	def bury(self, pid):
		life = self.lives.pop(pid)
		life.close()
		self.tally["events"] += life.events()
		self.tally["messages"] += life.messages()

	def round(self):
		self.watch_main()
		self.discover()
		for pid, life in list(self.lives.items()):
			if self.ended.is_set():
				break
			if processes.start_of(pid) != life.start:
				self.bury(pid)
				continue
			told = life.messages()
			self.scrape(life)
			if life.messages() > told:
				for line in life.told():
					self.note(f"says: {line}")
		self.settle()

	def sample(self):
		tree = processes.descendants(self.main.pid)
		self.samples.append((self.elapsed(), sum(map(processes.resident_bytes, tree)),
			sum(map(processes.descriptors, tree))))

	def watch(self):
		sampled = 0
		while not self.ended.is_set():
			due = time.monotonic() + PERIOD
			self.round()
			self.rounds += 1
			if self.elapsed() - sampled > 0.45:
				sampled = self.elapsed()
				self.sample()
			self.ended.wait(max(0, due - time.monotonic()))

	def load(self):
		turn = 0
		while self.program.loads and not self.over.is_set():
			command = self.program.loads[turn % len(self.program.loads)]
			with Host.starting:
				client = subprocess.Popen(["nice", *command], stdin=subprocess.DEVNULL,
					stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
			while client.poll() is None and not self.over.wait(0.02):
				pass
			if client.poll() is None:
				for pid in processes.descendants(client.pid):
					processes.kill(pid)
			self.tally["loads"] += client.wait() == 0
			turn += 1
			self.over.wait(0.05)

	def kill_at_random(self, seconds, whole):
		"""`whole` kills of the whole host in the first three quarters of the time, and of workers all
		along; none in the last tenth, so that all may come to rest."""
		plan = [(self.random.uniform(0.05, 0.75) * seconds, True) for _ in range(whole)]
		at = 0
		while at < 0.9 * seconds:
			at += self.random.expovariate(1 / min(8, seconds / 8))
			plan.append((at, False))
		for at, is_whole in sorted(plan):
			while self.elapsed() < at and not self.over.wait(0.02):
				pass
			if at > 0.9 * seconds or self.over.is_set():
				break
			if is_whole:
				self.kill_whole()
			else:
				self.kill_worker()

	def finish(self):
		"""Ends the program in its own way; what it says with that counts."""
		for pid in list(self.lives):
			self.bury(pid)
		self.settle(at_once=True)
		processes.kill(self.main.pid, self.program.ending)
		try:
			status = self.main.wait(20)
		except subprocess.TimeoutExpired:
			status = "none: it hangs at its end"
		if status not in self.program.endings:
			self.tally["died"] += 1
			self.note(f"ended with status {status}: {self.last_words()}")
		self.kill_tree()
		pids = {str(pid) for pid, _ in self.killed}
		with open(self.log, encoding="utf-8", errors="replace") as log:
			for line in log:
				found = next(filter(None, (death.search(line) for death in DEATHS)), None)
				if found and not (found["number"] == "9" and found["pid"] in pids):
					self.tally["died"] += 1
					self.note(line.strip())
