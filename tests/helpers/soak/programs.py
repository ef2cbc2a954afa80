# SPDX-License-Identifier: MIT
"""The programs of a soak: how each is made ready, started, loaded and ended."""

import os
import re
import shutil
import signal
import subprocess
import sys

NOBODY = 65534


class Program:
	"""A program of the caller's: a path, started without arguments, ended by SIGTERM."""

	subject = None
	ending = signal.SIGTERM
	endings = (0, -signal.SIGTERM)  # statuses of an orderly end
	loads = ()  # commands that are run again and again, by turns; they may fail
	moves = False  # whether it is to allocate all the time

	def __init__(self, name, folder, paths):
		self.name, self.folder, self.paths = name, folder, paths
		self.command = [os.path.abspath(name)]

	def run(self, program, *arguments):
		return [f"{self.paths['subjects']}/{self.subject}/run", program, *arguments]

	def prepare(self):
		"""Once, before the first start."""

	def clear(self):
		"""Before each start: what one that was killed has left."""


class Redis(Program):
	subject = "redis"
	moves = True
	endings = (0,)

	def __init__(self, *arguments):
		super().__init__(*arguments)
		self.socket = f"{self.folder}/socket"
		self.command = self.run("redis-server", "--port", "0", "--unixsocket", self.socket,
			"--save", "", "--dir", self.folder)
		# the second forks a child that writes while the first's successor loads
		self.loads = (
			self.run("redis-benchmark", "-s", self.socket, "-c", "16", "-n", "3000", "-r", "10000",
				"-d", "64", "-t", "set,get,incr,sadd,hset", "-q"),
			self.run("redis-cli", "-s", self.socket, "bgsave"),
		)


class Nginx(Program):
	subject = "nginx"
	moves = True
	ending = signal.SIGQUIT
	endings = (0,)

	def __init__(self, *arguments):
		super().__init__(*arguments)
		self.socket = f"{self.folder}/socket"
		self.command = self.run("nginx", "-e", "stderr", "-p", self.folder, "-c", f"{self.folder}/conf")
		self.loads = ([f"{self.paths['bench']}/bench-scrape", "-c", "8", "-s", "0.4", "-r", "4000",
			"-p", "/file", self.socket],)

	def prepare(self):
		user = "user nobody nogroup;" if os.geteuid() == 0 else ""
		temporary = "\n".join(f"{kind}_temp_path {self.folder}/temporary;"
			for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
		with open(f"{self.folder}/file", "wb") as file:
			file.write(bytes(4096))
		with open(f"{self.folder}/conf", "w", encoding="utf-8") as file:
			file.write(f"""{user} daemon off; worker_processes 2; pid {self.folder}/pid;
				error_log stderr notice; events {{ worker_connections 256; }}
				http {{ access_log off; {temporary} keepalive_requests 1000000;
				server {{ listen unix:{self.socket}; root {self.folder}; }} }}\n""")

	def clear(self):
		if os.path.exists(self.socket):
			os.unlink(self.socket)  # nginx itself does not take one that is there


class PostgreSQL(Program):
	subject = "postgresql"
	moves = True
	ending = signal.SIGINT
	endings = (0, 1)  # 1 if it was asked to end while it recovered

	def __init__(self, *arguments):
		super().__init__(*arguments)
		self.data = f"{self.folder}/data"
		self.command = self.as_nobody("postgres", "-D", self.data, "-k", self.folder, "-c", "listen_addresses=",
			"-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_wal_size=64MB",
			"-c", "dynamic_shared_memory_type=mmap", "-c", "autovacuum_naptime=5s")
		pgbench = self.run("pgbench", "-h", self.folder, "-U", "soak", "-n")
		self.loads = (
			[*pgbench, "-c", "4", "-j", "1", "-T", "2", "postgres"],
			[*pgbench, "-C", "-S", "-c", "2", "-T", "1", "postgres"],
		)

	def as_nobody(self, *arguments):
		"""It refuses to run as root; what it reads may lie where only we may look."""
		command = self.run(*arguments)
		if os.geteuid() == 0:
			command = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
				"--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", *command]
		return command

	def prepare(self):
		os.mkdir(self.data)
		if os.geteuid() == 0:
			os.chown(self.data, NOBODY, NOBODY)
			os.chown(self.folder, NOBODY, NOBODY)
		self.call(self.as_nobody("initdb", "-D", self.data, "-U", "soak", "-A", "trust", "-N", "--locale=C"))
		# single: what pgbench -i does, without a server
		statements = [
			"create table pgbench_history(tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));",
			"create table pgbench_tellers(tid int primary key, bid int, tbalance int, filler char(84));",
			"create table pgbench_accounts(aid int primary key, bid int, abalance int, filler char(84));",
			"create table pgbench_branches(bid int primary key, bbalance int, filler char(88));",
			"insert into pgbench_branches values (1, 0, '');",
			"insert into pgbench_tellers select n, 1, 0, '' from generate_series(1, 10) n;",
			"insert into pgbench_accounts select n, 1, 0, '' from generate_series(1, 100000) n;",
		]
		self.call(self.as_nobody("postgres", "--single", "-D", self.data, "postgres"), "\n".join(statements) + "\n")

	def call(self, command, text=""):
		done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
			encoding="utf-8", errors="replace", check=False)
		if done.returncode != 0 or "ERROR" in done.stdout:
			sys.exit(f"soak: {command[-1]}: {done.stdout[-600:]}")

	def clear(self):
		"""Its lock file may name a pid that is another's by now; the memory it names would stay."""
		path = f"{self.data}/postmaster.pid"
		if not os.path.exists(path):
			return
		with open(path, encoding="utf-8") as file:
			lines = file.read().split("\n")
		if len(lines) > 6 and len(lines[6].split()) == 2:
			subprocess.run(["ipcrm", "-m", lines[6].split()[1]], stderr=subprocess.DEVNULL, check=False)
		os.unlink(path)
		for name in os.listdir(self.folder):
			if re.match(r"\.s\.PGSQL", name):
				os.unlink(f"{self.folder}/{name}")


class Python(Program):
	moves = True
	endings = (0,)

	def __init__(self, *arguments):
		super().__init__(*arguments)
		python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
		self.command = [python, f"{self.paths['helpers']}/soak-threads"]


class Storm(Program):
	moves = True
	endings = (0,)

	def __init__(self, *arguments):
		super().__init__(*arguments)
		self.command = [f"{self.paths['targets']}/storm"]


BY_NAME = {"redis": Redis, "nginx": Nginx, "postgresql": PostgreSQL, "python3": Python, "storm": Storm}


def program(name, scratch, paths):
	"""The program of a name of ours, or at a path."""
	if name not in BY_NAME and ("/" not in name or shutil.which(name) is None):
		sys.exit(f"soak: {name}: neither one of {', '.join(BY_NAME)} nor the path of a program")
	folder = f"{scratch}/{os.path.basename(name)}"
	os.mkdir(folder)
	return BY_NAME.get(name, Program)(name, folder, paths)
