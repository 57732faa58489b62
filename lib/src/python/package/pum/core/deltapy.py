"""The base class of Python deltas, as pum 0.10 offered it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Optional


class DeltaPy(ABC):
    """A delta written in Python: a subclass whose ``run`` does the work over connections of its own."""

    def __init__(
        self,
        current_db_version: Any,
        delta_dir: str,
        delta_dirs: Iterable[str],
        pg_service: str,
        upgrades_table: str,
        variables: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self.__current_db_version = current_db_version
        self.__delta_dir = os.path.join(delta_dir, "")
        self.__delta_dirs = list(delta_dirs)
        self.__pg_service = pg_service
        self.__upgrades_table = upgrades_table
        self.__variables = dict(variables or {})

    @property
    def current_db_version(self) -> Any:
        """The version of the database before this upgrade, comparable with ``packaging`` versions."""
        return self.__current_db_version

    @property
    def delta_dir(self) -> str:
        """The directory that the delta lies in, with a separator at its end."""
        return self.__delta_dir

    @property
    def delta_dirs(self) -> list[str]:
        """All directories of deltas."""
        return self.__delta_dirs

    @property
    def pg_service(self) -> str:
        """The service that names the database: ``psycopg2.connect("service=" + self.pg_service)``."""
        return self.__pg_service

    @property
    def upgrades_table(self) -> str:
        """The table of upgrades, as it was given."""
        return self.__upgrades_table

    @property
    def variables(self) -> dict[str, Any]:
        """The variables by name: ``int``, ``float`` or ``str``."""
        return self.__variables

    def variable(self, name: str, default: Any = None) -> Any:
        """One variable, or ``default`` when it was not given."""
        return self.__variables.get(name, default)

    def write_message(self, text: Any) -> None:
        """Tells the person who watches the upgrade."""
        print("Message from {}: {}".format(type(self).__name__, text))

    @abstractmethod
    def run(self) -> Any:
        """Does the work; an exception stops the upgrade."""
