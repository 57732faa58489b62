"""The package as it is installed: the command, the metadata, the documentation."""

from __future__ import annotations

import doctest
import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import pum
import pum._api
import pum._errors

from conftest import TABLE

ROOT = Path(__file__).parent.parent.parent
Make = Callable[..., str]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "pum"), *words], capture_output=True, text=True
    )


def module(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pum", *words], capture_output=True, text=True)


def test_it_is_the_installed_package() -> None:
    assert "site-packages" in pum.__file__, "these tests are for the wheel, not for the source tree"
    assert (Path(pum.__file__).parent / "py.typed").exists()


def test_the_version_is_found() -> None:
    version = importlib.metadata.version("pum")
    assert version == pum.__version__ and int(version.split(".")[0]) >= 2
    metadata = importlib.metadata.metadata("pum")
    assert metadata["License-Expression"] == "MIT OR Apache-2.0" and metadata["Requires-Python"] == ">=3.9"
    assert not [name for name in importlib.metadata.requires("pum") or [] if "extra" not in name]


@pytest.mark.parametrize(
    "words",
    [["-v"], ["--help"], [], ["check", "--help"], ["check"], ["info", "-p", "no_such_service", "-t", "a.b", "-d", "."]],
    ids=" ".join,
)
def test_python_m_pum_is_pum(words: list[str]) -> None:
    one, other = command(*words), module(*words)
    assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)
    assert one.stdout + one.stderr
    if words == ["-v"]:
        assert one.stdout == f"pum version {pum.__version__}\n" and one.returncode == 0


def test_the_command_ends_in_order_at_ctrl_c(database: Make, deltas: Callable[..., Path]) -> None:
    water, directory = database(), deltas({"delta_1.1.0_slow.sql": "select pg_sleep(30)"})
    pum.baseline(water, TABLE, "1.0.0")
    words = ["upgrade", "-p", water, "-t", TABLE, "-d", str(directory)]
    child = subprocess.Popen(
        [sys.executable, "-m", "pum", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(3)
    child.send_signal(signal.SIGINT)
    text, _ = child.communicate(timeout=20)
    assert child.returncode == 130 and "rolled back" in text and "Traceback" not in text, text


@pytest.mark.parametrize("documented", [pum._api, pum._errors], ids=lambda documented: documented.__name__)
def test_examples_run(documented: object) -> None:
    found = doctest.testmod(documented)  # type: ignore[arg-type]
    assert found.attempted > 0 and found.failed == 0


def test_examples_of_the_page_run(database: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "python" / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    (towns,) = [block for block in blocks if "towns = [" in block]
    names = re.findall(r'"(water_\w+)"', towns)
    deltas = tmp_path / "deltas"
    deltas.mkdir()
    (deltas / "delta_1.1.0_pipe.sql").write_text("create table public.pipe (id int)")
    (tmp_path / "create.sql").write_text("create table public.pipe (id int)")
    lines: list[str] = []
    for name in names:
        water = database()
        pum.baseline(water, "water_sys.upgrades", "1.0.0")
        lines += [f"[{name}]", *water.split(), ""]
    (tmp_path / "pg_service.conf").write_text("\n".join(lines))
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "pg_service.conf"))
    monkeypatch.chdir(tmp_path)
    exec(compile(towns, str(page), "exec"), {})
    written = (tmp_path / "towns.html").read_text()
    assert all(name in written for name in names) and "1.1.0" in written

    (fixture,) = [block for block in blocks if "@pytest.fixture" in block]
    (tmp_path / "test_water.py").write_text(fixture)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_water.py"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
