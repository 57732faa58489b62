"""``Checker`` of pum 0.10."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional, Union

from pum import _api, _values

#: What pum 0.10 compared, in its order.
ELEMENTS = (
    "tables",
    "columns",
    "constraints",
    "views",
    "sequences",
    "indexes",
    "triggers",
    "functions",
    "rules",
)


class Checker:
    """Compares two databases by :func:`pum.check`."""

    def __init__(
        self,
        pg_service1: str,
        pg_service2: str,
        exclude_schema: Optional[Union[str, Iterable[str]]] = None,
        exclude_field_pattern: Optional[Union[str, Iterable[str]]] = None,
        ignore_list: Optional[Iterable[str]] = None,
        verbose_level: int = 1,
    ) -> None:
        self.pg_service1 = pg_service1
        self.pg_service2 = pg_service2
        self.exclude_schema = exclude_schema
        self.exclude_field_pattern = exclude_field_pattern
        self.ignore_list = list(ignore_list or ())
        self.verbose_level = verbose_level

    def run_checks(self) -> tuple[bool, dict[str, list[str]]]:
        """Whether the databases are the same, and the differences by element: ``- what`` is on the left only, ``+ what``
        on the right only. With a verbosity of 0 the texts are left out, below 2 they are cut."""
        report = self.report()
        found: dict[str, list[str]] = {name: [] for name in ELEMENTS if name not in self.ignore_list}
        for difference in report.differences:
            lines = found.setdefault(difference["kind"], [])
            if self.verbose_level > 0:
                lines.extend(self._cut(line) for line in _lines(difference))
        return report.same, found

    def report(self, table: Optional[str] = None) -> _values.Report:
        """The same as a report of this library; ``table`` is the upgrades table, which is not compared."""
        return _api.check(
            self.pg_service1,
            self.pg_service2,
            ignore=self.ignore_list,
            exclude_schemas=self.exclude_schema or (),
            exclude_fields=self.exclude_field_pattern or (),
            table=table,
        )

    def _cut(self, line: str) -> str:
        return line if self.verbose_level > 1 else line[:80]


def _lines(difference: _values.Difference) -> list[str]:
    """A difference as pum 0.10 had it: what an object is on each side."""
    place: tuple[Any, ...] = tuple(
        part for part in (difference["schema"], difference["relation"], difference["name"]) if part is not None
    )
    lines = []
    for sign, side, other in (("-", "left", "only_right"), ("+", "right", "only_left")):
        if difference["change"] != other:
            lines.append(f"{sign} {place + tuple(_value(change, side) for change in difference['attributes'])}")
    return lines


def _value(change: _values.AttributeChange, side: str) -> Optional[str]:
    return change["left"] if side == "left" else change["right"]
