"""Python deltas in this very process, in the thread that called, with the runner that the command gives to ``python3``.

One runs at a time in a process: the extension module sees to that, because the environment is that of the delta.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from typing import Any, Callable, Optional

from pum import _pum
from pum._output import Output

# The threads of the delta that runs.
_threads: set[threading.Thread] = set()


def inside() -> bool:
    """Whether a delta calls that runs in this process, or a thread that it has started."""
    return threading.current_thread() in _threads


def run(
    request: str, environment: list[tuple[str, Optional[str]]], listener: Callable[[str], None]
) -> tuple[Optional[str], Optional[BaseException]]:
    """Runs a delta: the outcome as JSON, as the runner tells it, none when the delta was broken off; and what the listener
    raised meanwhile, or Ctrl-C."""
    told = json.loads(request)
    source = os.path.basename(told["path"])
    process = os.getpid()
    outcome: Optional[dict[str, Any]] = None
    raised: list[BaseException] = []

    def tell(line: str) -> None:
        if raised:
            return
        try:
            listener(json.dumps({"event": "Output", "source": source, "line": line}))
        except Exception as error:  # not into the delta, which has nothing to do with it
            raised.append(error)

    try:
        with _as_before(told["delta_dirs"]), _modules() as runner, Output(tell):
            _set(dict(environment))
            try:
                with _own_threads():
                    _run_classes(told, runner)
            except BaseException as error:  # SystemExit too: the delta did not finish
                if os.getpid() != process:
                    _end(error)
                if isinstance(error, KeyboardInterrupt):
                    raise
                outcome = runner.failure(error, os.path.abspath(told["path"]))
            else:
                if os.getpid() != process:
                    _end(None)
                outcome = {"ok": True}
    except BaseException as error:
        raised.append(error)
    # Ctrl-C before what a listener has raised.
    return (None if outcome is None else json.dumps(outcome)), (raised[-1] if raised else None)


def version(text: str) -> Any:
    """A version that compares with those of every copy of the packaging library."""
    return _source("pum_version", "pum_version.py").version(text)


def _run_classes(request: dict[str, Any], runner: Any) -> None:
    from pum.core.deltapy import DeltaPy

    runner.run_classes(request, DeltaPy, sys.modules["pum_version"].version)


def _end(error: Optional[BaseException]) -> None:
    """Ends a process that the delta forked as Python does: what goes on here is its parent's."""
    code: Any = 0
    if isinstance(error, SystemExit):
        code = error.code
    elif error is not None:
        traceback.print_exception(type(error), error, error.__traceback__)
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code & 0xFF if isinstance(code, int) else 0)


def _source(name: str, file: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = f"<pum>/{file}"
    exec(compile(_pum.DELTA_FILES[file], module.__file__, "exec"), module.__dict__)
    return module


@contextlib.contextmanager
def _own_threads() -> Iterator[None]:
    """Knows the threads that the delta starts, and waits for them at its end, as the end of a process does."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_and_know(thread: threading.Thread) -> None:
        if inside():
            _threads.add(thread)
            started.append(thread)
        start(thread)

    _threads.add(threading.current_thread())
    setattr(threading.Thread, "start", start_and_know)
    try:
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException:
            _wait(started)
            raise
        _wait(started)
    finally:
        setattr(threading.Thread, "start", start)
        _threads.clear()


def _wait(started: list[threading.Thread]) -> None:
    # What is waited for may start others.
    for thread in started:
        if not thread.daemon and thread.ident is not None:
            thread.join()


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
def _as_before(directories: list[str]) -> Iterator[None]:
    """Afterwards the process is as it was: environment, working directory, where modules are looked for, and those that came
    from the deltas, which may be others of the same names for the next database; and what the root logger writes to."""
    environ = dict(os.environ)
    path, modules = sys.path[:], set(sys.modules)
    handlers, level = logging.root.handlers[:], logging.root.level
    bytecode = sys.dont_write_bytecode
    directory = os.open(".", os.O_RDONLY)
    try:
        sys.dont_write_bytecode = True  # the directory of deltas stays as it is
        yield
    finally:
        places = [*directories, *(entry for entry in sys.path if entry not in path)]
        own = tuple(os.path.join(os.path.realpath(place), "") for place in places)
        os.fchdir(directory)
        os.close(directory)
        sys.dont_write_bytecode = bytecode
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if _file(sys.modules[name]).startswith(own):
                del sys.modules[name]
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        _set({**dict.fromkeys(os.environ), **environ})


def _file(module: Any) -> str:
    try:
        places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    except Exception:  # a module that finds out at the first look that it is not there
        return ""
    found = [place for place in places if isinstance(place, str)]
    return os.path.realpath(found[0]) if found else ""


def _set(values: dict[str, Optional[str]]) -> None:
    for name, value in values.items():
        if os.environ.get(name) == value:
            continue
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
