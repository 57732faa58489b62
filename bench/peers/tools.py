"""The migration tools of the grid: how each is called, how its files look, and where it keeps its history.

Each is used as its own documentation says, with its defaults, unless `mode` names something else.
"""
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple, Optional


class Migration(NamedTuple):
    """A migration as every tool gets it. Its number stands for its place, from 0."""

    number: int
    statements: tuple
    outside: bool = False  # not in a transaction

    @property
    def name(self) -> str:
        return f"m{self.number}"

    @property
    def sql(self) -> str:
        return "".join(f"{statement};\n" for statement in self.statements)


class Tool:
    """One program. `program` is its path, None where it is not there."""

    name = ""
    mode = "defaults"
    outside = True  # whether it can run a migration without a transaction
    edits = "run"  # what notices an applied file that was changed: the run, or a command of its own
    fresh = True  # whether the first run of all needs no other command before it
    history = ""  # a query for the number of migrations that it has recorded, m0 among them

    def __init__(self, directory: Optional[Path]):
        self.program = self.find(directory)

    def find(self, directory: Optional[Path]) -> Optional[str]:
        """The program in the directory of --from, or in PATH."""
        inside = directory / self.place if directory else None
        if inside and os.access(inside, os.X_OK):
            return str(inside)
        return shutil.which(Path(self.place).name)

    place = ""  # below the directory of --from
    advice = ""  # how to get it

    def version(self) -> str:
        answer = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"\d+(\.\d+)+", answer.stdout + answer.stderr)
        return found.group() if found else "?"

    def write(self, directory: Path, migrations: list) -> None:
        """Writes the files."""
        for migration in migrations:
            (directory / self.file(migration)).write_text(self.text(migration))

    def file(self, migration: Migration) -> str:
        """Named by a moment, as most tools have it."""
        return f"2024010100000{migration.number}_{migration.name}.sql"

    def text(self, migration: Migration) -> str:
        return migration.sql

    def command(self, directory: Path, port: int, database: str) -> list:
        """What an operator types to bring the database up to date."""
        raise NotImplementedError

    def before(self, _directory: Path, _port: int, _database: str) -> Optional[list]:
        """What must be done once in a database that the tool has never seen."""
        return None

    def check(self, _directory: Path, _port: int, _database: str) -> Optional[list]:
        """The command that notices changed files, where the run does not look."""
        return None

    def unlock(self, _directory: Path, _port: int, _database: str) -> Optional[list]:
        """The command that takes away the lock of a run that is gone, where the tool has one."""
        return None

    def environment(self, _directory: Path, port: int, database: str) -> dict:
        return {"DATABASE_URL": self.url(port, database)}

    def url(self, port: int, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable"


class Pum(Tool):
    name = "pum"
    place = "pum"
    fresh = False
    history = "select count(*) from public.pum_info where type <> 0 and success"  # 0 is the baseline

    def find(self, directory: Optional[Path]) -> Optional[str]:
        return os.environ.get("PUM") or super().find(directory)

    def file(self, migration: Migration) -> str:
        return f"delta_1.{migration.number}.0_m{migration.number}.sql"

    def text(self, migration: Migration) -> str:
        return ("-- pum: no-transaction\n" if migration.outside else "") + migration.sql

    def target(self, port: int, database: str) -> str:
        return f"host=127.0.0.1 port={port} dbname={database} user=postgres sslmode=disable"

    def command(self, directory: Path, port: int, database: str) -> list:
        return [self.program, "upgrade", "-p", self.target(port, database), "-t", "public.pum_info", "-d", str(directory)]

    def before(self, directory: Path, port: int, database: str) -> Optional[list]:
        target = self.target(port, database)
        return [self.program, "baseline", "-p", target, "-t", "public.pum_info", "-d", str(directory), "-b", "0.0.0"]


class Pum010(Pum):
    name = "pum 0.10"
    place = "pum-0.10/bin/pum"
    advice = "pip install pum==0.10.0 psycopg2-binary 'setuptools<81'"
    outside = False

    def find(self, directory: Optional[Path]) -> Optional[str]:
        named = os.environ.get("PUM_ORIGINAL")
        inside = directory / self.place if directory else None
        return named or (str(inside) if inside and inside.exists() else None)

    def version(self) -> str:
        return "0.10.0"

    def target(self, _port: int, _database: str) -> str:
        return "peers"

    def environment(self, directory: Path, port: int, database: str) -> dict:
        services = directory.parent / f"{directory.name}.{database}.{port}.conf"
        services.write_text(f"[peers]\n{super().target(port, database).replace(' ', chr(10))}\n")
        bin_ = str(Path(self.program).parent)
        return {"PGSERVICEFILE": str(services), "PATH": bin_ + os.pathsep + os.environ["PATH"]}


class Dbmate(Tool):
    name = "dbmate"
    mode = "migrate --no-dump-schema"
    place = "npm/node_modules/@dbmate/linux-x64/bin/dbmate"
    advice = "npm install dbmate"
    history = "select count(*) from public.schema_migrations"

    def text(self, migration: Migration) -> str:
        head = "-- migrate:up transaction:false" if migration.outside else "-- migrate:up"
        return f"{head}\n{migration.sql}\n-- migrate:down\n"

    def command(self, directory: Path, port: int, database: str) -> list:
        return [self.program, "--no-dump-schema", "--url", self.url(port, database), "-d", str(directory), "migrate"]


class Sqlx(Tool):
    name = "sqlx-cli"
    place = "cargo/bin/sqlx"
    advice = "cargo install --locked sqlx-cli --no-default-features --features rustls,postgres"
    history = "select count(*) from public._sqlx_migrations where success"

    def text(self, migration: Migration) -> str:
        return ("-- no-transaction\n" if migration.outside else "") + migration.sql

    def command(self, directory: Path, port: int, database: str) -> list:
        return [self.program, "migrate", "run", "--source", str(directory), "--database-url", self.url(port, database)]


class Refinery(Tool):
    name = "refinery"
    mode = "-d -m: stop at divergent and missing files"
    place = "cargo/bin/refinery"
    advice = "cargo install --locked refinery_cli --no-default-features --features postgresql"
    outside = False  # the library has a mode for it, the command has none
    history = "select count(*) from public.refinery_schema_history"
    options = ["-d", "-m"]

    def file(self, migration: Migration) -> str:
        return f"V{migration.number + 1}__{migration.name}.sql"

    def command(self, directory: Path, _port: int, _database: str) -> list:
        return [self.program, "migrate", "-e", "DATABASE_URL", "-p", str(directory), *self.options]


class RefineryGrouped(Refinery):
    name = "refinery -g"
    mode = "-g: all in one transaction, -d -m"
    options = ["-d", "-m", "-g"]


class Yoyo(Tool):
    name = "yoyo"
    mode = "apply --batch -v"
    place = "yoyo/bin/yoyo"
    advice = "pip install yoyo-migrations psycopg2-binary 'setuptools<81'"
    history = "select count(*) from public._yoyo_migration"

    def version(self) -> str:
        packages = Path(self.program).parent.parent.glob("lib/python*/site-packages/yoyo_migrations-*.dist-info")
        return next((package.name.split("-")[1].removesuffix(".dist") for package in packages), "?")

    def url(self, port: int, database: str) -> str:
        return super().url(port, database).replace("postgres:", "postgresql:")

    def file(self, migration: Migration) -> str:
        return f"{migration.name}.sql"

    def text(self, migration: Migration) -> str:
        depends = f"-- depends: m{migration.number - 1}\n" if migration.number else ""
        return depends + ("-- transactional: false\n" if migration.outside else "") + migration.sql

    def command(self, directory: Path, port: int, database: str) -> list:
        return [self.program, "apply", "--batch", "-v", "--no-config-file", "-d", self.url(port, database), str(directory)]

    def unlock(self, _directory: Path, port: int, database: str) -> Optional[list]:
        return [self.program, "break-lock", "--batch", "--no-config-file", "-d", self.url(port, database)]


class Alembic(Tool):
    name = "alembic"
    mode = "transaction_per_migration"
    place = "alembic/bin/alembic"
    advice = "pip install alembic psycopg2-binary"
    history = "select coalesce(max(substr(version_num, 2)::int) + 1, 0) from public.alembic_version"

    def url(self, port: int, database: str) -> str:
        return super().url(port, database).replace("postgres:", "postgresql+psycopg2:")

    def write(self, directory: Path, migrations: list) -> None:
        (directory / "versions").mkdir(exist_ok=True)
        (directory / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\npath_separator = os\n")
        (directory / "env.py").write_text(
            "import os\n\nfrom alembic import context\nfrom sqlalchemy import create_engine, pool\n\n"
            'engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)\n'
            "with engine.connect() as connection:\n"
            "    context.configure(connection=connection, transaction_per_migration=True)\n"
            "    with context.begin_transaction():\n        context.run_migrations()\n"
        )
        super().write(directory, migrations)

    def file(self, migration: Migration) -> str:
        return f"versions/{migration.name}.py"

    def text(self, migration: Migration) -> str:
        before = f'"m{migration.number - 1}"' if migration.number else "None"
        text = f'from alembic import op\n\nrevision = "{migration.name}"\ndown_revision = {before}\n\n\ndef upgrade():\n'
        indent = "    "
        if migration.outside:
            text += "    with op.get_context().autocommit_block():\n"
            indent *= 2
        return text + "".join(f'{indent}op.execute("{statement}")\n' for statement in migration.statements)

    def command(self, directory: Path, _port: int, _database: str) -> list:
        return [self.program, "-c", str(directory / "alembic.ini"), "upgrade", "head"]


class NodePgMigrate(Tool):
    name = "node-pg-migrate"
    place = "npm/node_modules/.bin/node-pg-migrate"
    advice = "npm install node-pg-migrate pg"
    history = "select count(*) from public.pgmigrations"

    def version(self) -> str:
        package = Path(self.program).resolve().parent.parent / "package.json"
        found = re.search(r'"version": "([^"]+)"', package.read_text())
        return found.group(1) if found else "?"

    def file(self, migration: Migration) -> str:
        return f"170000000000{migration.number}_{migration.name}.{'cjs' if migration.outside else 'sql'}"

    def text(self, migration: Migration) -> str:
        if not migration.outside:
            return migration.sql
        steps = "".join(f"  pgm.sql('{statement}');\n" for statement in migration.statements)
        return f"exports.up = (pgm) => {{\n  pgm.noTransaction();\n{steps}}};\n"

    def command(self, directory: Path, _port: int, _database: str) -> list:
        return [self.program, "up", "-m", str(directory)]


class Sqitch(Tool):
    name = "Sqitch"
    mode = "deploy --mode change"
    place = "sqitch"
    advice = "apt-get install sqitch libdbd-pg-perl"
    edits = "sqitch check"
    history = "select count(*) from sqitch.changes"

    def write(self, directory: Path, migrations: list) -> None:
        (directory / "deploy").mkdir(exist_ok=True)
        (directory / "sqitch.conf").write_text("[core]\n\tengine = pg\n[user]\n\tname = peers\n\temail = peers@example.org\n")
        plan = "".join(f"{one.name} 2024-01-01T00:00:0{one.number}Z peers <peers@example.org> # {one.name}\n" for one in migrations)
        (directory / "sqitch.plan").write_text(f"%syntax-version=1.0.0\n%project=peers\n\n{plan}")
        super().write(directory, migrations)

    def file(self, migration: Migration) -> str:
        return f"deploy/{migration.name}.sql"

    def text(self, migration: Migration) -> str:
        return migration.sql if migration.outside else f"BEGIN;\n{migration.sql}COMMIT;\n"

    def target(self, port: int, database: str) -> str:
        return f"db:pg://postgres@127.0.0.1:{port}/{database}?sslmode=disable"

    def command(self, directory: Path, port: int, database: str) -> list:
        return [self.program, "-C", str(directory), "deploy", "--mode", "change", self.target(port, database)]

    def check(self, directory: Path, port: int, database: str) -> Optional[list]:
        return [self.program, "-C", str(directory), "check", self.target(port, database)]


class SqlMigrate(Tool):
    name = "sql-migrate"
    place = "sql-migrate"
    advice = "apt-get install sql-migrate"
    history = "select count(*) from public.gorp_migrations"

    def version(self) -> str:
        answer = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "sql-migrate"], capture_output=True, text=True, check=False)
        return (answer.stdout or "?").split("-")[0].removeprefix("0.0~").split(".")[0]

    def write(self, directory: Path, migrations: list) -> None:
        (directory / "dbconfig.yml").write_text("peers:\n  dialect: postgres\n  datasource: ${DATABASE_URL}\n  dir: files\n")
        (directory / "files").mkdir(exist_ok=True)
        super().write(directory, migrations)

    def file(self, migration: Migration) -> str:
        return f"files/{migration.name}.sql"

    def text(self, migration: Migration) -> str:
        return f"-- +migrate Up{' notransaction' if migration.outside else ''}\n{migration.sql}"

    def command(self, _directory: Path, _port: int, _database: str) -> list:
        return [self.program, "up", "-env=peers"]


class Liquibase(Tool):
    name = "Liquibase"
    place = "npm/node_modules/liquibase/dist/liquibase/liquibase"
    advice = "npm install liquibase@4.28.1, and a Java runtime"
    history = "select count(*) from public.databasechangelog"

    def find(self, directory: Optional[Path]) -> Optional[str]:
        if not shutil.which("java"):
            return None
        found = super().find(directory)
        script = directory / self.place if directory else None
        return found or (str(script) if script and script.exists() else None)

    def version(self) -> str:
        answer = subprocess.run(["bash", self.program, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"Version: ([\d.]+)", answer.stdout)
        return found.group(1) if found else "?"

    def write(self, directory: Path, migrations: list) -> None:
        includes = "".join(f"  - include: {{file: {self.file(one)}}}\n" for one in migrations)
        (directory / "changelog.yaml").write_text(f"databaseChangeLog:\n{includes}")
        super().write(directory, migrations)

    def file(self, migration: Migration) -> str:
        return f"{migration.name}.sql"

    def text(self, migration: Migration) -> str:
        outside = " runInTransaction:false" if migration.outside else ""
        return f"--liquibase formatted sql\n--changeset peers:{migration.name}{outside}\n{migration.sql}"

    def command(self, directory: Path, port: int, database: str) -> list:
        return ["bash", self.program, "--show-banner=false", f"--url=jdbc:postgresql://127.0.0.1:{port}/{database}?sslmode=disable",
                "--username=postgres", f"--search-path={directory}", "--changelog-file=changelog.yaml", "update"]

    def unlock(self, directory: Path, port: int, database: str) -> Optional[list]:
        return [*self.command(directory, port, database)[:-1], "release-locks"]


ALL = [Pum, Pum010, Dbmate, Sqlx, Refinery, RefineryGrouped, Yoyo, Alembic, NodePgMigrate, Sqitch, SqlMigrate, Liquibase]
