"""Python deltas through both front ends, with the same outcome."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pum
from pum import events

from conftest import TABLE

Make = Callable[..., str]
Front = Callable[[str, Path], "tuple[bool, str]"]

GOOD = '''
import os, subprocess, sys
from pkg_resources import get_distribution, parse_version
from pum.core.deltapy import DeltaPy

class Delta(DeltaPy):
    def run(self):
        assert get_distribution("pum").parsed_version >= parse_version("0.10.0")
        assert self.current_db_version == parse_version("1.0.0")
        assert self.variables == {"SRID": 2056}
        assert os.environ["PGSERVICE"] == self.pg_service
        print("in", sys.prefix)
        self.write_message("SRID %(SRID)s" % self.variables)
        print("to standard error", file=sys.stderr)
        subprocess.check_call([sys.executable, "-c", "print('of a child')"])
'''

FAILING = '''
from pum.core.deltapy import DeltaPy

class Delta(DeltaPy):
    def run(self):
        raise RuntimeError("no water")
'''


def by_library(water: str, directory: Path) -> tuple[bool, str]:
    lines: list[str] = []

    def listener(event: events.Event) -> None:
        if isinstance(event, events.Output):
            lines.append(event.line)

    try:
        pum.upgrade(water, TABLE, directory, variables={"SRID": 2056}, progress=listener)
    except pum.ProgramFailed as error:
        return False, "\n".join([*lines, str(error)])
    return True, "\n".join(lines)


def by_command(water: str, directory: Path) -> tuple[bool, str]:
    words = ["upgrade", "-p", water, "-t", TABLE, "-d", str(directory), "-v", "int", "SRID", "2056"]
    done = subprocess.run([sys.executable, "-m", "pum", *words], capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(params=[by_library, by_command], ids=["library", "command"])
def front(request: pytest.FixtureRequest) -> Front:
    chosen: Front = request.param
    return chosen


def test_a_delta_finds_what_it_needs(front: Front, database: Make, deltas: Callable[..., Path]) -> None:
    water, directory = database(), deltas({"delta_1.1.0_good.py": GOOD})
    pum.baseline(water, TABLE, "1.0.0")
    before = dict(os.environ)
    done, text = front(water, directory)
    assert done, text
    lines = ("Message from Delta: SRID 2056", "to standard error", "of a child", f"in {sys.prefix}")
    for line in lines:  # of the Python that has pum, whatever is in PATH
        assert line in text
    assert pum.info(water, TABLE, directory).current_version == "1.1.0"
    assert dict(os.environ) == before and not (directory / "__pycache__").exists()


def test_a_delta_that_fails_stops_the_upgrade(
    front: Front, database: Make, deltas: Callable[..., Path], sql: Callable[[str, str], None]
) -> None:
    water = database()
    directory = deltas({"delta_1.1.0_bad.py": FAILING, "delta_1.2.0_next.sql": "create table public.next (id int)"})
    pum.baseline(water, TABLE, "1.0.0")
    done, text = front(water, directory)
    assert not done
    assert "RuntimeError: no water" in text and "delta_1.1.0_bad.py:6" in text
    info = pum.info(water, TABLE, directory)
    assert info.current_version == "1.0.0"
    (bad,) = [delta for delta in info.deltas if delta.name == "bad"]
    assert bad.remark is not None and "begun" in bad.remark
    sql(water, "do $$ begin assert (select not success from water_sys.upgrades where description = 'bad'); end $$")


@pytest.mark.parametrize(
    "text, words",
    [
        ("import sys\nfrom pum.core.deltapy import DeltaPy\nsys.exit(3)", "sys.exit(3)"),
        ("x = 1", "no subclass"),
        ("import no_such_module_anywhere", "no_such_module_anywhere"),
        ("def f(:", "SyntaxError"),
    ],
)
def test_what_is_wrong_is_said_alike(
    front: Front, database: Make, deltas: Callable[..., Path], text: str, words: str
) -> None:
    water, directory = database(), deltas({"delta_1.1.0_wrong.py": text})
    pum.baseline(water, TABLE, "1.0.0")
    done, said = front(water, directory)
    assert not done and words in said


def test_ctrl_c_in_a_delta_is_the_callers(database: Make, deltas: Callable[..., Path]) -> None:
    interrupting = FAILING.replace('RuntimeError("no water")', "KeyboardInterrupt()")
    water, directory = database(), deltas({"delta_1.1.0_interrupted.py": interrupting})
    pum.baseline(water, TABLE, "1.0.0")
    with pytest.raises(KeyboardInterrupt):
        pum.upgrade(water, TABLE, directory)
    assert pum.info(water, TABLE, directory).current_version == "1.0.0"


def test_another_interpreter_may_be_named(database: Make, deltas: Callable[..., Path]) -> None:
    where = "import os\nfrom pum.core.deltapy import DeltaPy\nclass D(DeltaPy):\n    def run(self):\n        print(os.getpid())\n"
    water, directory = database(), deltas({"delta_1.1.0_a.py": where, "delta_1.2.0_b.py": where})
    pum.baseline(water, TABLE, "1.0.0")
    lines: list[str] = []

    def listener(event: events.Event) -> None:
        if isinstance(event, events.Output):
            lines.append(event.line)

    pum.upgrade(water, TABLE, directory, max_version="1.1.0", progress=listener)
    pum.upgrade(water, TABLE, directory, python=sys.executable, progress=listener)
    assert lines[0] == str(os.getpid()) and lines[1] != str(os.getpid())


def test_the_base_class_is_that_of_the_runner() -> None:
    from pum import _pum
    from pum.core.deltapy import DeltaPy

    here = sys.modules[DeltaPy.__module__].__file__
    assert here is not None and _pum.DELTA_FILES["package/pum/core/deltapy.py"] == Path(here).read_text()
