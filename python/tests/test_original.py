"""What users of pum 0.10 import and call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import pum
from pum.core import exceptions
from pum.core.checker import Checker
from pum.core.deltapy import DeltaPy
from pum.core.dumper import Dumper
from pum.core.upgrader import DeltaType, Upgrader, UpgradesTableNotFoundError
from pum.pum import Pum

from conftest import TABLE

Make = Callable[..., str]

# As pum 0.10.0 has them.
SIGNATURES = {
    Checker: "pg_service1 pg_service2 exclude_schema exclude_field_pattern ignore_list verbose_level",
    Dumper: "pg_service file",
    Dumper.pg_backup: "pg_dump_exe exclude_schema",
    Dumper.pg_restore: "pg_restore_exe exclude_schema",
    Upgrader: "pg_service upgrades_table dirs variables max_version",
    Upgrader.run: "verbose",
    DeltaPy: "current_db_version delta_dir delta_dirs pg_service upgrades_table variables",
    Pum: "config_file",
    Pum.run_check: "pg_service1 pg_service2 ignore_list exclude_schema exclude_field_pattern verbose_level output_file",
    Pum.run_dump: "pg_service file exclude_schema",
    Pum.run_restore: "pg_service file ignore_restore_errors exclude_schema",
    Pum.run_baseline: "pg_service table delta_dirs baseline",
    Pum.run_info: "pg_service table delta_dirs",
    Pum.run_upgrade: "pg_service table delta_dirs variables max_version verbose",
    Pum.run_test_and_upgrade: "pg_service_prod pg_service_test pg_service_comp file table delta_dirs ignore_list "
    "exclude_schema exclude_field_pattern ignore_restore_errors variables max_version verbose",
}


@pytest.mark.parametrize("what", SIGNATURES, ids=lambda what: what.__qualname__)
def test_signatures_are_those_of_the_original(what: Callable[..., object]) -> None:
    parameters = inspect.signature(what).parameters.values()
    names = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.name != "self"]
    assert names == SIGNATURES[what].split()


def test_where_the_original_had_its_names() -> None:
    from pum import Pum as from_package
    from pum.__main__ import Pum as from_command  # where pum 0.10.0 has the class

    assert from_package is Pum is from_command
    assert DeltaType.PRE_PYTHON == 5 and DeltaType.POST_SQL == 10
    assert issubclass(pum.Error, exceptions.PumException)
    assert issubclass(exceptions.PgRestoreFailed, Warning)


def test_checker(database: Make, service: Callable[..., None]) -> None:
    service(left=database("create table public.pipe (id int)"), right=database())
    same, found = Checker("left", "right", ignore_list=["views"]).run_checks()
    assert not same and found["tables"][0].startswith("- ('public', 'pipe'")
    assert "views" not in found and found["rules"] == []
    assert Checker("left", "left", ignore_list=[]).run_checks()[0] is True


def test_dumper(database: Make, service: Callable[..., None], tmp_path: Path) -> None:
    service(water=database("create table public.pipe (id int)"), copy=database())
    file = str(tmp_path / "water.dump")
    Dumper("water", file).pg_backup()
    Dumper("copy", file).pg_restore()
    assert pum.check("water", "copy").same
    with pytest.raises(exceptions.PgDumpFailed):
        Dumper("water", "/nowhere/x.dump").pg_backup()
    with pytest.raises(exceptions.PgDumpCommandError):
        Dumper("water", file).pg_backup(pg_dump_exe="no_such_pg_dump")
    with pytest.raises(exceptions.PgRestoreFailed):
        Dumper("copy", "/nowhere/x.dump").pg_restore()


def test_upgrader(
    database: Make, service: Callable[..., None], deltas: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    service(water=database())
    directory = str(deltas({"delta_1.10.0_pipe.sql": "create table public.pipe (id int default %(SRID)s)"}))
    upgrader = Upgrader("water", TABLE, [directory], [["int", "SRID", "2056"]])
    assert upgrader.exists_table_upgrades() is False
    with pytest.raises(UpgradesTableNotFoundError):
        upgrader.run()
    upgrader.create_upgrades_table()
    upgrader.create_upgrades_table()
    assert upgrader.exists_table_upgrades() is True and upgrader.current_db_version() is None
    upgrader.set_baseline("1.9.0")
    version = upgrader.current_db_version()
    upgrader.run()
    assert version < upgrader.current_db_version() and str(upgrader.current_db_version()) == "1.10.0"
    capsys.readouterr()
    upgrader.show_info()
    assert "| 1.10.0" in capsys.readouterr().out


def test_a_near_miss_is_left_out_when_that_is_said(
    database: Make, service: Callable[..., None], deltas: Callable[..., Path]
) -> None:
    service(water=database(), comp=database("create table public.pipe (id int)"), test=database())
    near = {"delta_1.1.0_pipe.sql": "create table public.pipe (id int)", "delta_1.1.1_valve.sql.post": "select 1"}
    words = ("water", TABLE, [str(deltas(near))])
    upgrader = Upgrader(*words)
    upgrader.set_baseline("1.0.0")
    ways: list[Callable[[], None]] = [upgrader.run, lambda: Pum().run_upgrade(*words)]
    for go in ways:
        with pytest.raises(pum.Refused, match="looks like a delta"):
            go()
    # A rehearsal tells it, and who goes on then has been told.
    assert Pum().run_test_and_upgrade("water", "test", "comp", None, *words[1:], yes=True) is True
    upgrader.run(allow_near_misses=True)
    Pum().run_upgrade(*words, allow_near_misses=True)
    assert str(upgrader.current_db_version()) == "1.1.0"


def test_commands(
    database: Make,
    service: Callable[..., None],
    deltas: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("yaml")
    service(water=database(), comp=database("create table public.pipe (id int)"), test=database())
    directory = deltas({"delta_1.1.0_pipe.sql": "create table public.pipe (id int)"})
    config = tmp_path / "db_manager_config.yaml"
    config.write_text(f"upgrades_table: {TABLE}\ndelta_dir: {directory}\nignore_elements:\n  - schemas\n")
    tool = Pum(str(config))
    tool.run_baseline("water", "", "", "1.0.0")
    tool.run_info("water", "", "")
    assert "1.1.0" in capsys.readouterr().out
    assert tool.run_check("water", "comp", None, None, None, 1, None) is False

    words = ("water", "test", "comp", str(tmp_path / "water.dump"), "", "", None, None, None, False, None, None, False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert tool.run_test_and_upgrade(*words) is False
    assert "left as it was" in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert tool.run_test_and_upgrade(*words) is True
    assert (tmp_path / "water.dump").exists()
    assert tool.run_check("water", "comp", ["schemas"], None, None, 1, str(tmp_path / "report.txt")) is True
    assert (tmp_path / "report.txt").read_text()
    with pytest.raises(pum.FileError):
        Pum("/nowhere/config.yaml")
