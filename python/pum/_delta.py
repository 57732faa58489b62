"""Python deltas in this very process, in the thread that called, with the runner that the command gives to ``python3``."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import threading
import types
from collections.abc import Iterator
from typing import Any, Callable, Optional

from pum import _pum

# The environment, the standard streams and sys.modules are those of the process: one delta at a time.
_ONE = threading.Lock()


def run(request: str, environment: list[tuple[str, Optional[str]]], listener: Callable[[str], None]) -> str:
    """Runs a delta; the outcome as JSON, as the runner tells it. KeyboardInterrupt goes on to the caller."""
    told = json.loads(request)
    source = os.path.basename(told["path"])

    def tell(line: str) -> None:
        listener(json.dumps({"event": "Output", "source": source, "line": line}))

    with _ONE, _environment(environment), _modules() as runner, _output(tell):
        try:
            _run_classes(told, runner)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: the delta did not finish
            outcome: dict[str, Any] = runner.failure(error, os.path.abspath(told["path"]))
        else:
            outcome = {"ok": True}
    return json.dumps(outcome)


def version(text: str) -> Any:
    """A version that compares with those of every copy of the packaging library."""
    return _source("pum_version", "pum_version.py").version(text)


def _run_classes(request: dict[str, Any], runner: Any) -> None:
    from pum.core.deltapy import DeltaPy

    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # the directory of deltas stays as it is
    try:
        runner.run_classes(request, DeltaPy, sys.modules["pum_version"].version)
    finally:
        sys.dont_write_bytecode = before


def _source(name: str, file: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = f"<pum>/{file}"
    exec(compile(_pum.DELTA_FILES[file], module.__file__, "exec"), module.__dict__)
    return module


@contextlib.contextmanager
def _modules() -> Iterator[types.ModuleType]:
    """The runner, with what it and deltas import; afterwards the modules that were there before."""
    names = ["pum_version", "pum_delta"]
    if importlib.util.find_spec("pkg_resources") is None:
        names.append("pkg_resources")  # newer setuptools have it no longer
    before = {name: sys.modules.get(name) for name in names}
    try:
        sys.modules["pum_version"] = _source("pum_version", "pum_version.py")
        if "pkg_resources" in names:
            sys.modules["pkg_resources"] = _source("pkg_resources", "fallback/pkg_resources.py")
        yield _source("run_delta", "run_delta.py")
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


@contextlib.contextmanager
def _environment(wanted: list[tuple[str, Optional[str]]]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name, _ in wanted}
    try:
        _set(dict(wanted))
        yield
    finally:
        _set(before)


def _set(values: dict[str, Optional[str]]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


class _Lines(io.TextIOBase):
    """A stream that tells each line."""

    encoding = "utf-8"

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._tell(line)
        return len(text)

    def end(self) -> None:
        """Tells what has no line end."""
        if self._begun:
            self._tell(self._begun)
            self._begun = ""


@contextlib.contextmanager
def _output(tell: Callable[[str], None]) -> Iterator[None]:
    """What the delta prints is told line by line; what its programs write, when it has ended."""
    lines = _Lines(tell)
    with contextlib.redirect_stdout(lines), contextlib.redirect_stderr(lines), _descriptors() as written:
        yield
    lines.end()
    written.seek(0)
    for line in written.read().decode("utf-8", "backslashreplace").splitlines():
        tell(line)


@contextlib.contextmanager
def _descriptors() -> Iterator[Any]:
    """Standard output and error of child processes go into a file."""
    written = tempfile.TemporaryFile()
    kept: dict[int, int] = {}
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # a program without one
            kept[descriptor] = os.dup(descriptor)
            os.dup2(written.fileno(), descriptor)
    try:
        yield written
    finally:
        for descriptor, copy in kept.items():
            os.dup2(copy, descriptor)
            os.close(copy)
