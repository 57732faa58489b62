"""A throw-away server for the tests, and a database for each."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pum

TABLE = "water_sys.upgrades"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[pum.Server]:
    with pum.Server(programs=os.environ.get("PUM_TEST_SERVER")) as started:
        yield started


@pytest.fixture
def database(server: pum.Server) -> Callable[..., str]:
    """Makes databases with some SQL in them; gives the conninfo string."""

    def make(sql: str = "") -> str:
        name = f"test_{next(_numbers)}"
        made = server.create_database(name)
        if sql:
            server.execute(name, sql)
        return made

    return make


@pytest.fixture
def sql(server: pum.Server) -> Callable[[str, str], None]:
    """Runs statements in a database that ``database`` made."""

    def run(conninfo: str, statements: str) -> None:
        server.execute(conninfo.split("dbname=")[1].split()[0], statements)

    return run


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes databases known by service names."""

    def make(**services: str) -> None:
        lines = []
        for name, conninfo in services.items():
            lines += [f"[{name}]", *conninfo.split(), ""]
        file = tmp_path / "pg_service.conf"
        file.write_text("\n".join(lines))
        monkeypatch.setenv("PGSERVICEFILE", str(file))

    return make


@pytest.fixture
def deltas(tmp_path: Path) -> Callable[..., Path]:
    """A directory of deltas: names, with ``__`` for a dot, and texts."""

    def make(files: dict[str, str]) -> Path:
        directory = tmp_path / "deltas"
        directory.mkdir(exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text)
        return directory

    return make
