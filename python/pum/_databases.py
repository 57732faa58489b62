"""How a database may be named."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional, Protocol, Union

from pum import _pum
from pum._errors import UsageError


class SupportsRender(Protocol):
    """A URL of SQLAlchemy."""

    def render_as_string(self, hide_password: bool = ...) -> str:
        """The text of the URL."""


class SupportsUrl(Protocol):
    """An engine of SQLAlchemy."""

    @property
    def url(self) -> SupportsRender:
        """Its URL."""


#: A service name, a URI, a conninfo string, a URL of SQLAlchemy (text or object) or its engine, or keywords of libpq and
#: their values.
Database = Union[str, Mapping[str, Any], SupportsRender, SupportsUrl]
#: A file.
PathLike = Union[str, os.PathLike[str]]

_SQLALCHEMY = re.compile(r"^postgres(?:ql)?\+\w+://", re.IGNORECASE)
_ALIASES = {"database": "dbname", "username": "user"}

_Given = Union[str, list[tuple[str, str]]]


def given(database: Database) -> _Given:
    """A database as the library takes it."""
    if isinstance(database, str):
        return _SQLALCHEMY.sub("postgresql://", database)
    if isinstance(database, Mapping):
        return [
            (_ALIASES.get(str(keyword), str(keyword)), str(value))
            for keyword, value in database.items()
            if value is not None
        ]
    url: Any = getattr(database, "url", database)
    if hasattr(url, "render_as_string"):
        return given(str(url.render_as_string(hide_password=False)))
    raise UsageError(
        f"a database cannot be named by a {type(database).__name__}",
        hint="give a service name, a URI, a conninfo string, a mapping of keywords, or a URL of SQLAlchemy",
    )


def side(origin: Union[Database, _pum.Snapshot, os.PathLike[str]]) -> Union[_Given, _pum.Snapshot]:
    """A side of a comparison: a database or a snapshot, which a path names."""
    if isinstance(origin, _pum.Snapshot):
        return origin
    if isinstance(origin, os.PathLike):
        return _pum.Snapshot.load(Path(origin))
    # As the command does.
    if isinstance(origin, str) and origin.endswith(".json") and "=" not in origin and "://" not in origin:
        return _pum.Snapshot.load(Path(origin))
    return given(origin)


def words(given: Union[str, Iterable[str], None]) -> list[str]:
    """One word, or several, or none."""
    if given is None:
        return []
    return [given] if isinstance(given, str) else list(given)


def paths(given: Union[PathLike, Iterable[PathLike], None]) -> list[Path]:
    """One path, or several."""
    # An upgrade without directories would do nothing and look well.
    if given is None:
        raise UsageError("no delta directory is named", hint="give a path, or several")
    return [Path(given)] if isinstance(given, (str, os.PathLike)) else [Path(path) for path in given]


def path(given: Optional[PathLike]) -> Optional[Path]:
    """A path, or none."""
    return None if given is None else Path(given)


def variables(given: Mapping[str, Union[int, float, str]]) -> list[tuple[str, str, str]]:
    """Variables as type, name and value."""
    found = []
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise UsageError(f"variable {name}: a {type(value).__name__} is no int, float or str")
        kind = "int" if isinstance(value, int) else "float" if isinstance(value, float) else "str"
        found.append((kind, name, repr(value) if kind == "float" else str(value)))
    return found
