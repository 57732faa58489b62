"""``Dumper`` of pum 0.10."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Optional, Union

from pum import _api
from pum._errors import Error
from pum.core.exceptions import PgDumpCommandError, PgDumpFailed, PgRestoreCommandError, PgRestoreFailed


class Dumper:
    """Dumps and restores a database by :func:`pum.dump` and :func:`pum.restore`."""

    def __init__(self, pg_service: str, file: str) -> None:
        self.pg_service = pg_service
        self.file = file

    def pg_backup(
        self, pg_dump_exe: str = "pg_dump", exclude_schema: Optional[Union[str, Iterable[str]]] = None
    ) -> None:
        """Dumps the database into the file; ``PgDumpFailed`` or ``PgDumpCommandError``."""
        program = _program(pg_dump_exe, "pg_dump")
        if isinstance(program, str):
            raise PgDumpCommandError(program)
        try:
            _api.dump(self.pg_service, self.file, exclude_schemas=exclude_schema or (), pg_dump=program)
        except Error as error:
            raise PgDumpFailed(str(error)) from error

    def pg_restore(
        self, pg_restore_exe: str = "pg_restore", exclude_schema: Optional[Union[str, Iterable[str]]] = None
    ) -> None:
        """Restores the file into the database; ``PgRestoreFailed`` or ``PgRestoreCommandError``."""
        program = _program(pg_restore_exe, "pg_restore")
        if isinstance(program, str):
            raise PgRestoreCommandError(program)
        try:
            _api.restore(self.file, self.pg_service, exclude_schemas=exclude_schema or (), pg_restore=program)
        except Error as error:
            raise PgRestoreFailed(str(error)) from error


def _program(given: str, usual: str) -> Union[None, Path, str]:
    """The program; none when it is the usual one, which pum finds; a text says why it cannot be run."""
    if given in ("", usual):
        return None
    found = shutil.which(given)
    return Path(found) if found else f"the program {given!r} is not there"
