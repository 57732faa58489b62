"""``Pum`` of pum 0.10: the commands as methods, which print what they do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional, Union

from pum import _api
from pum._errors import FileError, UsageError
from pum.core.checker import Checker
from pum.core.dumper import Dumper
from pum.core.upgrader import Upgrader

Words = Optional[Union[str, Iterable[str]]]


class Pum:
    """The commands, with the defaults of a configuration file.

    Errors are raised: :class:`pum.Error`, and those of ``pum.core.exceptions``. Where the command asks before it upgrades
    production, so does ``run_test_and_upgrade``, unless it is told what to answer.
    """

    def __init__(self, config_file: Optional[Union[str, os.PathLike[str]]] = None) -> None:
        self.config_file = config_file
        self.configs: dict[str, Any] = {}
        if config_file is not None:
            self.set_configs(_read(Path(config_file)))

    def set_configs(self, configs: Mapping[str, Any]) -> None:
        """Takes the keys of a configuration file: those of pum 0.10."""
        self.configs.update(configs)

    def run_check(
        self,
        pg_service1: str,
        pg_service2: str,
        ignore_list: Optional[Iterable[str]] = None,
        exclude_schema: Words = None,
        exclude_field_pattern: Words = None,
        verbose_level: int = 1,
        output_file: Optional[str] = None,
    ) -> bool:
        """Compares two databases; whether they are the same."""
        checker = Checker(
            pg_service1,
            pg_service2,
            exclude_schema=exclude_schema,
            exclude_field_pattern=exclude_field_pattern,
            ignore_list=self._or("ignore_elements", ignore_list),
            verbose_level=verbose_level,
        )
        report = checker.report(self.configs.get("upgrades_table"))
        print("Check...OK" if report.same else "Check...DIFFERENCES FOUND")
        text = report.to_text(verbose_level)
        if output_file:
            Path(output_file).write_text(text, encoding="utf-8")
        else:
            print(text, end="")
        return report.same

    def run_dump(self, pg_service: str, file: str, exclude_schema: Words = None) -> None:
        """Dumps a database."""
        Dumper(pg_service, file).pg_backup(self._program("pg_dump_exe") or "pg_dump", exclude_schema)
        print("Dump...OK")

    def run_restore(
        self, pg_service: str, file: str, ignore_restore_errors: bool = False, exclude_schema: Words = None
    ) -> None:
        """Restores a dump into a database."""
        restored = _api.restore(
            file,
            pg_service,
            exclude_schemas=exclude_schema or (),
            ignore_errors=bool(ignore_restore_errors),
            pg_restore=self._program("pg_restore_exe"),
        )
        for errors in restored.passed_over:
            print(f"passed over: {errors.count} x {errors.kind}, first: {errors.first}")
        print("Restore...OK")

    def run_baseline(self, pg_service: str, table: str, delta_dirs: Words, baseline: str) -> None:
        """Records that a database is at a version."""
        Upgrader(pg_service, self._table(table), self._dirs(delta_dirs)).set_baseline(baseline)
        print("Set baseline...OK")

    def run_info(self, pg_service: str, table: str, delta_dirs: Words) -> None:
        """Prints what is applied and what is not."""
        Upgrader(pg_service, self._table(table), self._dirs(delta_dirs)).show_info()

    def run_upgrade(
        self,
        pg_service: str,
        table: str,
        delta_dirs: Words,
        variables: Any = None,
        max_version: Optional[str] = None,
        verbose: bool = False,
        *,
        allow_near_misses: bool = False,
    ) -> None:
        """Applies what is due; ``allow_near_misses`` as in :meth:`pum.core.upgrader.Upgrader.run`."""
        upgrader = Upgrader(pg_service, self._table(table), self._dirs(delta_dirs), variables, max_version)
        upgrader.run(verbose, allow_near_misses=allow_near_misses)
        print("Upgrade...OK")

    def run_test_and_upgrade(
        self,
        pg_service_prod: str,
        pg_service_test: str,
        pg_service_comp: str,
        file: Optional[str],
        table: str,
        delta_dirs: Words,
        ignore_list: Optional[Iterable[str]] = None,
        exclude_schema: Words = None,
        exclude_field_pattern: Words = None,
        ignore_restore_errors: bool = False,
        variables: Any = None,
        max_version: Optional[str] = None,
        verbose: bool = False,
        *,
        yes: Optional[bool] = None,
        overwrite: bool = False,
    ) -> bool:
        """Rehearses the upgrade of production in the test database, compares it, and upgrades production.

        ``yes`` answers the question about production; without it, it is asked on the terminal. ``overwrite`` drops what the
        test database holds even when it is no copy of pum's own. Whether production was upgraded and is what it must be.
        """
        upgrader = Upgrader(pg_service_prod, self._table(table), self._dirs(delta_dirs), variables, max_version)
        rehearsal = _api.rehearse(
            pg_service_prod,
            upgrader.upgrades_table,
            upgrader.dirs,
            expected=pg_service_comp,
            test=pg_service_test,
            overwrite=overwrite,
            backup=file or self.configs.get("backup_file"),
            max_version=max_version,
            variables=upgrader.variables,
            ignore=self._or("ignore_elements", ignore_list) or (),
            exclude_schemas=exclude_schema or (),
            exclude_fields=exclude_field_pattern or (),
            ignore_restore_errors=bool(ignore_restore_errors),
            pg_dump=self._program("pg_dump_exe"),
            pg_restore=self._program("pg_restore_exe"),
            progress=(lambda event: print(f"     {event}")) if verbose else None,
        )
        with rehearsal:
            if not rehearsal.clean:
                print(rehearsal.report.to_text())
                print(f"{rehearsal.verdict}; production was left as it was.")
                return False
            if yes is None:
                yes = _asked(f"Apply deltas to {pg_service_prod}? [n]|y: ")
            if not yes:
                print("Production was left as it was.")
                return False
            done = rehearsal.carry_out()
        if not done.as_rehearsed:
            print(done.report.to_text())
        return done.as_rehearsed

    def _or(self, key: str, value: Optional[Iterable[str]]) -> list[str]:
        chosen = value if value else self.configs.get(key)
        return [chosen] if isinstance(chosen, str) else list(chosen or ())

    def _table(self, table: Optional[str]) -> str:
        chosen = table or self.configs.get("upgrades_table")
        if not chosen:
            raise UsageError("the upgrades table is not named", hint="give `table`, or `upgrades_table` in the file")
        return str(chosen)

    def _dirs(self, dirs: Words) -> list[str]:
        return self._or("delta_dirs", [dirs] if isinstance(dirs, str) and dirs else dirs) or self._or("delta_dir", None)

    def _program(self, key: str) -> Optional[str]:
        return self.configs.get(key) or os.environ.get(key.upper())


def _asked(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f'cannot read the configuration file "{file}": {error.strerror}') from error
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise UsageError(
            "a configuration file is YAML, and this Python cannot read it", hint="pip install 'pum[yaml]'"
        ) from error
    read = yaml.safe_load(text)
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise UsageError(f'the configuration file "{file}" is no mapping of keys to values')
    return read
