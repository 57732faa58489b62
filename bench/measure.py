#!/usr/bin/env python3
"""Measures two commands against each other: A B A B ..., then prints medians and their ratio. Or one alone.

    measure.py --a NAME COMMAND [--b NAME COMMAND] [--rounds N] [--before COMMAND] [--after COMMAND]
               [--ratio R] [--memory MB] [--seconds S]

The commands are run by bash and must end with 0; --before and --after run around each, unmeasured. --ratio,
--memory and --seconds are what A must keep to; the program ends with 1 when it does not. Peak memory is that of
the largest process of a command; it counts the moment before the command replaced this program, so that some
15 MB are the least it can say.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time


def run(command: str) -> tuple[float, float]:
    """Runs a command in bash: the seconds it took and its peak memory in MB."""
    begin = time.perf_counter()
    child = subprocess.Popen(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.stdout.write(output.decode(errors="replace"))
        sys.exit(f"measure.py: ended with {child.returncode}: {command}")
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return seconds, usage.ru_maxrss / scale


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--a", nargs=2, required=True, metavar=("NAME", "COMMAND"))
    arguments.add_argument("--b", nargs=2, metavar=("NAME", "COMMAND"))
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--before")
    arguments.add_argument("--after")
    arguments.add_argument("--ratio", type=float)
    arguments.add_argument("--memory", type=float)
    arguments.add_argument("--seconds", type=float)
    given = arguments.parse_args()

    commands = [given.a, given.b] if given.b else [given.a]
    times: list[list[float]] = [[] for _ in commands]
    peaks = [0.0, 0.0]
    for _ in range(given.rounds):
        for side, (_, command) in enumerate(commands):
            if given.before:
                run(given.before)
            seconds, peak = run(command)
            times[side].append(seconds)
            peaks[side] = max(peaks[side], peak)
            if given.after:
                run(given.after)

    medians = [statistics.median(side) for side in times]
    ratio = medians[0] / medians[1] if given.b else None
    for (name, _), median, side, peak in zip(commands, medians, times, peaks):
        print(f"{name:<44} {median:8.4f} s  ({min(side):.4f} to {max(side):.4f}, {len(side)} runs)  {peak:5.0f} MB")
    kept = True
    for what, value, limit in (
        ("ratio", ratio, given.ratio),
        ("peak memory, MB", peaks[0], given.memory),
        ("seconds", medians[0], given.seconds),
    ):
        if limit is not None and value is not None:
            within = value <= limit
            kept &= within
            print(f"{what:<44} {value:8.4g}    at most {limit:g}: {'kept' if within else 'NOT KEPT'}")
        elif what == "ratio" and value is not None:
            print(f"{what:<44} {value:8.4g}")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
