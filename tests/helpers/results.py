#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tells what runs of `meson test` did.

usage: results.py count TESTLOG.json...      "PASSED FAILED SKIPPED", then a line for each that was skipped
       results.py failures TESTLOG.json...   each test that failed: name, file and line, end of its output
       results.py slowest N TESTLOG.json...  the N tests that took longest
       results.py repeated TESTLOG.json...   of the same tests run again and again, those that were red

A line of TAP is a test; so is a program that prints none, that died, or that hung. The last exits
with 1 if there was any.
"""

import collections
import json
import re
import sys

TAP = re.compile(r"^(not )?ok\b(.*)")
DIRECTIVE = re.compile(r"#\s*(skip|todo)", re.IGNORECASE)
NAME = re.compile(r"^\s*\d*\s*(?:- )?(.*?)(?: in (\d+)ms)?((?:\s+#\s*(?:skip|todo)\b.*)?)$", re.IGNORECASE)
# bats: "(in test file tests/a.bats, line 7)", from a function "(from function `f' in file ..., line 7,";
# tap.h: "failed at ../tests/unit/a.c:7"
PLACE = re.compile(r"in test file (?:\.\./)*(\S+), line (\d+)|failed at (?:\.\./)*(\S+?):(\d+)")
# what says where, and not what
FRAME = re.compile(r"\s*(\(?from function|\(?in test file|failed at|`.*' failed)")
GOOD = ("OK", "EXPECTEDFAIL", "SKIP")
LINES = 20
MOST = 40

Test = collections.namedtuple("Test", "program name outcome seconds output")


def tests(path):
    """The test programs of a log."""
    with open(path, encoding="utf-8") as log:
        for line in log:
            yield json.loads(line)


def outcome_of(match):
    """What a line of TAP says: passed, failed or skipped."""
    directive = DIRECTIVE.search(match[2])
    if directive and directive[1].lower() == "skip":
        return "skipped"
    return "failed" if match[1] and not directive else "passed"


def outcomes(program):
    """("passed", "failed" or "skipped", rest of the line) of each line of TAP of a test program."""
    for line in program.get("stdout", "").splitlines():
        match = TAP.match(line)
        if match:
            yield outcome_of(match), match[2]


def short(program, path):
    """A program's name without those of the project and the suite, with its build unless that is build/."""
    build = re.search(r"\bbuild-(asan|clang|minimal|release|tsan|ubsan)-", path)
    return (f"{build[1]} " if build else "") + program["name"].split(" / ")[-1]


def dissect(program, path):
    """Each test of a program, with the lines that came behind its own; those before the first are nobody's."""
    found = []
    name_of_program = short(program, path)
    for line in program.get("stdout", "").splitlines():
        match = TAP.match(line)
        if match and program["result"] != "EXPECTEDFAIL":
            name = NAME.match(match[2])
            seconds = int(name[2]) / 1000 if name[2] else 0.0
            found.append(Test(name_of_program, name[1] + name[3], outcome_of(match), seconds, []))
        elif found:
            found[-1].output.append(line.removeprefix("#").removeprefix(" "))
    bad = program["result"] not in GOOD
    if bad and not any(test.outcome == "failed" for test in found):
        # died, hung, or exited badly after good lines
        said = program.get("stdout", "") + program.get("stderr", "")
        said = said.partition("\nShadow bytes around")[0].splitlines()  # AddressSanitizer's map of memory
        ended = f"{program['result'].lower()} after {program['duration']:.0f} s, status {program['returncode']}"
        found.append(Test(name_of_program, "", "failed", program["duration"], [ended, *said[1 - LINES :]]))
    elif not found and program["result"] != "SKIP":
        found.append(Test(name_of_program, "", "passed", program["duration"], []))
    return found


def every(paths):
    return [test for path in paths for program in tests(path) for test in dissect(program, path)]


def title(test):
    return f"{test.program}: {test.name}" if test.name else test.program


def place(test):
    """Where a test failed, if its output says so."""
    for line in test.output:
        match = PLACE.search(line)
        if match:
            return f"{match[1] or match[3]}:{match[2] or match[4]}"
    return ""


def told(test):
    """The end of a test's output, and what stands before it of where it failed."""
    lines = test.output
    if len(lines) <= LINES:
        return lines
    frames = next((n + 1 for n, line in enumerate(lines[:8]) if line.endswith("' failed")), 1)
    return [*lines[:frames], "...", *lines[frames + 1 - LINES :]]


def count(*paths):
    found = every(paths)
    number = collections.Counter(test.outcome for test in found)
    print(number["passed"], number["failed"], number["skipped"])
    for test in found:
        if test.outcome == "skipped":
            print(f"skipped: {title(test)}")
    return 0


def failures(*paths):
    found = [test for test in every(paths) if test.outcome == "failed"]
    for test in found[:MOST]:
        said = [place(test), *told(test)]
        print(f"not ok - {title(test)}", *(f"    {line}".rstrip() for line in said if line), sep="\n")
    if len(found) > MOST:
        print(f"and {len(found) - MOST} more")
    return 0


def slowest(number, *paths):
    for test in sorted(every(paths), key=lambda test: -test.seconds)[: int(number)]:
        print(f"{test.seconds:7.1f} s  {title(test)}")
    return 0


def gist(test):
    """What a failure is known by: its place, and the first line that says more than where."""
    lines = [line.strip() for line in test.output if line.strip() and not FRAME.match(line)]
    lines = [line for line in lines if line != "--"]
    return " ".join([place(test), *lines[:1]]).strip()


def repeated(*paths):
    runs, red = collections.Counter(), collections.defaultdict(collections.Counter)
    for test in every(paths):
        runs[title(test)] += test.outcome != "skipped"
        if test.outcome == "failed":
            red[title(test)][gist(test)] += 1
    for name, kinds in sorted(red.items()):
        print(f"{name}\n  {runs[name]} runs, {kinds.total()} red")
        print(*(f"  {number:3} x {kind}" for kind, number in kinds.most_common()), sep="\n")
    return 1 if red else 0


def main():
    verbs = {"count": count, "failures": failures, "slowest": slowest, "repeated": repeated}
    if len(sys.argv) < 3 or sys.argv[1] not in verbs:
        print(__doc__, file=sys.stderr)
        return 2
    return verbs[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
