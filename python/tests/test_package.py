"""The package as it is installed: the command, the metadata, the documentation."""

from __future__ import annotations

import doctest
import importlib.metadata
import os
import re
import signal
import subprocess
import sys
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


UNDER_WAY = """
do $$ begin
  for i in 1..400 loop
    perform pg_stat_clear_snapshot();
    exit when exists (select from pg_stat_activity where query like '%pg_sleep(30)%' and pid <> pg_backend_pid()
      and datname = current_database());
    perform pg_sleep(0.05);
  end loop;
end $$"""


def test_the_command_ends_in_order_at_ctrl_c(
    database: Make, deltas: Callable[..., Path], sql: Callable[[str, str], None]
) -> None:
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
    sql(water, UNDER_WAY)
    child.send_signal(signal.SIGINT)
    text, _ = child.communicate(timeout=20)
    assert child.returncode == 130 and "rolled back" in text and "Traceback" not in text, text


@pytest.mark.parametrize("documented", [pum._api, pum._errors], ids=lambda documented: documented.__name__)
def test_examples_run(documented: object) -> None:
    found = doctest.testmod(documented)  # type: ignore[arg-type]
    assert found.attempted > 0 and found.failed == 0


PAGE = ROOT / "python" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def towns(database: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The databases and files that the page speaks of."""
    deltas = tmp_path / "deltas"
    deltas.mkdir()
    (deltas / "delta_1.1.0_pipe.sql").write_text("create table public.pipe (id int)")
    (tmp_path / "create.sql").write_text("create table public.pipe (id int)")
    lines: list[str] = []
    for name in ("water_prod", "water_new", "water_arvier", "water_bourg"):
        water = database()
        pum.baseline(water, "water_sys.upgrades", "1.0.0")
        lines += [f"[{name}]", *water.split(), ""]
    (tmp_path / "pg_service.conf").write_text("\n".join(lines))
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "pg_service.conf"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def block(words: str) -> str:
    found: list[str] = [text for text in BLOCKS if words in text]
    (one,) = found
    return one


def run(text: str) -> None:
    exec(compile(text, str(PAGE), "exec"), {})


def test_every_example_of_the_page_is_run_below() -> None:
    assert len(BLOCKS) == 4 and len({block(words) for words in EXAMPLES}) == 4


EXAMPLES = ("report = pum.check(", "applied = pum.upgrade(", "towns.html", "@pytest.fixture")


def test_the_first_examples_run(towns: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(block(EXAMPLES[0]))
    run(block(EXAMPLES[1]))
    said = capsys.readouterr().out
    assert "0 differences" in said and "['1.1.0 pipe (delta sql)']" in said and "step 1 of 1" in said


def test_the_towns_of_the_page_are_upgraded(towns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = block(EXAMPLES[2])
    assert len(script.splitlines()) <= 13
    # One that fails ends nothing, and what is told of it is escaped.
    run(script.replace('"water_arvier", ', '"water_arvier", "<i>gone", '))
    written = (towns / "towns.html").read_text()
    for town in ("water_arvier", "water_bourg"):
        assert f"<h1>{town}: The rehearsal is clean; 1.1.0</h1>" in written
        assert pum.info(town, "water_sys.upgrades", "deltas").current_version == "1.1.0"
    assert "<h1>&lt;i&gt;gone: " in written and "<i>gone" not in written


def test_the_fixture_of_the_page_runs(towns: Path) -> None:
    (towns / "test_water.py").write_text(block(EXAMPLES[3]))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_water.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_demo_finds_itself_beside_a_pum_py(tmp_path: Path) -> None:
    """What the command starts again is the package, whatever lies in the directory where it works."""
    (tmp_path / "pum.py").write_text("raise SystemExit('the wrong pum')")
    source = Path(pum.__file__).with_name("__main__.py").read_text()
    again = re.search(r'again = "(.*)"', source)
    assert again is not None
    done = subprocess.run([sys.executable, "-c", again[1], "-v"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == f"pum version {pum.__version__}\n", done.stderr
