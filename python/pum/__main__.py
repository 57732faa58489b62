"""The command: ``python -m pum`` is the same as ``pum``."""

import signal
import sys

from pum.pum import Pum

__all__ = ["Pum", "main"]


def main() -> int:
    """Runs the command with the words of the command line; its exit code."""
    from pum import _pum

    # The command ends its work in order by itself at Ctrl-C. What was told to be ignored, as by nohup, stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Not `-m pum`, which would take a pum.py of the directory where the command works.
    again = "import sys; sys.path[:] = filter(None, sys.path); from pum.__main__ import main; sys.exit(main())"
    return _pum.main(["pum", *sys.argv[1:]], [sys.executable, "-c", again])


if __name__ == "__main__":
    sys.exit(main())
