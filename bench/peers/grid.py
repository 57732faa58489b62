#!/usr/bin/env python3
"""Migration tools on one grid of faults; bench/peers-grid.sh calls it, with a server that PGHOST and PGPORT name.

    grid.py [--from DIR] [--tools NAME,NAME] [--points N] [--jobs N] [--json FILE]
    grid.py --report FILE...

Every tool gets the same three migrations, in its own form, in a database in which it has applied one already. A run goes
through a proxy that knows PostgreSQL's messages, and is disturbed at one of them. Then the same command is run once more,
undisturbed, and what the database holds is compared with what it holds after a run that nobody disturbed.
"""
import argparse
import concurrent.futures
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from proxy import Point, Proxy
from tools import ALL, Migration, Tool

HOST, PORT = os.environ.get("PGHOST", ""), os.environ.get("PGPORT", "5432")
SOCKET = f"{HOST}/.s.PGSQL.{PORT}"
PATIENCE = 30.0  # seconds that a command may take; an undisturbed one takes less than five
FAULTS = ["killed", "reset", "ended", "unanswered"]
WORDS = {
    "killed": "SIGKILL",
    "reset": "connections reset",
    "ended": "pg_terminate_backend",
    "unanswered": "COMMIT's answer lost",
}

# What every database holds at first. peers.number answers -1 where a table is not there.
SEED = """
create table public.account (id int primary key, balance int not null);
insert into public.account select n, 0 from generate_series(1, 300) n;
create function public.slow(int) returns int immutable language plpgsql as $$ begin perform pg_sleep(0.001); return $1; end $$;
create schema peers;
create function peers.number(query text) returns bigint language plpgsql as $$
declare answer bigint;
begin
    execute query into answer;
    return answer;
exception when undefined_table or undefined_column or invalid_schema_name then
    return -1;
end $$;
"""

# None of these can be done twice without a trace.
FIRST = Migration(0, ("create table public.ledger (migration text not null)", "insert into public.ledger values ('m0')"))
TOWN = Migration(1, (
    "create table public.town (id int primary key, name text)",
    "insert into public.town values (1, 'Arvel')",
    "insert into public.ledger values ('m1')",
))
MANY = Migration(2, (
    "alter table public.account add column note text",
    "update public.account set balance = balance + 50",
    "select pg_sleep(0.1)",
    "insert into public.ledger values ('m2')",
    "update public.account set balance = balance + 50",
))
INDEX = Migration(2, ("create index concurrently account_slow on public.account (public.slow(balance))",), outside=True)
STREET = Migration(3, ("create table public.street (id int primary key)", "insert into public.ledger values ('m3')"))
# The fourth statement fails.
FAILS = Migration(2, (
    "create table public.half (id int)",
    "insert into public.ledger values ('m2')",
    "update public.account set balance = balance + 50",
    "insert into public.no_such_table values (1)",
    "insert into public.ledger values ('m2')",
))
LEAVES = Migration(2, (
    "insert into public.ledger values ('m2')",
    "commit",
    "insert into public.no_such_table values (1)",
))
EDITED = TOWN._replace(statements=TOWN.statements + ("insert into public.ledger values ('edited')",))

SETS = {
    "in transactions": [FIRST, TOWN, MANY, STREET],
    "with an index built concurrently": [FIRST, TOWN, INDEX, STREET],
}

QUESTIONS = [f"select count(*) from public.ledger where migration = 'm{n}'" for n in (1, 2, 3)] + [
    "select sum(balance) from public.account",
    "select count(*) from pg_index where indexrelid = to_regclass('public.account_slow') and indisvalid",
]
FOUND = {"in transactions": [1, 1, 1, 30000, 0, 4], "with an index built concurrently": [1, 0, 1, 0, 1, 4]}


def sql(database: str, text: str) -> str:
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def create(database: str, template: str) -> None:
    sql("postgres", f"drop database if exists {database} with (force)")
    sql("postgres", f"create database {database} template {template}")


def state(tool: Tool, database: str) -> list:
    """What migrations left, and the number of those that the tool has recorded."""
    asked = ", ".join(f"peers.number($q${question}$q$)" for question in QUESTIONS + [tool.history])
    return [int(cell) for cell in sql(database, f"select {asked}").split("|")]


def settle(database: str) -> None:
    """Waits until the server has noticed that nobody is there."""
    end = time.monotonic() + 20
    query = f"select count(*) from pg_stat_activity where datname = '{database}' and backend_type = 'client backend'"
    while time.monotonic() < end and sql("postgres", query) != "0":
        time.sleep(0.05)


class Running:
    """A command of a tool, begun."""

    def __init__(self, tool: Tool, files: Path, port: int, database: str, command: list):
        self.output = tempfile.TemporaryFile("w+", errors="replace")
        environment = {**os.environ, "NO_COLOR": "1", **tool.environment(files, port, database)}
        for name in ("PGHOST", "PGPORT", "PGUSER", "RUST_BACKTRACE"):
            environment.pop(name, None)
        self.process = subprocess.Popen(command, cwd=files, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True)

    def kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def finish(self) -> tuple:
        """Its exit code, None when it did not come to an end, and what it said."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        self.process.wait()
        self.output.seek(0)
        said = self.output.read()
        self.output.close()
        return code, said


def run(tool: Tool, files: Path, database: str, proxy: Proxy = None, command=None, begun=None) -> tuple:
    """Runs the command of a tool to its end, by default what brings a database up to date."""
    through = proxy or Proxy(SOCKET)
    try:
        running = Running(tool, files, through.port, database, (command or tool.command)(files, through.port, database))
        if begun is not None:
            begun.append(running)
        return running.finish()
    finally:
        through.close()


def write(tool: Tool, work: Path, name: str, migrations: list) -> Path:
    files = work / re.sub(r"\W+", "-", f"{tool.name} {name}")
    files.mkdir(exist_ok=True)
    tool.write(files, migrations)
    return files


class Broken(Exception):
    """The tool does not do what an undisturbed run must."""


def prepare(tool: Tool, work: Path) -> str:
    """The name of a template database in which the tool has applied the first migration."""
    template = "peers_" + re.sub(r"\W+", "_", tool.name).lower()
    create(template, "peers_seed")
    files = write(tool, work, "first", [FIRST])
    for command in (tool.before, tool.command):
        if command(files, 0, template):
            code, said = run(tool, files, template, command=command)
            if code != 0:
                raise Broken(said)
    settle(template)
    if state(tool, template)[-1] != 1:
        raise Broken(f"its history does not hold the first migration: {state(tool, template)}")
    return template


def disturb(tool: Tool, files: Path, template: str, database: str, fault: str, point: Point, wanted: list) -> dict:
    """One point of the grid."""
    create(database, template)
    begun: list = []

    def strike(proxy: Proxy) -> bool:
        if fault == "ended":
            sql("postgres", f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'")
            return True
        if fault == "killed":
            while not begun:
                time.sleep(0.001)
            begun[0].kill()
            proxy.end_servers()
        else:
            proxy.reset()
        return False

    proxy = Proxy(SOCKET, point, strike)
    code, said = run(tool, files, database, proxy, begun=begun)
    settle(database)
    left = state(tool, database)
    again, said_again = run(tool, files, database)
    settle(database)
    found = state(tool, database)
    freed = None
    if again != 0 and tool.unlock(files, 0, database):
        run(tool, files, database, command=tool.unlock)
        freed, _ = run(tool, files, database)
        settle(database)
        found = state(tool, database)
    sql("postgres", f"drop database {database} with (force)")
    if not proxy.struck:
        verdict = "not reached"
    elif again != 0:
        verdict = "unlocked" if freed == 0 and found == wanted else "stuck"
    else:
        verdict = "once" if found == wanted else "wrong"
    head = next((seen.text for seen in proxy.seen if (seen.connection, seen.message) == point[:2]), "")
    return {
        "fault": fault, "point": point._asdict(), "message": re.sub(r"[^ -~]+", " ", head), "exit": code, "said": said[-1500:],
        "left": left, "again": again, "said again": said_again[-1500:] if again != 0 else "", "found": found,
        "verdict": verdict,
        # Success is said when all is done, and only then. A tool that was killed says nothing.
        "true": None if fault == "killed" else (code == 0) == (left == wanted),
    }


def sample(points: list, count: int) -> list:
    """So many of them, evenly, the first and the last among them."""
    if len(points) <= count:
        return points
    return [points[round(n * (len(points) - 1) / max(count - 1, 1))] for n in range(count)]


def faults(tool: Tool, work: Path, template: str, name: str, arguments: argparse.Namespace) -> list:
    """A set of migrations, disturbed at its points."""
    files = write(tool, work, name, SETS[name])
    database = template + "_0"
    create(database, template)
    proxy = Proxy(SOCKET)
    code, said = run(tool, files, database, proxy)
    settle(database)
    if code != 0 or state(tool, database) != FOUND[name]:
        raise Broken(f"{name}, undisturbed: {code}, {state(tool, database)}: {said[-600:]}")
    points = [Point(seen.connection, seen.message, phase) for seen in proxy.seen for phase in ("before", "after")]
    # Half of them where something is written, however much a tool reads and asks besides.
    writes = [point for point in points if point[:2] in proxy.writes]
    others = [point for point in points if point[:2] not in proxy.writes]
    drawn = sample(writes, (arguments.points + 1) // 2) + sample(others, arguments.points // 2)
    grid = [(fault, point) for fault in FAULTS[:3] for point in drawn]
    grid += [("unanswered", point) for point in sample(proxy.ends, arguments.points)]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        return list(pool.map(
            lambda numbered: disturb(tool, files, template, f"{template}_{numbered[0] + 1}", *numbered[1], FOUND[name]),
            enumerate(grid)))


CHANGED = re.compile(r"chang|modif|checksum|diverg|differ", re.I)
RAW = re.compile(r"duplicate key|already exists|deadlock|Traceback|could not serialize|panicked", re.I)


def crowd(tool: Tool, work: Path, template: str, rounds: int = 5, operators: int = 2) -> list:
    """Several start at the same moment: the first messages of all are let through together."""
    files = write(tool, work, "crowd", SETS["in transactions"])
    came = []
    for number in range(rounds):
        database = f"{template}_crowd_{number}"
        create(database, template)
        gate = threading.Barrier(operators)
        proxies = [Proxy(SOCKET, gate=gate) for _ in range(operators)]
        with concurrent.futures.ThreadPoolExecutor(operators) as pool:
            ends = list(pool.map(lambda proxy: run(tool, files, database, proxy), proxies))
        settle(database)
        found = state(tool, database)
        came.append({
            "exits": [code for code, _ in ends],
            "said": [said[-1500:] for code, said in ends if code != 0],
            "once": found == FOUND["in transactions"], "found": found,
            "raw": any(code != 0 and RAW.search(said) for code, said in ends),
        })
        sql("postgres", f"drop database {database} with (force)")
    return came


def place(files: Path, text: str) -> tuple:
    """The file and the line in which a text stands."""
    for path in sorted(files.rglob("*")):
        if path.is_file() and path.suffix in (".sql", ".py"):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if text in line:
                    return path.name, number
    raise LookupError(text)


def names(said: str, stem: str) -> bool:
    """Whether a message names the second migration: its file, its long number, or m2 as the last of all."""
    number = re.match(r"\d{5,}", stem)
    return stem in said or bool(number and number.group() in said) or re.findall(r"(?<![a-z])m([0-3])(?!\w)", said)[-1:] == ["2"]


def scripts(tool: Tool, work: Path, template: str) -> dict:
    """Migrations that are wrong, and one that was changed after it was applied."""
    answers = {}
    for name, wrong in (("fails", FAILS), ("leaves", LEAVES)):
        files = write(tool, work, name, [FIRST, TOWN, wrong, STREET])
        database = f"{template}_{name}"
        create(database, template)
        code, said = run(tool, files, database)
        settle(database)
        rows = int(sql(database, "select peers.number('select count(*) from public.ledger where migration = ''m2''')"))
        half = sql(database, "select to_regclass('public.half') is not null") == "t"
        file, line = place(files, "no_such_table")
        answers[name] = {
            "exit": code, "said": said[-2500:], "left behind": rows > 0 or half, "history": state(tool, database)[-1],
            "file named": names(said, Path(file).stem),
            "line named": bool(re.search(rf"\bline:? {line}\b|:{line}\b", said, re.I)),
        }
    files = write(tool, work, "edited", SETS["in transactions"])
    database = f"{template}_edited"
    create(database, template)
    first, _ = run(tool, files, database)
    tool.write(files, [FIRST, EDITED, MANY, STREET])
    asks = tool.check if tool.check(files, 0, database) else None
    code, said = run(tool, files, database, command=asks)
    answers["edited"] = {"exit before": first, "exit": code, "said": said[-2500:], "by": tool.edits,
                         "warned": "m1" in said and bool(CHANGED.search(said)),
                         "found": state(tool, database) == FOUND["in transactions"]}
    return answers


def measure(tool: Tool, work: Path, arguments: argparse.Namespace) -> dict:
    begin = time.monotonic()
    result = {"tool": tool.name, "version": tool.version(), "mode": tool.mode, "sets": {}, "broken": []}
    template = prepare(tool, work)
    for name, migrations in SETS.items():
        if tool.outside or not any(migration.outside for migration in migrations):
            try:
                result["sets"][name] = faults(tool, work, template, name, arguments)
            except Broken as why:
                result["broken"].append(str(why))
    result["two at once"] = crowd(tool, work, template)
    if tool.fresh:
        result["two at once, the first run of all"] = crowd(tool, work, "peers_seed")
    result["scripts"] = scripts(tool, work, template)
    result["seconds"] = round(time.monotonic() - begin)
    return result


def of(points: list, wanted) -> str:
    """How many of them, of how many."""
    return f"{sum(1 for point in points if wanted(point))}/{len(points)}" if points else "-"


def together(rounds: list) -> str:
    """How often all was done once, and in how many rounds one of them met the other's work as an error of PostgreSQL's."""
    raw = sum(one["raw"] for one in rounds)
    return of(rounds, lambda one: one["once"]) + (f", raw errors in {raw}" if raw else "")


def table(head: list, rows: list) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def report(results: list) -> str:
    text = []
    for name in SETS:
        rows = []
        for result in results:
            points = [point for point in result["sets"].get(name, []) if point["verdict"] != "not reached"]
            if not points:
                rows.append([result["tool"]] + ["-"] * 8)
                continue
            cells = [of([one for one in points if one["fault"] == fault], lambda one: one["verdict"] == "once")
                     for fault in FAULTS]
            counts = [str(sum(one["verdict"] == verdict for one in points)) for verdict in ("unlocked", "stuck", "wrong")]
            told = [one for one in points if one["true"] is not None]
            rows.append([result["tool"], *cells, *counts, of(told, lambda one: one["true"])])
        head = ["tool", *(WORDS[fault] for fault in FAULTS), "once after unlocking", "stuck", "wrong", "exit code true"]
        text.append(f"Three migrations {name}: points after which the next run made everything exactly once\n\n"
                    + table(head, rows))
    rows = []
    for result in results:
        came, first = result["two at once"], result.get("two at once, the first run of all", [])
        wrong, leaves, edited = (result["scripts"][name] for name in ("fails", "leaves", "edited"))
        if not leaves["left behind"]:
            left = "yes" if leaves["exit"] != 0 else "ran it in one transaction"
        else:
            left = "no: half applied" + (", recorded" if leaves["history"] > 2 else "")
        rows.append([
            result["tool"], result["version"],
            together(came), together(first),
            "no" if wrong["left behind"] else "yes",
            " and ".join(what for what, there in (("migration", wrong["file named"]), ("line", wrong["line named"])) if there) or "no",
            left,
            ("refused" if edited["exit"] != 0 else "warned" if edited["warned"] else "no") + (f" ({edited['by']})" if edited["by"] != "run" else ""),
        ])
    head = ["tool", "version", "two at once", "first run of all", "failure leaves nothing", "failure names",
            "COMMIT inside refused", "edited file noticed"]
    text.append("Operators and scripts\n\n" + table(head, rows))
    return "\n\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="directory", type=Path, help="where bench/peers-grid.sh --install put the tools")
    parser.add_argument("--tools", default="", help="only these, by name")
    parser.add_argument("--points", type=int, default=12, help="so many points for each fault and set (12)")
    parser.add_argument("--jobs", type=int, default=2, help="so many at once (2)")
    parser.add_argument("--json", type=Path, help="write every point there, with what the tools said")
    parser.add_argument("--report", type=Path, nargs="+", metavar="JSON", help="only print the tables of earlier runs")
    arguments = parser.parse_args()
    if arguments.report:
        print(report([result for path in arguments.report for result in json.loads(path.read_text())["results"]]))
        return
    named = [name for name in arguments.tools.split(",") if name]
    unknown = set(named) - {tool.name for tool in ALL}
    if unknown or arguments.points < 1 or arguments.jobs < 1:
        parser.error(f"tools are: {', '.join(tool.name for tool in ALL)}; --points and --jobs are 1 at least")
    sql("postgres", "create database peers_seed")
    sql("peers_seed", SEED)
    results = []
    with tempfile.TemporaryDirectory(prefix="peers-") as work:
        for kind in ALL:
            if named and kind.name not in named:
                continue
            tool = kind(arguments.directory.resolve() if arguments.directory else None)
            if not tool.program:
                print(f"{tool.name}: not there, skipped{f' ({tool.advice})' if tool.advice else ''}", file=sys.stderr)
                continue
            try:
                results.append(measure(tool, Path(work), arguments))
            except Broken as why:
                print(f"{tool.name}: skipped, its first run failed:\n{why}", file=sys.stderr)
                continue
            print(f"{tool.name} {results[-1]['version']}: {results[-1]['seconds']} s", *results[-1]["broken"], sep="\n", file=sys.stderr)
            machine = {"server": sql("postgres", "select version()"), "cores": os.cpu_count(), "machine": platform.machine()}
            if arguments.json:
                arguments.json.write_text(json.dumps({**machine, "points": arguments.points, "results": results}, indent=1))
    if not results:
        sys.exit("no tool is there")
    print(f"{machine['server'].split(' on ')[0]}; {machine['cores']} cores; {arguments.points} points for each fault\n")
    print(report(results))


if __name__ == "__main__":
    main()
