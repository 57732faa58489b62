"""Python deltas that run in the process that calls: whose the streams, the environment and the exceptions are."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import pum
from pum import events

from conftest import TABLE

Make = Callable[..., str]
Deltas = Callable[..., Path]

HEAD = """
import logging, os, subprocess, sys, threading, time
import pum
from pum.core.deltapy import DeltaPy

class Delta(DeltaPy):
    def run(self):
        """


def delta(text: str) -> str:
    return HEAD + text.strip().replace("\n", "\n        ") + "\n"


@pytest.fixture
def water(database: Make) -> str:
    made = database()
    pum.baseline(made, TABLE, "1.0.0")
    return made


def lines_of(water: str, directory: Path) -> list[str]:
    lines: list[str] = []

    def listener(event: events.Event) -> None:
        if isinstance(event, events.Output):
            lines.append(event.line)

    pum.upgrade(water, TABLE, directory, progress=listener)
    return lines


def version(water: str, directory: Path) -> object:
    return pum.info(water, TABLE, directory).current_version


def test_a_listener_may_print(water: str, deltas: Deltas, capfd: pytest.CaptureFixture[str]) -> None:
    text = 'print("of the delta")\nos.system("echo of a child")\nprint("again")'
    pum.upgrade(water, TABLE, deltas({"delta_1.1.0_x.py": delta(text)}), progress=print)
    out, error = capfd.readouterr()
    told = [line for line in out.splitlines() if "delta_1.1.0_x.py" in line]
    assert told == [f"delta_1.1.0_x.py: {line}" for line in ("of the delta", "of a child", "again")] and not error


def test_lines_are_told_in_order_and_at_once(water: str, deltas: Deltas) -> None:
    seen = "assert os.path.exists(os.path.join(self.delta_dir, 'told'))"
    directory = deltas({"delta_1.1.0_x.py": delta(f'print("now")\n{seen}\nprint("begun", end="")')})
    told: list[str] = []

    def listener(event: events.Event) -> None:
        if isinstance(event, events.Output):
            told.append(event.line)
            (directory / "told").touch()
            assert threading.current_thread() is caller

    caller = threading.current_thread()
    pum.upgrade(water, TABLE, directory, progress=listener)
    assert told == ["now", "begun"]


def test_the_streams_are_what_a_process_has(water: str, deltas: Deltas) -> None:
    text = """
child = [sys.executable, "-c", "import sys; print(sys.argv[1], flush=True)"]
print("one")
subprocess.check_call([*child, "two"])
subprocess.check_call([*child, "three"], stdout=sys.stdout, stderr=sys.stderr)
sys.stdout.buffer.write(b"four\\n")
print("five", file=sys.stderr)
print("odd \\udcff")
print(repr(sys.stdin.read()), subprocess.run(["cat"], stdout=subprocess.PIPE).stdout)
def later():
    time.sleep(0.2)
    print("of a thread")
threading.Thread(target=later).start()
"""
    lines = lines_of(water, deltas({"delta_1.1.0_x.py": delta(text)}))
    assert lines == ["one", "two", "three", "four", "five", "odd \\udcff", "'' b''", "of a thread"]


def test_a_delta_may_close_its_streams(water: str, deltas: Deltas, capfd: pytest.CaptureFixture[str]) -> None:
    directory = deltas({"delta_1.1.0_x.py": delta('print("last words")\nsys.stdout.close()')})
    assert lines_of(water, directory) == ["last words"]
    print("still there")
    assert capfd.readouterr() == ("still there\n", "")


@pytest.mark.skipif(sys.platform == "darwin", reason="forks of a process with threads")
def test_a_child_that_was_forked_ends(water: str, deltas: Deltas) -> None:
    text = """
child = os.fork()
if child == 0:
    raise RuntimeError("in the child")
print("child ended with", os.waitpid(child, 0)[1] >> 8)
child = os.fork()
if child == 0:
    print("a child that goes its way")
    return
print("child ended with", os.waitpid(child, 0)[1] >> 8)
"""
    directory = deltas({"delta_1.1.0_x.py": delta(text)})
    lines = lines_of(water, directory)
    assert "RuntimeError: in the child" in lines and "a child that goes its way" in lines
    assert [line for line in lines if "ended" in line] == ["child ended with 1", "child ended with 0"]
    assert version(water, directory) == "1.1.0"


def test_nothing_of_a_town_stays_for_the_next(database: Make, tmp_path: Path) -> None:
    text = """
sys.path.insert(0, self.delta_dir)
import water_helper_of_the_town
os.chdir(self.delta_dir)
os.environ["TOWN"] = water_helper_of_the_town.NAME
logging.basicConfig(level=logging.INFO)
logging.info("of %s", os.environ["TOWN"])
"""
    before = os.getcwd(), dict(os.environ), sys.path[:], logging.root.handlers[:], logging.root.level
    for town in ("arvel", "brenn"):
        directory = tmp_path / town
        directory.mkdir()
        (directory / "delta_1.1.0_x.py").write_text(delta(text))
        (directory / "water_helper_of_the_town.py").write_text(f"NAME = {town!r}")
        water = database()
        pum.baseline(water, TABLE, "1.0.0")
        logging.root.handlers[:] = []
        try:
            # Told once, though the delta's own handler hears what the logger `pum` is told.
            assert lines_of(water, directory) == [f"INFO:root:of {town}"]
            assert logging.root.handlers == []
        finally:
            logging.root.handlers[:] = before[3]
        assert (os.getcwd(), dict(os.environ), sys.path, logging.root.handlers, logging.root.level) == before
        assert "water_helper_of_the_town" not in sys.modules and "pum_delta" not in sys.modules


def test_an_exception_of_the_listener_is_the_callers(water: str, deltas: Deltas) -> None:
    text = 'try:\n    print("x")\nexcept Exception:\n    pass'
    directory = deltas({"delta_1.1.0_x.py": delta(text), "delta_1.2.0_next.sql": "create table public.next (id int)"})

    def listener(event: events.Event) -> None:
        if isinstance(event, events.Output):
            raise ZeroDivisionError("of the listener")

    with pytest.raises(ZeroDivisionError):
        pum.upgrade(water, TABLE, directory, progress=listener)
    info = pum.info(water, TABLE, directory)
    assert info.current_version == "1.1.0", "the delta finished"
    assert [(one.name, one.status) for one in info.deltas if one.name in "x next"] == [("x", "applied"), ("next", "pending")]


def test_who_raises_when_all_is_done_hears_that(water: str, deltas: Deltas) -> None:
    directory = deltas({"delta_1.1.0_x.py": delta('print("x")')})

    def listener(event: events.Event) -> None:
        if isinstance(event, events.Output):
            raise ZeroDivisionError("of the listener")

    with pytest.raises(ZeroDivisionError) as raised:
        pum.upgrade(water, TABLE, directory, progress=listener)
    assert version(water, directory) == "1.1.0"
    assert raised.value.__cause__ is None and "done its work" in raised.value.__notes__[0]  # type: ignore[attr-defined,unused-ignore]


def test_a_cancel_during_a_delta_that_finishes_counts_afterwards(water: str, deltas: Deltas) -> None:
    directory = deltas({"delta_1.1.0_x.py": delta('print("x")'), "delta_1.2.0_next.py": delta('print("never")')})
    cancel = pum.Cancel()
    told: list[str] = []

    def listener(event: events.Event) -> None:
        if isinstance(event, events.Output):
            told.append(event.line)
            cancel.cancel()

    with pytest.raises(pum.Cancelled):
        pum.upgrade(water, TABLE, directory, progress=listener, cancel=cancel)
    assert told == ["x"] and version(water, directory) == "1.1.0"


@pytest.mark.parametrize("raises", [True, False], ids=["exception", "cancel"])
def test_no_delta_runs_when_the_run_is_cancelled(water: str, deltas: Deltas, raises: bool) -> None:
    directory = deltas({"delta_1.1.0_x.py": delta("open(os.path.join(self.delta_dir, 'ran'), 'w').close()")})
    cancel = pum.Cancel()

    def listener(event: events.Event) -> None:
        if isinstance(event, events.StepStarted):
            if raises:
                raise ZeroDivisionError
            cancel.cancel()

    with pytest.raises(ZeroDivisionError if raises else pum.Cancelled):
        pum.upgrade(water, TABLE, directory, progress=listener, cancel=cancel)
    assert not (directory / "ran").exists() and version(water, directory) == "1.0.0"
    pum.upgrade(water, TABLE, directory)
    assert (directory / "ran").exists()


def test_others_wait_while_a_delta_has_the_environment(
    water: str, database: Make, deltas: Deltas, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
open(os.path.join(self.delta_dir, "begun"), "w").close()
for _ in range(400):
    if os.path.exists(os.path.join(self.delta_dir, "go")):
        break
    time.sleep(0.05)
"""
    other = database()
    directory = deltas({"delta_1.1.0_x.py": delta(text)})
    upgrade = threading.Thread(target=lambda: pum.upgrade(water, TABLE, directory))
    upgrade.start()
    while not (directory / "begun").exists():
        assert upgrade.is_alive()
    waited: list[str] = []

    def listener(event: events.Event) -> None:
        if isinstance(event, events.Waiting):
            waited.append(event.text)
            (directory / "go").touch()

    with pytest.raises(pum.Cancelled):
        cancel = pum.Cancel()
        threading.Timer(0.3, cancel.cancel).start()
        pum.snapshot(other, cancel=cancel)
    pum.snapshot(other, progress=listener)
    assert len(waited) == 1 and "Python delta" in waited[0]
    upgrade.join()


def test_a_delta_may_call_pum(water: str, database: Make, deltas: Deltas) -> None:
    other = database()
    text = f"""
def look():
    print(pum.check("service=" + self.pg_service, {other!r}, table=self.upgrades_table).same)
look()
thread = threading.Thread(target=look)
thread.start()
thread.join()
"""
    assert lines_of(water, deltas({"delta_1.1.0_x.py": delta(text)})) == ["True", "True"]


def test_a_delta_in_a_delta_is_refused(water: str, database: Make, deltas: Deltas, tmp_path: Path) -> None:
    inner, other = tmp_path / "inner", database()
    inner.mkdir()
    (inner / "delta_1.1.0_inner.py").write_text(delta('print("inner")'))
    pum.baseline(other, TABLE, "1.0.0")
    call = f"pum.upgrade({other!r}, self.upgrades_table, {str(inner)!r}"
    directory = deltas({"delta_1.1.0_x.py": delta(call + ")")})
    with pytest.raises(pum.ProgramFailed, match="UsageError"):
        pum.upgrade(water, TABLE, directory)
    directory = deltas({"delta_1.1.0_x.py": delta(call + ", python=sys.executable)")})
    pum.upgrade(water, TABLE, directory)
    assert version(other, inner) == "1.1.0"


def test_ctrl_c_in_a_delta_leaves_what_its_child_wrote(water: str, deltas: Deltas) -> None:
    text = 'os.system("echo of a child")\nraise KeyboardInterrupt'
    directory = deltas({"delta_1.1.0_x.py": delta(text)})
    program = (
        "import pum\n"
        "try:\n"
        f"    pum.upgrade({water!r}, {TABLE!r}, {str(directory)!r}, progress=print)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["delta_1.1.0_x.py: of a child", "interrupted"] and not done.stderr
