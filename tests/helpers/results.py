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
GOOD = ("OK", "EXPECTEDFAIL", "SKIP")


def count(test, skips):
    """(passed, failed, skipped) of one test program; appends its skipped lines to skips."""
    if test["result"] == "EXPECTEDFAIL":
        return 1, 0, 0
    passed = failed = skipped = 0
    for line in test.get("stdout", "").splitlines():
        match = TAP.match(line)
        if not match:
            continue
        directive = re.search(r"#\s*(skip|todo)", match[2], re.IGNORECASE)
        if directive and directive[1].lower() == "skip":
            skipped += 1
            skips.append(f"skipped: {test['name'].split(' / ')[-1]}:{match[2]}")
        elif match[1] and not directive:
            failed += 1
        else:
            passed += 1
    if test["result"] not in GOOD and not failed:
        failed = 1  # died, hung, or exited badly after good lines
    if not passed + failed + skipped:
        return (1, 0, 0) if test["result"] == "OK" else (0, 0, 0)
    return passed, failed, skipped


def main():
    totals = [0, 0, 0]
    skips = []
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            totals = [sum(pair) for pair in zip(totals, count(test, skips))]
            if test["result"] not in GOOD:
                print(f"---- {test['name']}: {test['result']}", file=sys.stderr)
                print(test.get("stdout", ""), file=sys.stderr)
                print(test.get("stderr", ""), file=sys.stderr)
    print(*totals)
    print(*skips, sep="\n")


if __name__ == "__main__":
    main()
