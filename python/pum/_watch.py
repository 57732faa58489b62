"""How work is watched: the function given as ``progress``, the logger ``pum``, and who may cancel."""

from __future__ import annotations

import logging
from typing import Any, Callable, Optional

from pum import _delta, _pum, events

log = logging.getLogger("pum")
# Without it Python would print warnings by itself.
log.addHandler(logging.NullHandler())

Listener = Callable[[events.Event], Any]


def watch(
    progress: Optional[Listener], cancel: Optional[_pum.Cancel], python: bool = False, in_process: bool = True
) -> _pum._Watch:
    """What the extension module is told; ``python`` where deltas may run."""

    def listener(text: str) -> None:
        event = events.of(text)
        level = events.level(event)
        if log.isEnabledFor(level):
            log.log(level, "%s", event, extra={"event": event})
        if progress is not None:
            progress(event)

    run: Any = None
    if python and in_process:

        def run(
            request: str, environment: list[tuple[str, Optional[str]]]
        ) -> tuple[Optional[str], Optional[BaseException]]:
            return _delta.run(request, environment, listener)

    return {"listener": listener, "cancel": cancel, "python": run, "within_delta": _delta.inside()}
