"""``Upgrader`` of pum 0.10."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union

from pum import _api, _delta, _pum
from pum._databases import given
from pum._watch import watch
from pum.core.deltapy import DeltaPy

__all__ = ["DeltaPy", "DeltaType", "Upgrader", "UpgradesTableNotFoundError"]


class UpgradesTableNotFoundError(Exception):
    """The upgrades table is not there."""


class DeltaType:
    """The codes of the column ``type``."""

    PRE = 1
    POST = 2
    PYTHON = 4
    SQL = 8
    PRE_PYTHON = PRE + PYTHON
    PRE_SQL = PRE + SQL
    POST_PYTHON = POST + PYTHON
    POST_SQL = POST + SQL


class Upgrader:
    """Upgrades a database by :func:`pum.upgrade`."""

    def __init__(
        self,
        pg_service: str,
        upgrades_table: str,
        dirs: Iterable[str],
        variables: Optional[Union[Mapping[str, Any], Iterable[Iterable[str]]]] = None,
        max_version: Optional[str] = None,
    ) -> None:
        self.pg_service = pg_service
        self.upgrades_table = upgrades_table
        self.dirs = [dirs] if isinstance(dirs, str) else list(dirs)
        self.variables = read_variables(variables)
        self.max_version = max_version

    def run(self, verbose: bool = False, *, allow_near_misses: bool = False) -> None:
        """Applies what is due. A file that nearly is a delta, which pum 0.10 passed over in silence, is refused unless
        ``allow_near_misses`` says that it may be left out."""
        if not self.exists_table_upgrades():
            raise UpgradesTableNotFoundError(f"the upgrades table {self.upgrades_table} is not there")
        _api.upgrade(
            self.pg_service,
            self.upgrades_table,
            self.dirs,
            variables=self.variables,
            max_version=self.max_version,
            allow_near_misses=allow_near_misses,
            progress=(lambda event: print(f"     {event}")) if verbose else None,
        )

    def show_info(self) -> None:
        """Prints what is applied and what is not."""
        info = _api.info(self.pg_service, self.upgrades_table, self.dirs)
        rows = [("Version", "Name", "Type", "Installed on", "Status")]
        rows += [
            (delta.version or "", delta.name, delta.type or "", delta.installed_on or "", delta.status.capitalize())
            for delta in info.deltas
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")

    def exists_table_upgrades(self) -> bool:
        """Whether the upgrades table is there."""
        return self._recorded()[0]

    def create_upgrades_table(self) -> None:
        """Creates the upgrades table, with its schema, when it is missing."""
        _pum.create_upgrades_table(given(self.pg_service), self.upgrades_table, watch(None, None))

    def set_baseline(self, version: Any) -> None:
        """Records that the database is at a version, and creates the upgrades table when it is missing."""
        _api.baseline(self.pg_service, self.upgrades_table, str(version))

    def current_db_version(self) -> Any:
        """The version of the database, comparable with those of ``packaging``; None without one."""
        there, version = self._recorded()
        if not there:
            raise UpgradesTableNotFoundError(f"the upgrades table {self.upgrades_table} is not there")
        return None if version is None else _delta.version(version)

    def _recorded(self) -> tuple[bool, Optional[str]]:
        """Whether the table is there, and the version that it tells."""
        return _pum.current_version(given(self.pg_service), self.upgrades_table, watch(None, None))


def read_variables(
    given: Optional[Union[Mapping[str, Any], Iterable[Iterable[str]]]],
) -> dict[str, Union[int, float, str]]:
    """Variables as a mapping, or as the command line had them: type, name and value."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    read: dict[str, Any] = {"int": int, "float": float, "str": str}
    return {name: read[kind](value) for kind, name, value in given}
