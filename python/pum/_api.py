"""The functions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Optional, Union

from pum import _databases, _pum, _values
from pum._databases import Database, PathLike, given, path, paths, side, words
from pum._errors import UsageError
from pum._pum import Cancel, Snapshot
from pum._values import (
    Applied,
    Baselined,
    CarriedOut,
    Deltas,
    Dumped,
    DeltaInfo,
    Info,
    Plan,
    Report,
    Restored,
)
from pum._watch import Listener, watch

Words = Union[str, Iterable[str], None]
Paths = Union[PathLike, Iterable[PathLike]]
Variables = Mapping[str, Union[int, float, str]]


def check(
    left: Union[Database, Snapshot, os.PathLike[str]],
    right: Union[Database, Snapshot, os.PathLike[str]],
    *,
    ignore: Words = (),
    include: Words = (),
    exclude_schemas: Words = (),
    exclude: Words = (),
    exclude_fields: Words = (),
    data: Words = (),
    expect: Optional[PathLike] = None,
    table: Optional[str] = None,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Report:
    """Compares two databases, or a database with a snapshot or its file.

    ``ignore`` and ``include`` take kinds of objects and classes of differences, ``exclude`` patterns for objects,
    ``exclude_fields`` patterns of ``LIKE`` for columns, ``data`` patterns for tables whose rows are compared too,
    ``expect`` a file of known differences, ``table`` the upgrades table, which is not compared.

    >>> import pum
    >>> with pum.Server() as server:
    ...     left, right = server.create_database("a"), server.create_database("b")
    ...     server.execute("a", "create table public.pipe (id int)")
    ...     server.execute("b", "create table public.pipe (id bigint)")
    ...     report = pum.check(left, right)
    >>> report.same
    False
    >>> [(found["kind"], found["name"], found["attributes"][0]["right"]) for found in report.differences]
    [('columns', 'id', 'bigint')]
    """
    filter = _filter(ignore, include, exclude_schemas, exclude, exclude_fields, data, expect, table)
    return Report(_pum.check(side(left), side(right), filter, watch(progress, cancel)))


def snapshot(
    database: Database,
    file: Optional[PathLike] = None,
    *,
    ignore: Words = (),
    exclude_schemas: Words = (),
    exclude: Words = (),
    exclude_fields: Words = (),
    table: Optional[str] = None,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Snapshot:
    """Reads the structure of a database, and writes it into ``file``, when that is given.

    >>> import pum
    >>> with pum.Server() as server:
    ...     pum.snapshot(server.create_database("water")).server_version == server.version
    True
    """
    filter = _filter(ignore, (), exclude_schemas, exclude, exclude_fields, (), None, table)
    taken = _pum.snapshot(given(database), filter, watch(progress, cancel))
    if file is not None:
        taken.save(Path(file))
    return taken


def same_database(
    left: Database,
    right: Database,
    *,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> bool:
    """Whether two names lead to the same database of the same running server.

    >>> import pum
    >>> with pum.Server() as server:
    ...     water = server.create_database("water")
    ...     pum.same_database(water, server.uri("water")), pum.same_database(water, server.database("postgres"))
    (True, False)
    """
    return _pum.same_database(given(left), given(right), watch(progress, cancel))


def dump(
    database: Database,
    file: PathLike,
    *,
    format: Literal["custom", "directory", "plain"] = "custom",
    jobs: int = 1,
    exclude_schemas: Words = (),
    compression: Optional[str] = None,
    lock_timeout: Optional[float] = None,
    pg_dump: Optional[PathLike] = None,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Dumped:
    """Dumps a database with ``pg_dump`` of the right version. The file appears when it is complete and checked.

    ``lock_timeout`` is in seconds; without it tables that others have locked are waited for.
    """
    options = {
        "format": format,
        "jobs": jobs,
        "exclude_schemas": words(exclude_schemas),
        "compression": compression,
        "lock_timeout": lock_timeout,
        "pg_dump": path(pg_dump),
    }
    return Dumped(**json.loads(_pum.dump(given(database), Path(file), options, watch(progress, cancel))))


def restore(
    file: PathLike,
    database: Database,
    *,
    exclude_schemas: Words = (),
    ignore_errors: bool = False,
    jobs: int = 1,
    clean: bool = False,
    into_existing: bool = False,
    create: bool = False,
    create_roles: bool = False,
    pg_restore: Optional[PathLike] = None,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Restored:
    """Restores a dump into a database, which must hold nothing yet save with ``clean`` or ``into_existing``.

    >>> import pum, tempfile, os
    >>> with pum.Server() as server, tempfile.TemporaryDirectory() as directory:
    ...     water = server.create_database("water")
    ...     server.execute("water", "create table public.pipe (id int)")
    ...     dumped = pum.dump(water, os.path.join(directory, "water.dump"))
    ...     copy = server.create_database("copy")
    ...     restored = pum.restore(dumped.path, copy)
    ...     pum.check(water, copy).same
    True
    """
    options = {
        "exclude_schemas": words(exclude_schemas),
        "ignore_errors": ignore_errors,
        "jobs": jobs,
        "clean": clean,
        "into_existing": into_existing,
        "create": create,
        "create_roles": create_roles,
        "pg_restore": path(pg_restore),
    }
    return _values.restored(json.loads(_pum.restore(Path(file), given(database), options, watch(progress, cancel))))


def deltas(directories: Paths) -> Deltas:
    """Reads which deltas there are in directories, in the order in which they run. No database is needed.

    >>> import pum, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = pathlib.Path(directory, "delta_1.10.0_valve.sql").write_text("select 1")
    ...     _ = pathlib.Path(directory, "delta_1.9.0_pipe.sql").write_text("select 1")
    ...     [str(delta) for delta in pum.deltas(directory)]
    ['1.9.0 pipe (delta sql)', '1.10.0 valve (delta sql)']
    """
    told = json.loads(_pum.deltas(paths(directories)))
    return Deltas(
        _values.steps(told["deltas"]),
        _values.steps(told["pre_all"]),
        _values.steps(told["post_all"]),
        _values.near_misses(told["near_misses"]),
    )


def baseline(
    database: Database,
    table: str,
    version: str,
    *,
    mark_applied: Optional[Paths] = None,
    wait: float = 0.0,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Baselined:
    """Records that a database is at a version, and creates the upgrades table when there is none.

    ``mark_applied`` names directories whose deltas up to the version are recorded as applied; ``wait`` is how many
    seconds to wait for another run on the same database.
    """
    marked = None if mark_applied is None else paths(mark_applied)
    options = {"table": table, "version": str(version), "mark_applied": marked, "wait": wait}
    return Baselined(**json.loads(_pum.baseline(given(database), options, watch(progress, cancel))))


def info(
    database: Database,
    table: str,
    directories: Paths,
    *,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Info:
    """What is applied, pending, changed since, skipped or ignored. Reads only."""
    told = json.loads(_pum.info(given(database), table, paths(directories), watch(progress, cancel)))
    return Info(told["current_version"], tuple(DeltaInfo(**delta) for delta in told["deltas"]))


def plan(
    database: Database,
    table: str,
    directories: Paths,
    *,
    max_version: Optional[str] = None,
    variables: Optional[Variables] = None,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Plan:
    """What ``upgrade`` would do, and what the text of the deltas tells of it. Reads only.

    Give it to ``upgrade`` as ``plan``, and nothing else is done than what it shows, with the variables that it was made with.
    """
    options = _upgrade(table, directories, max_version, variables)
    found = _pum.plan(given(database), options, watch(progress, cancel, python=True))
    shown = _values.plan(json.loads(found.to_json()), found)
    return replace(shown, _variables=dict(variables or {}))


def preflight(
    database: Database,
    table: str,
    directories: Paths,
    *,
    max_version: Optional[str] = None,
    variables: Optional[Variables] = None,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> dict[str, Any]:
    """What would disturb an upgrade that began now, in the form ``pum/preflight/1``. Reads only."""
    options = _upgrade(table, directories, max_version, variables)
    watched = watch(progress, cancel, python=True)
    found = _pum.plan(given(database), options, watched)
    told: dict[str, Any] = json.loads(_pum.preflight(given(database), found, options, watched))
    return told


def upgrade(
    database: Database,
    table: str,
    directories: Paths,
    *,
    plan: Optional[Plan] = None,
    max_version: Optional[str] = None,
    variables: Optional[Variables] = None,
    single_transaction: bool = False,
    lock_timeout: float = 5.0,
    attempts: int = 10,
    wait: float = 0.0,
    patience: float = 60.0,
    allow_near_misses: bool = False,
    rerun_interrupted: bool = False,
    python: Optional[PathLike] = None,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Applied:
    """Applies what is due, each delta in one transaction with its record, under a lock.

    Times are in seconds: ``lock_timeout`` for the locks of others before a delta is rolled back and tried again (up to
    ``attempts`` times), ``wait`` for another run on this database, ``patience`` for the outcome of a COMMIT whose answer
    was lost. Python deltas run in this process, in the thread that calls; ``python`` names an interpreter that runs them
    instead. An error says what is applied and what is not; the next run goes on from there.

    >>> import pum, tempfile, pathlib
    >>> with pum.Server() as server, tempfile.TemporaryDirectory() as directory:
    ...     water = server.create_database("water")
    ...     _ = pathlib.Path(directory, "delta_1.1.0_pipe.sql").write_text("create table public.pipe (id int)")
    ...     _ = pum.baseline(water, "water_sys.upgrades", "1.0.0")
    ...     plan = pum.plan(water, "water_sys.upgrades", directory)
    ...     applied = pum.upgrade(water, "water_sys.upgrades", directory, plan=plan)
    ...     info = pum.info(water, "water_sys.upgrades", directory)
    >>> [str(step) for step in applied.steps], info.current_version
    (['1.1.0 pipe (delta sql)'], '1.1.0')
    """
    if plan is not None and plan._variables is not None:
        if variables is not None and dict(variables) != plan._variables:
            raise UsageError("the plan was made with other variables")
        variables = plan._variables
    options = _upgrade(
        table,
        directories,
        max_version,
        variables,
        single_transaction=single_transaction,
        lock_timeout=lock_timeout,
        attempts=attempts,
        wait=wait,
        patience=patience,
        allow_near_misses=allow_near_misses,
        rerun_interrupted=rerun_interrupted,
        python=path(python),
    )
    watched = watch(progress, cancel, python=True, in_process=python is None)
    inner = None if plan is None else plan._plan
    if plan is not None and inner is None:
        raise UsageError("this plan was not made by pum.plan, and cannot be carried out")
    return _values.applied(json.loads(_pum.upgrade(given(database), options, inner, watched)))


def upgrade_rehearsed(
    database: Database,
    rehearsal: PathLike,
    table: str,
    directories: Paths,
    *,
    max_age: float = 7 * 24 * 3600.0,
    factor: float = 10.0,
    least: float = 10.0,
    variables: Optional[Variables] = None,
    single_transaction: bool = False,
    lock_timeout: float = 5.0,
    attempts: int = 10,
    wait: float = 0.0,
    patience: float = 60.0,
    rerun_interrupted: bool = False,
    python: Optional[PathLike] = None,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> CarriedOut:
    """Upgrades production as it was rehearsed, from the file that ``Rehearsal.save`` or ``pum test --save`` wrote.

    Refuses when anything has changed since, or the copy is older than ``max_age`` seconds. A step may take ``factor``
    times as long as in the rehearsal, and at least ``least`` seconds. The rest is as in ``upgrade``; variables and
    ``single_transaction`` must be those of the rehearsal.
    """
    options = _upgrade(
        table,
        directories,
        None,
        variables,
        single_transaction=single_transaction,
        lock_timeout=lock_timeout,
        attempts=attempts,
        wait=wait,
        patience=patience,
        rerun_interrupted=rerun_interrupted,
        python=path(python),
    )
    terms = {"max_age": max_age, "factor": factor, "least": least}
    watched = watch(progress, cancel, python=True, in_process=python is None)
    return _values.carried_out(_pum.upgrade_rehearsed(given(database), Path(rehearsal), options, terms, watched))


def plan_rehearsed(
    database: Database,
    rehearsal: PathLike,
    table: str,
    directories: Paths,
    *,
    max_age: float = 7 * 24 * 3600.0,
    variables: Optional[Variables] = None,
    single_transaction: bool = False,
    rerun_interrupted: bool = False,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Plan:
    """What ``upgrade_rehearsed`` would do, when everything still is what was rehearsed; else it refuses as that does. Reads
    only."""
    options = _upgrade(
        table,
        directories,
        None,
        variables,
        single_transaction=single_transaction,
        rerun_interrupted=rerun_interrupted,
    )
    terms = {"max_age": max_age, "factor": 10.0, "least": 10.0}
    watched = watch(progress, cancel, python=True)
    found = _pum.plan_rehearsed(given(database), Path(rehearsal), options, terms, watched)
    return _values.plan(json.loads(found.to_json()), found)


@dataclass(frozen=True)
class FromSql:
    """The expected database is built by SQL files, in order."""

    files: Paths


@dataclass(frozen=True)
class FromCommand:
    """The expected database is built by a program; its variables ``PG*`` lead to the empty database."""

    words: Words
    directory: Optional[PathLike] = None


@dataclass(frozen=True)
class FromDeltas:
    """The expected database is built by all deltas, from the first."""


@dataclass(frozen=True)
class FromSnapshot:
    """A snapshot file says what must come out."""

    file: PathLike


Expected = Union[FromSql, FromCommand, FromDeltas, FromSnapshot]


def rehearse(
    production: Database,
    table: str,
    directories: Paths,
    *,
    expected: Union[Expected, Database],
    test: Optional[Database] = None,
    comparison: Optional[Database] = None,
    baseline: Optional[str] = None,
    backup: Optional[PathLike] = None,
    copy: Literal["auto", "restore", "template", "physical"] = "auto",
    schema_only: bool = False,
    sample: Optional[str] = None,
    max_version: Optional[str] = None,
    variables: Optional[Variables] = None,
    single_transaction: bool = False,
    lock_timeout: float = 5.0,
    attempts: int = 10,
    wait: float = 0.0,
    patience: float = 60.0,
    rerun_interrupted: bool = False,
    python: Optional[PathLike] = None,
    lock_wait: float = 60.0,
    ignore: Words = (),
    include: Words = (),
    exclude_schemas: Words = (),
    exclude: Words = (),
    exclude_fields: Words = (),
    data: Words = (),
    expect: Optional[PathLike] = None,
    ignore_restore_errors: bool = False,
    crash: bool = False,
    overwrite: bool = False,
    jobs: int = 0,
    pg_dump: Optional[PathLike] = None,
    pg_restore: Optional[PathLike] = None,
    settings: Optional[Mapping[str, str]] = None,
    progress: Optional[Listener] = None,
    cancel: Optional[Cancel] = None,
) -> Rehearsal:
    """Copies production, upgrades the copy, and compares it with what it must be. Writes nothing to production.

    ``expected`` says what must come out: a database as it stands, or how one is built. Without ``test`` and
    ``comparison`` the databases for that are in a throw-away server. The copy has no rows with ``schema_only``, and so much
    of the rows of large tables with ``sample``, such as ``"5%"``. How the copy, and later production, is upgraded is told
    as in ``upgrade``; a file that nearly is a delta is left out with a warning.

    >>> import pum, tempfile, pathlib
    >>> with pum.Server() as server, tempfile.TemporaryDirectory() as directory:
    ...     water = server.create_database("water")
    ...     sql = pathlib.Path(directory, "delta_1.1.0_pipe.sql")
    ...     _ = sql.write_text("create table public.pipe (id int)")
    ...     _ = pum.baseline(water, "water_sys.upgrades", "1.0.0")
    ...     with pum.rehearse(water, "water_sys.upgrades", directory, expected=pum.FromSql(sql)) as rehearsal:
    ...         done = rehearsal.carry_out() if rehearsal.clean else None
    >>> done.as_rehearsed, done.applied.after
    (True, '1.1.0')
    """
    built: Optional[dict[str, Any]] = None
    if isinstance(expected, FromSql):
        built = {"way": "sql", "words": paths(expected.files), "directory": None}
    elif isinstance(expected, FromCommand):
        program = [Path(word) for word in words(expected.words)]
        built = {"way": "command", "words": program, "directory": path(expected.directory)}
    elif isinstance(expected, FromDeltas):
        built = {"way": "deltas", "words": [], "directory": None}
    elif isinstance(expected, FromSnapshot):
        built = {"way": "snapshot", "words": [Path(expected.file)], "directory": None}
    elif comparison is not None:
        raise UsageError("`comparison` names where the expected database is built, and `expected` is a database already")
    else:
        comparison = expected
    options = {
        "upgrade": _upgrade(
            table,
            directories,
            max_version,
            variables,
            single_transaction=single_transaction,
            lock_timeout=lock_timeout,
            attempts=attempts,
            wait=wait,
            patience=patience,
            rerun_interrupted=rerun_interrupted,
            python=path(python),
        ),
        "test": None if test is None else given(test),
        "comparison": None if comparison is None else given(comparison),
        "expected": built,
        "baseline": baseline,
        "backup": path(backup),
        "copy": copy,
        "schema_only": schema_only,
        "sample": sample,
        "lock_wait": lock_wait,
        "exclude_schemas": words(exclude_schemas),
        "filter": _filter(ignore, include, (), exclude, exclude_fields, data, expect, table),
        "ignore_restore_errors": ignore_restore_errors,
        "crash": crash,
        "overwrite": overwrite,
        "jobs": jobs,
        "pg_dump": path(pg_dump),
        "pg_restore": path(pg_restore),
        "server": _server(None, settings, None),
    }
    in_process = python is None
    watched = watch(progress, cancel, python=True, in_process=in_process)
    return Rehearsal(_pum.rehearse(given(production), options, watched), in_process)


class Rehearsal:
    """An upgrade that was rehearsed. Its copy is there until it is closed or carried out."""

    def __init__(self, rehearsal: _pum.Rehearsal, in_process: bool = True) -> None:
        self._rehearsal = rehearsal
        self._in_process = in_process
        facts = json.loads(rehearsal.facts())
        self.id: str = facts["id"]
        """By what it is known."""
        self.clean: bool = facts["clean"]
        """Whether the upgraded copy is what it must be."""
        self.verdict: str = facts["verdict"]
        """The same in a sentence."""
        self.copy: str = facts["copy"]
        """The upgraded copy as pum shows it: a conninfo string without its password, or the name of a service."""
        self.baselines: Optional[str] = facts["baselines"]
        """The version that production is baselined at first, when it has no upgrades table."""
        self.plan: Plan = _values.plan(facts["plan"])
        """What is to be done."""
        self.applied: Applied = _values.applied(facts["applied"])
        """What was done to the copy."""
        self.restored: Restored = _values.restored(facts["restored"])
        """What the restore passed over."""
        self.evidence: dict[str, Any] = facts["evidence"]
        """What was measured, as in the form ``pum/rehearsal/1``."""
        self.preflight: Optional[dict[str, Any]] = facts["preflight"]
        """What would have disturbed the upgrade of production when the rehearsal had ended."""
        self.report: Report = Report(rehearsal.report)
        """The upgraded copy compared with what it must be."""

    def carry_out(
        self,
        *,
        max_age: float = 7 * 24 * 3600.0,
        factor: float = 10.0,
        least: float = 10.0,
        progress: Optional[Listener] = None,
        cancel: Optional[Cancel] = None,
    ) -> CarriedOut:
        """Upgrades production, when it and the deltas are what was rehearsed, and compares it with the copy. Once."""
        terms = {"max_age": max_age, "factor": factor, "least": least}
        watched = watch(progress, cancel, python=True, in_process=self._in_process)
        return _values.carried_out(self._rehearsal.carry_out(terms, watched))

    def save(self, file: PathLike) -> None:
        """Writes it into a file, which ``upgrade_rehearsed`` takes."""
        self._rehearsal.save(Path(file))

    def to_json(self) -> str:
        """The text of that file, in the form ``pum/rehearsal/1``."""
        return self._rehearsal.to_json()

    def to_html(self) -> str:
        """A page for the person who decides."""
        return self._rehearsal.to_html()

    def close(self) -> None:
        """Lets the copy go."""
        self._rehearsal.close()

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<pum.Rehearsal {self.id}: {self.verdict}>"


class Server:
    """A throw-away PostgreSQL server for tests, on this machine, removed at the end of its ``with`` block.

    >>> import pum
    >>> with pum.Server(settings={"max_connections": "20"}) as server:
    ...     water = server.create_database("water")
    ...     server.execute("water", "create table public.pipe (id int)")
    ...     copy = server.create_database("copy", template="water")
    ...     pum.check(water, copy).same
    True
    """

    def __init__(
        self,
        major: Optional[int] = None,
        *,
        settings: Optional[Mapping[str, str]] = None,
        programs: Optional[PathLike] = None,
        progress: Optional[Listener] = None,
        cancel: Optional[Cancel] = None,
    ) -> None:
        """Starts it. ``major`` is its version, the newest there is without it; ``programs`` the directory of initdb."""
        self._server = _pum.start_server(_server(major, settings, programs), watch(progress, cancel))

    @property
    def version(self) -> str:
        """Its version, such as ``15.18``."""
        return self._server.version()

    def database(self, name: str) -> str:
        """The conninfo string of a database; psycopg and libpq's own programs take it too."""
        return self._server.database(name)

    def uri(self, name: str) -> str:
        """The same as a URI, for what takes nothing else: asyncpg, and SQLAlchemy with its driver in it."""
        return self._server.uri(name)

    def create_database(self, name: str, template: Optional[str] = None, *, cancel: Optional[Cancel] = None) -> str:
        """Creates a database, empty or as a copy of another of this server; its conninfo string."""
        return self._server.create_database(name, template, watch(None, cancel))

    def execute(self, database: str, sql: str, *, cancel: Optional[Cancel] = None) -> None:
        """Runs statements in a database, for preparing it."""
        self._server.execute(database, sql, watch(None, cancel))

    def stop(self) -> None:
        """Stops it and removes its data."""
        self._server.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def shown(database: Database) -> str:
    """How pum shows a database: without its password.

    >>> import pum
    >>> pum.shown("postgresql+psycopg2://ann:s3cret@db1/water")
    'user=ann dbname=water host=db1'
    """
    return _pum.name(given(database))


def _filter(
    ignore: Words,
    include: Words,
    exclude_schemas: Words,
    exclude: Words,
    exclude_fields: Words,
    data: Words,
    expect: Optional[PathLike],
    table: Optional[str],
) -> dict[str, Any]:
    return {
        "ignore": words(ignore),
        "include": words(include),
        "exclude_schemas": words(exclude_schemas),
        "exclude": words(exclude),
        "exclude_fields": words(exclude_fields),
        "data": words(data),
        "expect": path(expect),
        "table": table,
    }


def _upgrade(
    table: str,
    directories: Paths,
    max_version: Optional[str],
    variables: Optional[Variables],
    *,
    single_transaction: bool = False,
    lock_timeout: float = 5.0,
    attempts: int = 10,
    wait: float = 0.0,
    patience: float = 60.0,
    allow_near_misses: bool = False,
    rerun_interrupted: bool = False,
    python: Optional[Path] = None,
) -> dict[str, Any]:
    return {
        "table": table,
        "directories": paths(directories),
        "max_version": None if max_version is None else str(max_version),
        "variables": _databases.variables(variables or {}),
        "single_transaction": single_transaction,
        "lock_timeout": lock_timeout,
        "attempts": attempts,
        "wait": wait,
        "patience": patience,
        "allow_near_misses": allow_near_misses,
        "rerun_interrupted": rerun_interrupted,
        "python": python,
    }


def _server(
    major: Optional[int], settings: Optional[Mapping[str, str]], programs: Optional[PathLike]
) -> dict[str, Any]:
    pairs = [(name, str(value)) for name, value in (settings or {}).items()]
    return {"major": major, "settings": pairs, "programs": path(programs)}
