# SPDX-License-Identifier: MIT
"""Pages of one process, from its first to its last: what counts on them may not fall."""

import http.client
import re
import time

EVENTS = ("promshim_malloc_allocations_total", "promshim_malloc_frees_total")
MESSAGES = "promshim_exporter_messages_total"
TIMEOUT = 10
IDLE = 5  # a connection that rested longer may have been closed by the server, by its rights


class Wrong(Exception):
	"""An answer that is none."""


def counters(text):
	"""The series that may not fall, with their values: of counters, and of histograms all."""
	kinds, found = {}, {}
	for line in text.splitlines():
		if line.startswith("# TYPE "):
			_, _, name, kind = line.split(" ", 3)
			kinds[name] = kind
		elif line and line[0] != "#":
			series, _, value = line.rpartition(" ")
			name = series.partition("{")[0]
			family = re.sub(r"_(bucket|sum|count)$", "", name)
			if kinds.get(name) == "counter" or kinds.get(family) == "histogram":
				found[series] = float(value)
	return found


def total(values, *names):
	return sum(value for series, value in values.items() if series.partition("{")[0] in names)


class Life:
	"""One process while it lives."""

	def __init__(self, pid, start, port):
		self.pid, self.start, self.port = pid, start, port
		self.values = {}
		self.connection = None
		self.used = 0
		self.rounds = 0

	def get(self, connection, path):
		connection.request("GET", path)
		reply = connection.getresponse()
		body = reply.read()  # raises IncompleteRead if cut short
		if reply.status != 200:
			raise Wrong(f"status {reply.status}")
		return body.decode("utf-8")

	def fresh(self):
		return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)

	def fetch(self, path="/metrics"):
		"""By turns over a connection that stays, and over one for this request alone."""
		self.rounds += 1
		now = time.monotonic()
		if self.rounds % 2:
			connection = self.fresh()
			try:
				return self.get(connection, path)
			finally:
				connection.close()
		if self.connection is None or now - self.used > IDLE:
			self.close()
			self.connection = self.fresh()
		self.used = now
		try:
			return self.get(self.connection, path)
		except Exception:
			self.close()
			raise

	def close(self):
		if self.connection is not None:
			self.connection.close()
			self.connection = None

	def take(self, text):
		"""Takes a page in; returns what fell, in words."""
		values = counters(text)
		if EVENTS[0] not in {series.partition("{")[0] for series in values}:
			raise Wrong(f"a page of {len(text)} bytes without {EVENTS[0]}")
		fallen = [
			f"{series} of process {self.pid} fell from {before:.15g} to {values.get(series, 'nothing')}"
			for series, before in self.values.items()
			if values.get(series, -1) < before
		]
		self.values = values
		return fallen

	def events(self):
		return total(self.values, *EVENTS)

	def messages(self):
		return total(self.values, MESSAGES)

	def told(self):
		"""The lines of its messages, as its first page shows them."""
		try:
			text = self.get(self.fresh(), "/")
		except (OSError, http.client.HTTPException, Wrong):
			return []
		part = text.partition("\nMessages\n")[2].partition("\n\n")[0]
		return [line.strip() for line in part.splitlines()]
