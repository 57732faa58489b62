#!/usr/bin/env python3
"""The calls of qwat.sh through `import pum`, as a program of the user would make them; the words are those of the command."""

import argparse
import sys

import pum


def words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="by_library.py")
    parser.add_argument("-v", "--version", action="version", version=f"pum version {pum.__version__} by import pum")
    commands = parser.add_subparsers(dest="command", required=True)
    restore = commands.add_parser("restore")
    restore.add_argument("-p", dest="database")
    restore.add_argument("file")
    baseline = commands.add_parser("baseline")
    baseline.add_argument("-p", dest="database")
    baseline.add_argument("-b", dest="version")
    test = commands.add_parser("test-and-upgrade")
    for short in ("-pp", "-pt", "-pc", "-f"):
        test.add_argument(short)
    for command in (baseline, test):
        command.add_argument("-t", dest="table")
        command.add_argument("-d", dest="directories", nargs="+")
    check = commands.add_parser("check")
    check.add_argument("-p1", dest="left")
    check.add_argument("-p2", dest="right")
    for command in (test, check):
        command.add_argument("-i", dest="ignore", nargs="*", default=[])
    return parser


def main() -> bool:
    given = words().parse_args()
    if given.command == "restore":
        pum.restore(given.file, given.database)
    elif given.command == "baseline":
        pum.baseline(given.database, given.table, given.version)
    elif given.command == "check":
        report = pum.check(given.left, given.right, ignore=given.ignore)
        print(report.to_text(), end="")
        return report.same
    else:
        options = {"expected": given.pc, "test": given.pt, "backup": given.f, "ignore": given.ignore, "progress": print}
        with pum.rehearse(given.pp, given.table, given.directories, **options) as rehearsal:
            print(rehearsal.verdict)
            return rehearsal.clean and rehearsal.carry_out(progress=print).as_rehearsed
    return True


if __name__ == "__main__":
    try:
        sys.exit(0 if main() else 1)
    except pum.Error as error:
        sys.exit(str(error))
