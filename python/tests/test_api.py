"""The functions of pum against a throw-away server."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pum
from pum import events

from conftest import TABLE

Make = Callable[..., str]


def parts(conninfo: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in conninfo.split())


def test_a_difference_is_a_row(database: Make) -> None:
    report = pum.check(database("create table public.pipe (id int)"), database("create table public.pipe (id bigint)"))
    assert not report.same and not report.behaves_the_same
    (row,) = report.differences
    assert row == {
        "kind": "columns",
        "schema": "public",
        "relation": "pipe",
        "name": "id",
        "change": "changed",
        "class": None,
        "maybe_spelling": False,
        "attributes": [{"name": "type", "left": "integer", "right": "bigint"}],
    }
    assert "bigint" in report.to_text() and "bigint" in report.to_html() and "<testsuite" in report.to_junit()
    assert json.loads(report.to_json())["schema"] == "pum/check/1"
    assert report._repr_html_().count("<iframe") == 1 and "<!doctype" not in report._repr_html_().split("srcdoc=")[0]
    with pytest.raises(TypeError, match="report.same"):
        bool(report)


def test_none_is_the_default_of_a_list(database: Make) -> None:
    one = database("create table public.pipe (id int)")
    assert pum.check(one, one, ignore=None, include=None, exclude_schemas=None, data=None).same
    assert pum.snapshot(one, exclude=None).server_version


def test_a_database_may_be_named_in_many_ways(database: Make) -> None:
    conninfo = database()
    words = parts(conninfo)
    host, name, user = words["host"], words["dbname"], words["user"]
    by_query = f"host={host}&port={words['port']}"
    upper = f"PostgreSQL+Psycopg2://{user}@/{name}?{by_query}"
    named: list[pum.Database] = [
        conninfo,
        upper,
        f"postgresql:///{name}?user={user}&{by_query}",
        f"postgresql+psycopg2://{user}@/{name}?{by_query}",
        f"postgres+asyncpg://{user}@/{name}?{by_query}",
        words,
        {"database": name, "username": user, "host": host, "port": int(words["port"]), "password": None},
    ]
    for one in named:
        assert pum.check(conninfo, one).same, one


def test_sqlalchemy_goes_both_ways(server: pum.Server, database: Make) -> None:
    sqlalchemy = needed("sqlalchemy")
    conninfo = database("create table public.pipe (id int)")
    uri = server.uri(parts(conninfo)["dbname"]).replace("postgresql:", "postgresql+psycopg2:")
    assert pum.check(conninfo, sqlalchemy.make_url(uri)).same
    engine = sqlalchemy.create_engine(uri)
    assert pum.check(conninfo, engine).same
    needed("psycopg2")
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select count(*) from pipe")).scalar() == 0
    engine.dispose()


def test_asyncpg_takes_the_uri(server: pum.Server, database: Make) -> None:
    asyncpg = needed("asyncpg")
    name = parts(database())["dbname"]

    async def ask() -> object:
        connection = await asyncpg.connect(server.uri(name))
        try:
            return await connection.fetchval("select current_database()")
        finally:
            await connection.close()

    assert asyncio.run(ask()) == name


def test_an_object_that_is_no_database_is_refused() -> None:
    with pytest.raises(pum.UsageError, match="float"):
        pum.check(1.5, "x")  # type: ignore[arg-type]


def test_a_password_is_never_shown() -> None:
    named: list[pum.Database] = [
        "postgresql://ann:s3cret@127.0.0.1:9/x",
        {"host": "127.0.0.1", "port": 9, "password": "s3cret"},
        "Postgresql+Psycopg2://ann:s3cret@127.0.0.1:9/x",
        {"host": "/nowhere", "passwd": "s3cret"},
    ]
    for database in named:
        with pytest.raises(pum.ConnectionFailed) as raised:
            pum.snapshot(database)
        assert "s3cret" not in f"{raised.value} {raised.value!r} {pum.shown(database)}"
    assert "passwd" in str(raised.value), "that this is no keyword must be told"
    for url in ("mysql+pymysql://ann:s3cret@h/db", "oracle://ann:s3cret@h/db?a=b"):
        with pytest.raises(pum.UsageError) as refused:
            pum.shown(url)
        assert "s3cret" not in f"{refused.value} {refused.value!r}"


@pytest.mark.parametrize(
    "mistyped",
    ["postgres//ann:s3cret@db1/water", "postgresql:/ann:s3cret@db1/water", "postgresql://ann:s3cret/s3cret@db1/water"],
)
def test_a_password_in_a_mistyped_uri_is_not_shown(mistyped: str, database: Make, tmp_path: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: pum.shown(mistyped),
        lambda: pum.info(mistyped, "pum_sys.upgrades", tmp_path),
    ]
    if ":/" in mistyped:
        calls += [lambda: pum.dump(database(), mistyped), lambda: pum.restore(mistyped, database())]
    for call in calls:
        with pytest.raises(pum.UsageError) as caught:
            call()
        assert "s3cret" not in repr(caught.value) + str(caught.value) + str(caught.value.hint)


def test_a_plan_keeps_its_variables(database: Make, deltas: Callable[..., Path]) -> None:
    town = database()
    pum.baseline(town, "pum_sys.upgrades", "1.0.0")
    directory = deltas({"delta_1.1.0_reference.sql": "create table public.at_%(SRID)s (id int);"})
    plan = pum.plan(town, "pum_sys.upgrades", directory, variables={"SRID": 2056})
    with pytest.raises(pum.UsageError, match="other variables"):
        pum.upgrade(town, "pum_sys.upgrades", directory, plan=plan, variables={"SRID": 1})
    pum.upgrade(town, "pum_sys.upgrades", directory, plan=plan)
    assert "at_2056" in pum.snapshot(town).to_json()


def test_a_snapshot_is_a_side(database: Make, tmp_path: Path) -> None:
    water = database("create table public.pipe (id int)")
    file = tmp_path / "water.json"
    taken = pum.snapshot(water, file)
    assert pum.check(water, taken).same and pum.check(file, water).same and pum.check(str(file), water).same
    assert len(taken.digest) == 64
    file.write_text(file.read_text().replace("pipe", "tube"))
    with pytest.raises(pum.Error) as raised:
        pum.check(file, water)
    assert raised.value.hint


def test_a_dump_is_restored(database: Make, tmp_path: Path) -> None:
    water = database("create table public.pipe (id int); insert into public.pipe values (1)")
    dumped = pum.dump(water, tmp_path / "water.dump")
    assert dumped.bytes == os.path.getsize(dumped.path) and Path(dumped.checksums).exists()
    copy = database()
    assert pum.restore(dumped.path, copy).passed_over == ()
    assert pum.check(water, copy, data="public.pipe").same
    with pytest.raises(pum.Error):
        pum.restore(tmp_path / "not_there.dump", copy)


def test_what_a_delta_leaves_in_its_session_is_told(database: Make, deltas: Callable[..., Path]) -> None:
    water = database()
    pum.baseline(water, TABLE, "1.0.0")
    directory = deltas({"delta_1.1.0_a.sql": "set session_replication_role = replica", "delta_1.2.0_b.sql": ""})
    steps = pum.upgrade(water, TABLE, directory).steps
    assert [step.left_behind for step in steps] == [("session_replication_role = replica",), ()]


def test_an_upgrade_does_what_its_plan_says(database: Make, deltas: Callable[..., Path]) -> None:
    water = database()
    directory = deltas({"delta_1.1.0_pipe.sql": "create table public.pipe (id int default %(SRID)s)"})
    baselined = pum.baseline(water, TABLE, "1.0.0")
    assert baselined == pum.Baselined(table_created=True, schema_created=True, marked=0)
    plan = pum.plan(water, TABLE, directory, variables={"SRID": 2056})
    assert [str(step) for step in plan.steps] == ["1.1.0 pipe (delta sql)"] and not plan.is_up_to_date
    assert pum.preflight(water, TABLE, directory, variables={"SRID": 2056})["schema"] == "pum/preflight/1"
    told: list[events.Event] = []
    applied = pum.upgrade(water, TABLE, directory, plan=plan, variables={"SRID": 2056}, progress=told.append)
    assert (applied.before, applied.after) == ("1.0.0", "1.1.0")
    assert [event.step for event in told if isinstance(event, events.StepStarted)] == ["1.1.0 pipe (delta sql)"]
    info = pum.info(water, TABLE, directory)
    assert info.current_version == "1.1.0"
    assert [delta.status for delta in info.deltas] == ["applied", "applied"]
    with pytest.raises(pum.Refused):
        pum.upgrade(water, TABLE, directory, plan=plan, variables={"SRID": 2056})


def test_an_error_has_its_place_and_its_state(database: Make, deltas: Callable[..., Path]) -> None:
    water = database()
    directory = deltas({"delta_1.1.0_pipe.sql": "select 1;\nselect hight from pg_class;\n"})
    pum.baseline(water, TABLE, "1.0.0")
    with pytest.raises(pum.StatementFailed) as raised:
        pum.upgrade(water, TABLE, directory)
    error = raised.value
    assert error.sqlstate == "42703" and error.location is not None and error.location.line == 2
    assert error.server is not None and "hight" in error.server.message
    assert str(error.location) in str(error) and error.state
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is pum.StatementFailed and again.location == error.location and str(again) == str(error)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pum.upgrade("x", "no_schema", []),
        lambda: pum.upgrade("x", TABLE, None),  # type: ignore[arg-type]
        lambda: pum.plan("x", TABLE, None),  # type: ignore[arg-type]
        lambda: pum.upgrade("x", TABLE, [], lock_timeout=-1.0),
        lambda: pum.upgrade("x", TABLE, [], variables={"A": True}),
        lambda: pum.upgrade("x", TABLE, [], attempts=-1),
        lambda: pum.dump("x", "y", jobs=-1),
        lambda: pum.rehearse("x", TABLE, [], expected="y", sample="much"),
        lambda: pum.Server(major=-1),
        lambda: pum.check("x", "y", ignore="dreams"),
        lambda: pum.baseline("x", TABLE, "one"),
        lambda: pum.dump("x", "y", format="tar"),  # type: ignore[arg-type]
    ],
)
def test_wrong_usage_is_a_value_error(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError) as raised:
        call()
    assert isinstance(raised.value, pum.UsageError)


def test_the_log_hears_what_is_told(database: Make, deltas: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    water = database()
    directory = deltas({"delta_1.1.0_x.sql": "do $$ begin raise warning 'mind the gap'; end $$"})
    pum.baseline(water, TABLE, "1.0.0")
    with caplog.at_level(logging.INFO, logger="pum"):
        pum.upgrade(water, TABLE, directory)
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warned] == ["WARNING: mind the gap"]


def slow(deltas: Callable[..., Path]) -> Path:
    return deltas({"delta_1.1.0_slow.sql": "create table public.slow (id int);\nselect pg_sleep(30);"})


def test_another_thread_cancels_while_python_goes_on(database: Make, deltas: Callable[..., Path]) -> None:
    water, directory = database(), slow(deltas)
    pum.baseline(water, TABLE, "1.0.0")
    cancel = pum.Cancel()
    counted = 0

    def count() -> None:
        nonlocal counted
        while not cancel.cancelled:
            counted += 1
            time.sleep(0.01)

    counter = threading.Thread(target=count)
    timer = threading.Timer(1.0, cancel.cancel)
    begun = time.monotonic()
    counter.start()
    timer.start()
    with pytest.raises(pum.Cancelled):
        pum.upgrade(water, TABLE, directory, cancel=cancel)
    counter.join()
    assert time.monotonic() - begun < 20
    assert counted > 20, "the GIL was held"
    assert pum.info(water, TABLE, directory).current_version == "1.0.0"


def test_an_exception_of_the_listener_cancels(database: Make, deltas: Callable[..., Path]) -> None:
    water, directory = database(), slow(deltas)
    pum.baseline(water, TABLE, "1.0.0")

    def listener(event: events.Event) -> None:
        if isinstance(event, events.StepStarted):
            raise ZeroDivisionError("of the listener")

    cancel = pum.Cancel()
    with pytest.raises(ZeroDivisionError) as raised:
        pum.upgrade(water, TABLE, directory, progress=listener, cancel=cancel)
    assert isinstance(raised.value.__cause__, pum.Cancelled)
    assert not cancel.cancelled, "it may cancel others, with which nothing is wrong"
    assert pum.info(water, TABLE, directory).current_version == "1.0.0"


def test_work_in_a_server_is_cancelled(server: pum.Server, database: Make) -> None:
    name = parts(database())["dbname"]
    cancel = pum.Cancel()
    timer = threading.Timer(0.5, cancel.cancel)
    timer.start()
    with pytest.raises(pum.Cancelled):
        server.execute(name, "select pg_sleep(30)", cancel=cancel)
    with pytest.raises(pum.Cancelled):
        server.create_database("never", cancel=cancel)


def test_ctrl_c_cancels(database: Make, deltas: Callable[..., Path]) -> None:
    water, directory = database(), slow(deltas)
    pum.baseline(water, TABLE, "1.0.0")
    program = (
        "import pum, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def listener(event):\n"
        "    print(type(event).__name__, flush=True)\n"
        "try:\n"
        f"    pum.upgrade({water!r}, {TABLE!r}, {str(directory)!r}, progress=listener)\n"
        "except KeyboardInterrupt as error:\n"
        "    print(type(error.__cause__).__name__)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    while "StepStarted" not in child.stdout.readline():
        assert child.poll() is None
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    rest, _ = child.communicate(timeout=20)
    assert rest.split()[-1] == "Cancelled" and child.returncode == 0
    assert pum.info(water, TABLE, directory).current_version == "1.0.0"


def test_nothing_is_printed(database: Make, deltas: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    water = database()
    directory = deltas({"delta_1.1.0_x.sql": "do $$ begin raise warning 'mind the gap'; end $$"})
    pum.baseline(water, TABLE, "1.0.0")
    pum.upgrade(water, TABLE, directory)
    pum.check(water, water)
    with pytest.raises(pum.Error):
        pum.info("no_such_service_anywhere", TABLE, directory)
    assert capfd.readouterr() == ("", "")


def test_a_rehearsal_is_carried_out_once(database: Make, deltas: Callable[..., Path], tmp_path: Path) -> None:
    water = database("create table public.pipe (id int, length int)")
    directory = deltas({"delta_1.1.0_length.sql": "alter table public.pipe drop column length"})
    create = tmp_path / "create.sql"
    create.write_text("create table public.pipe (id int)")
    pum.baseline(water, TABLE, "1.0.0")
    phases: list[str] = []

    def listener(event: events.Event) -> None:
        if isinstance(event, events.Phase):
            phases.append(event.title)

    with pum.rehearse(water, TABLE, directory, expected=pum.FromSql(create), progress=listener) as rehearsal:
        assert rehearsal.clean and rehearsal.report.same and phases
        plan = pum.plan(water, TABLE, directory)
        assert rehearsal.plan.hazards == plan.hazards and plan.hazards and plan.more_hazards == 0
        assert hash(plan) == hash(rehearsal.plan)
        assert pum.check(rehearsal.copy, water).same is False
        assert rehearsal.evidence["steps"] and "<html" in rehearsal.to_html()
        rehearsal.save(tmp_path / "rehearsal.json")
        done = rehearsal.carry_out()
        assert done.as_rehearsed and done.applied.after == "1.1.0" and done.missing_rows == ()
        with pytest.raises(pum.Refused, match="carried out"):
            rehearsal.carry_out()
    with pytest.raises(pum.Refused):
        pum.upgrade_rehearsed(water, tmp_path / "rehearsal.json", TABLE, directory)


def test_a_rehearsal_that_is_not_clean_says_so(database: Make, deltas: Callable[..., Path]) -> None:
    water = database()
    directory = deltas({"delta_1.1.0_pipe.sql": "create table public.pipe (id int)"})
    pum.baseline(water, TABLE, "1.0.0")
    with pum.rehearse(water, TABLE, directory, expected=database()) as rehearsal:
        assert not rehearsal.clean
        with pytest.raises(pum.Refused):
            rehearsal.carry_out()
    assert pum.info(water, TABLE, directory).current_version == "1.0.0"


def test_a_saved_rehearsal_is_carried_out(database: Make, deltas: Callable[..., Path], tmp_path: Path) -> None:
    water = database()
    directory = deltas({"delta_1.1.0_pipe.sql": "create table public.pipe (id int)"})
    pum.baseline(water, TABLE, "1.0.0")
    with pum.rehearse(water, TABLE, directory, expected=pum.FromDeltas()) as rehearsal:
        rehearsal.save(tmp_path / "rehearsal.json")
    plan = pum.plan_rehearsed(water, tmp_path / "rehearsal.json", TABLE, directory)
    assert [str(step) for step in plan.steps] == ["1.1.0 pipe (delta sql)"]
    with pytest.raises(pum.Refused, match="older"):
        pum.plan_rehearsed(water, tmp_path / "rehearsal.json", TABLE, directory, max_age=0.0)
    done = pum.upgrade_rehearsed(water, tmp_path / "rehearsal.json", TABLE, directory)
    assert done.as_rehearsed and done.applied.after == "1.1.0"


def test_a_stopped_server_says_so() -> None:
    server = pum.Server(programs=os.environ.get("PUM_TEST_SERVER"))
    server.stop()
    server.stop()
    with pytest.raises(pum.UsageError, match="stopped"):
        server.create_database("x")


def needed(library: str) -> Any:
    """A library that the tests are run with on one Python only, and there it may not be missing."""
    if os.environ.get("PUM_TEST_LIBRARIES"):
        return importlib.import_module(library)
    return pytest.importorskip(library)


def many_differences(database: Make) -> pum.Report:
    tables = "; ".join(f"create table public.a{number} (i int)" for number in range(120))
    later = "create view public.z as select 1 as x"
    return pum.check(database(f"{tables}; {later}"), database())


def test_pandas_takes_differences(database: Make) -> None:
    report = many_differences(database)
    frame = needed("pandas").DataFrame(report.differences)
    assert len(frame) == len(report.differences) > 240 and set(frame["change"]) == {"only_left"}


def test_polars_takes_differences(database: Make) -> None:
    report = many_differences(database)
    frame = needed("polars").DataFrame(report.differences, infer_schema_length=None)
    assert len(frame) == len(report.differences) > 240 and set(frame["change"]) == {"only_left"}


@pytest.mark.parametrize("name", [name for name in pum.__all__ if inspect.isroutine(getattr(pum, name)) or inspect.isclass(getattr(pum, name))])
def test_types_are_found_at_run_time(name: str) -> None:
    what = getattr(pum, name)
    typing.get_type_hints(getattr(what, "__init__") if isinstance(what, type) else what)


def test_a_rehearsal_takes_what_an_upgrade_takes() -> None:
    def words(function: Callable[..., object]) -> set[str]:
        return set(inspect.signature(function).parameters)

    # A file that nearly is a delta is told by the rehearsal.
    upgrade = words(pum.upgrade) - {"database", "plan", "allow_near_misses"}
    assert upgrade <= words(pum.rehearse)
    assert upgrade - {"max_version"} <= words(pum.upgrade_rehearsed)


def test_a_rehearsal_of_a_sample(database: Make, deltas: Callable[..., Path]) -> None:
    water = database("create table public.pipe as select generate_series(1, 100) as id")
    directory = deltas({"delta_1.1.0_x.sql": "create table public.x (id int)"})
    pum.baseline(water, TABLE, "1.0.0")
    options: Any = {"expected": pum.FromDeltas(), "sample": "50%", "single_transaction": True, "ignore": ["tables", "columns"]}
    with pum.rehearse(water, TABLE, directory, **options) as rehearsal:
        assert rehearsal.clean, rehearsal.report.to_text()
        assert json.loads(rehearsal.to_json())["copy"]["sampled"]["sample"] == "50%"
        assert json.loads(rehearsal.to_json())["single_transaction"] is True
