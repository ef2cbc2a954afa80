# SPDX-License-Identifier: MIT
"""The table of a soak, and what is a failure."""

import statistics

MIB = 1 << 20
# Growth: a host's median over the last quarter of the time may exceed the highest value of the
# first quarter, or of the first seconds while all of it starts, by a fourth and this much, for all
# of its processes together.
START = 5
RESIDENT_SLACK = 16 * MIB
DESCRIPTORS_SLACK = 32

HEAD = ("host", "processes", "killed", "events", "scrapes", "lost", "cut off", "fallen", "RSS, MiB", "fds",
	"files", "died", "messages")


def quarters(samples, column):
	"""Highest of the first quarter of the time, medians of the first and the last."""
	end = samples[-1][0] if samples else 0
	first = [sample[column] for sample in samples if sample[0] <= max(end / 4, START)]
	last = [sample[column] for sample in samples if sample[0] >= end * 3 / 4]
	if not first or not last:
		return 0, 0, 0
	return max(first), statistics.median(first), statistics.median(last)


def row(host, files):
	t = host.tally
	_, resident, resident_last = quarters(host.samples, 1)
	_, open_first, open_last = quarters(host.samples, 2)
	name = host.program.name.rpartition("/")[2]
	return (name, *(f"{t[key]:,.0f}" for key in ("processes", "killed", "events", "scrapes", "lost", "cut", "fallen")),
		f"{resident / MIB:.1f} to {resident_last / MIB:.1f}", f"{open_first:.0f} to {open_last:.0f}",
		f"{files}", f"{t['died']}", f"{t['messages']:.0f}")


def failures(host):
	t = host.tally
	found = []
	if t["scrapes"] == 0:
		found.append("was never scraped")
	if t["events"] == 0:
		found.append("counted nothing")
	if host.program.loads and t["loads"] == 0:
		found.append("no client was served to its end")
	if t["lost"]:
		found.append(f"{t['lost']} scrapes lost")
	if t["fallen"]:
		found.append(f"{t['fallen']} counters fallen")
	if t["died"]:
		found.append(f"died {t['died']} times by itself")
	for what, column, slack, unit in (("RSS", 1, RESIDENT_SLACK, MIB), ("descriptors", 2, DESCRIPTORS_SLACK, 1)):
		highest, _, last = quarters(host.samples, column)
		if last > highest * 1.25 + slack:
			found.append(f"{what} grew: {last / unit:.1f} in the last quarter, at most {highest / unit:.1f} in the first")
	return found


def show(hosts, files, minutes):
	"""Prints it all; returns whether all is well. files: by host, left behind in its folder."""
	rows = [HEAD, *(row(host, files[host]) for host in hosts)]
	widths = [max(map(len, column)) for column in zip(*rows)]
	for cells in rows:
		print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
			for i, (cell, width) in enumerate(zip(cells, widths))).rstrip())
	print()
	failed = False
	for host in hosts:
		name = host.program.name.rpartition("/")[2]
		for what in failures(host):
			failed = True
			print(f"FAILED  {name}: {what}")
		for what in host.notes:
			print(f"        {name}: {what}")
	total = {key: sum(host.tally[key] for host in hosts) for key in ("scrapes", "lost", "fallen")}
	print(f"soak: {minutes:g} minutes, {total['scrapes']} scrapes, {total['lost']} lost, "
		f"{total['fallen']} counters fallen")
	return not failed
