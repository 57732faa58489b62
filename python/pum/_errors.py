"""The exceptions, one for each kind of error that a caller can act on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional

from pum.core.exceptions import PumException


@dataclass(frozen=True)
class Location:
    """A place in a file that the user wrote."""

    path: str
    """The file, as the user named it."""
    line: int
    """Line, counted from 1."""
    column: int
    """Column in characters, counted from 1."""
    text: str
    """The text of that line."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True)
class ServerError:
    """What the server said, in the fields of PostgreSQL."""

    severity: str
    sqlstate: str
    message: str
    detail: Optional[str] = None
    hint: Optional[str] = None
    context: Optional[str] = None
    position: Optional[int] = None


class Error(PumException):
    """What failed, where, in PostgreSQL's words, what to do next, and what was done already.

    >>> import pum
    >>> try:
    ...     pum.info("host=/nowhere dbname=water", "water_sys.upgrades", [])
    ... except pum.ConnectionFailed as error:
    ...     print(type(error.message).__name__, error.sqlstate)
    str None
    """

    def __init__(
        self,
        message: str,
        *,
        hint: Optional[str] = None,
        state: Optional[str] = None,
        location: Optional[Location] = None,
        server: Optional[ServerError] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        """The first sentence: what failed and why."""
        self.hint = hint
        """What to do next, in pum's words."""
        self.state = state
        """What was done and what was not when it failed."""
        self.location = location
        """The place in the user's file."""
        self.server = server
        """What the server said."""

    @property
    def sqlstate(self) -> Optional[str]:
        """The SQLSTATE, when the server sent one."""
        return self.server.sqlstate if self.server else None

    def __str__(self) -> str:
        lines = [self.message]
        if self.location:
            lines.append(f"  at {self.location}: {self.location.text.strip()}")
        if self.server:
            for what, text in (("detail", self.server.detail), ("hint", self.server.hint)):
                if text:
                    lines.append(f"  {what} of the server: {text}")
        if self.state:
            lines.append(f"  state: {self.state}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> Any:
        # An exception crosses processes, as of multiprocessing, with all its fields.
        return _again, (type(self), self.message, self.hint, self.state, self.location, self.server)


def _again(
    cls: type[Error],
    message: str,
    hint: Optional[str],
    state: Optional[str],
    location: Optional[Location],
    server: Optional[ServerError],
) -> Error:
    return cls(message, hint=hint, state=state, location=location, server=server)


class UsageError(Error, ValueError):
    """What the caller gave cannot be used: a name, an option, a file."""


class ConnectionFailed(Error):
    """No session could be opened: the server is away, the service unknown, the login refused."""


class PasswordNeeded(ConnectionFailed):
    """The server wants a password and none is known."""


class StatementFailed(Error):
    """The server refused a statement; :attr:`Error.server` holds its words."""


class Refused(Error):
    """A safety check of pum said no, and nothing was changed."""


class Stopped(Error):
    """A check of pum stopped an upgrade that was under way; :attr:`Error.state` says what is applied."""


class Locked(Error):
    """Another run holds the lock."""


class Cancelled(Error):
    """The work was cancelled, and what was under way was rolled back."""


class ConnectionLost(Error):
    """The connection was lost in the middle; what happened is known and said."""


class OutcomeUnknown(Error):
    """The connection was lost in COMMIT and could not be had again: the outcome is not known."""


class ProgramFailed(Error):
    """A program that pum runs, or a Python delta, failed or is missing."""


class FileError(Error, OSError):
    """A file or directory could not be read or written."""

    __str__ = Error.__str__


_KINDS: dict[str, type[Error]] = {
    "Usage": UsageError,
    "Connection": ConnectionFailed,
    "PasswordNeeded": PasswordNeeded,
    "Server": StatementFailed,
    "Refused": Refused,
    "Stopped": Stopped,
    "Locked": Locked,
    "Cancelled": Cancelled,
    "ConnectionLost": ConnectionLost,
    "OutcomeUnknown": OutcomeUnknown,
    "Program": ProgramFailed,
    "Io": FileError,
}


def of(text: str) -> Error:
    """The exception for an error that the library tells in JSON."""
    told = json.loads(text)
    location, server = told["location"], told["server"]
    return _KINDS.get(told["kind"], Error)(
        told["message"],
        hint=told["hint"],
        state=told["state"],
        location=Location(**location) if location else None,
        server=ServerError(**server) if server else None,
    )
