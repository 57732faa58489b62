"""What is told while work goes on, to the function given as ``progress`` and to the logger ``pum``.

Texts come from servers, files and programs: escape them for where they are shown.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any, Optional, Union

from pum._errors import ServerError


@dataclass(frozen=True)
class Phase:
    """A phase of a longer flow begins."""

    number: int
    of: int
    title: str

    def __str__(self) -> str:
        return f"{self.number} of {self.of}: {self.title}"


@dataclass(frozen=True)
class Message:
    """Something worth a line."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Warned:
    """Something is not as it should be, and the work goes on."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class StepStarted:
    """A step of an upgrade begins."""

    number: int
    of: int
    step: str

    def __str__(self) -> str:
        return f"step {self.number} of {self.of}: {self.step}"


@dataclass(frozen=True)
class StepFinished:
    """The step that began last is applied and recorded."""

    milliseconds: int

    def __str__(self) -> str:
        return f"done in {self.milliseconds} ms"


@dataclass(frozen=True)
class Progress:
    """How far the work has come."""

    done: int
    total: Optional[int]
    unit: str

    def __str__(self) -> str:
        return f"{self.done} of {'?' if self.total is None else self.total} {self.unit}"


@dataclass(frozen=True)
class Notice:
    """The server sent a notice or a warning."""

    server: ServerError

    def __str__(self) -> str:
        return f"{self.server.severity}: {self.server.message}"


@dataclass(frozen=True)
class Output:
    """A program or a Python delta wrote a line."""

    source: str
    line: str

    def __str__(self) -> str:
        return f"{self.source}: {self.line}"


@dataclass(frozen=True)
class Waiting:
    """The work waits for somebody else."""

    text: str

    def __str__(self) -> str:
        return self.text


Event = Union[Phase, Message, Warned, StepStarted, StepFinished, Progress, Notice, Output, Waiting]

_KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (Phase, Message, Warned, StepStarted, StepFinished, Progress, Notice, Output, Waiting)
}


def of(text: str) -> Event:
    """The event that the library tells in JSON."""
    told = json.loads(text)
    kind = _KINDS[told.pop("event")]
    if kind is Notice:
        return Notice(ServerError(**told["server"]))
    event: Event = kind(**told)
    return event


def level(event: Event) -> int:
    """How an event is logged."""
    if isinstance(event, (Warned, Waiting)):
        return logging.WARNING
    if isinstance(event, Notice):
        return logging.WARNING if event.server.severity == "WARNING" else logging.INFO
    return logging.DEBUG if isinstance(event, Progress) else logging.INFO
