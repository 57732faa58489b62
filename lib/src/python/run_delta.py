"""Runs one Python delta: a JSON request on the first line of stdin, the outcome as JSON in the file named by --result.

The outcome goes to a file because stdout belongs to the delta, which may close it. No outcome means that the delta
ended the interpreter. Stdin stays open as long as pum lives: its end ends the delta.
"""

import json
import os
import signal
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(HERE, "package")
FALLBACK = os.path.join(HERE, "fallback")


class Refused(Exception):
    """The delta cannot be run; the message is for the person."""


def main(result_path):
    process = os.getpid()
    request = json.loads(sys.stdin.buffer.readline().decode("utf-8"))
    end_with_parent()
    outcome = attempt(request, process)
    with open(result_path, "w", encoding="utf-8") as file:
        json.dump(outcome, file)
    return 0 if outcome["ok"] else 1


def end_with_parent():
    """Ends this process and what it started when pum is gone; nobody would record what they do."""
    lifeline = os.dup(0)
    # What asks for input finds its end.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch():
        try:
            gone = not os.read(lifeline, 1)
        except OSError:  # the delta closed it
            return
        if gone:
            if os.getpgrp() == os.getpid():
                os.killpg(0, signal.SIGTERM)
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def attempt(request, process):
    try:
        run(request)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: the delta did not finish
        if os.getpid() != process:
            raise  # a child that the delta forked; the outcome is its parent's to tell
        outcome = failure(error, os.path.abspath(request["path"]))
    else:
        if os.getpid() != process:
            os._exit(0)
        outcome = {"ok": True}
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # the delta closed it, which it may
    return outcome


def run(request):
    if sys.version_info < (3, 7):
        raise Refused("Python deltas need Python 3.7 or later, and this is {}.{}".format(*sys.version_info))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    sys.dont_write_bytecode = True  # the directory of deltas stays as it is
    base = delta_base()
    from pum_version import version

    run_classes(request, base, version)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def run_classes(request, base, version):
    """The work itself, without what concerns the interpreter: pum in Python calls it too."""
    read = {"int": int, "float": float, "str": str}
    variables = {name: read[given["type"]](given["value"]) for name, given in request["variables"].items()}
    current = request["current_db_version"]
    classes = subclasses(load(request["path"]), base)
    if not classes:
        raise Refused("it defines no subclass of pum.core.deltapy.DeltaPy")
    for cls in classes:
        cls(
            None if current is None else version(current),
            os.path.join(request["delta_dir"], ""),
            list(request["delta_dirs"]),
            request["pg_service"],
            request["upgrades_table"],
            variables=dict(variables),
        ).run()


def delta_base():
    """DeltaPy of the installed pum; ours when none is installed, or one without Python deltas."""
    from importlib.util import find_spec

    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != HERE] + [HERE]
    try:
        from pum.core.deltapy import DeltaPy
    except Exception:
        for name in [name for name in sys.modules if name.split(".")[0] == "pum"]:
            del sys.modules[name]
        sys.path.insert(0, PACKAGE)
        if "pkg_resources" in sys.modules:
            sys.modules["pkg_resources"].working_set.add_entry(PACKAGE)
        from pum.core.deltapy import DeltaPy
    # Newer setuptools have it no longer.
    if sys.version_info >= (3, 8) and find_spec("pkg_resources") is None:
        sys.path.append(FALLBACK)
    return DeltaPy


def load(path):
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("pum_delta", os.path.abspath(path))
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def subclasses(module, base):
    """Each class once, in the order of the names that the module has for them."""
    found = []
    for _, value in sorted(vars(module).items()):
        if isinstance(value, type) and issubclass(value, base) and value is not base and value not in found:
            found.append(value)
    return found


def failure(error, path):
    import traceback

    delta = error.__traceback__
    while delta is not None and delta.tb_frame.f_code.co_filename != path:
        delta = delta.tb_next
    outcome = {
        "ok": False,
        "exception": None if isinstance(error, Refused) else type(error).__name__,
        "message": encodable(message(error)),
        "missing_module": error.name if isinstance(error, ModuleNotFoundError) else None,
        "python": sys.executable,
        "line": None,
        "column": None,
        "traceback": encodable("".join(traceback.format_exception(type(error), error, delta))),
    }
    if isinstance(error, SyntaxError) and error.filename == path:
        outcome.update(line=error.lineno, column=error.offset)
        return outcome
    # The innermost line of the delta itself says more than that of a library it called.
    for frame in traceback.extract_tb(delta):
        if frame.filename == path:
            outcome["line"] = frame.lineno
    return outcome


def message(error):
    try:
        return str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:
        return "(its message cannot be shown)"


def encodable(text):
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("--result") + 1]))
