#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what a `meson test` run did: results.py TESTLOG.json

Prints "PASSED FAILED SKIPPED", a line of TAP counted each, then what was skipped, and on
stderr, for each test that failed, all of its output (meson itself shows the last 100 lines).
"""

import json
import re
import sys

TAP = re.compile(r"^(not )?ok\b(.*)")
DIRECTIVE = re.compile(r"#\s*(skip|todo)", re.IGNORECASE)
GOOD = ("OK", "EXPECTEDFAIL", "SKIP")


def tests(path):
    """The test programs of a log."""
    with open(path, encoding="utf-8") as log:
        for line in log:
            yield json.loads(line)


def outcomes(test):
    """("passed", "failed" or "skipped", rest of the line) of each line of TAP of a test program."""
    for line in test.get("stdout", "").splitlines():
        match = TAP.match(line)
        if not match:
            continue
        directive = DIRECTIVE.search(match[2])
        if directive and directive[1].lower() == "skip":
            yield "skipped", match[2]
        else:
            yield "failed" if match[1] and not directive else "passed", match[2]


def count(test, skips):
    """(passed, failed, skipped) of one test program; appends its skipped lines to skips."""
    if test["result"] == "EXPECTEDFAIL":
        return 1, 0, 0
    number = {"passed": 0, "failed": 0, "skipped": 0}
    for outcome, rest in outcomes(test):
        number[outcome] += 1
        if outcome == "skipped":
            skips.append(f"skipped: {test['name'].split(' / ')[-1]}:{rest}")
    if test["result"] not in GOOD and not number["failed"]:
        number["failed"] = 1  # died, hung, or exited badly after good lines
    if not sum(number.values()):
        return (1, 0, 0) if test["result"] == "OK" else (0, 0, 0)
    return tuple(number.values())


def main():
    totals = [0, 0, 0]
    skips = []
    for test in tests(sys.argv[1]):
        totals = [sum(pair) for pair in zip(totals, count(test, skips))]
        if test["result"] not in GOOD:
            print(f"---- {test['name']}: {test['result']}", file=sys.stderr)
            print(test.get("stdout", ""), file=sys.stderr)
            print(test.get("stderr", ""), file=sys.stderr)
    print(*totals)
    print(*skips, sep="\n")


if __name__ == "__main__":
    main()
