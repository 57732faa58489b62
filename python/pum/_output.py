"""What a Python delta in this process writes, told line by line in the thread that called."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import queue
import select
import sys
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

# How long to wait for last words when the delta has ended and a program that it started still holds the pipe, in seconds.
_LAST_WORDS = 2.0
# A longer line is told in pieces.
_MAX_LINE = 64 * 1024
_STREAMS = ("stdin", "stdout", "stderr")


class Output:
    """Standard output and error are a pipe, and standard input is empty, for this process and the programs that it starts.

    A line of the delta is told at once, one of a program when the delta writes next, or has ended. Whoever is told finds the
    streams as they were, so that it may write itself.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._thread, self._process = threading.get_ident(), os.getpid()
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._begun = b""
        self._reading = threading.Lock()
        self._telling = False
        self._kept: dict[int, int] = {}

    def __enter__(self) -> Output:
        self._before = [getattr(sys, name) for name in _STREAMS]
        self._flush()
        reader, writer = os.pipe()
        self._reader, self.descriptor = _above(reader), _above(writer)
        os.set_blocking(self._reader, False)
        self._null = open(os.devnull, encoding="utf-8")
        for descriptor in (0, 1, 2):
            with contextlib.suppress(OSError):  # a program without one
                self._kept[descriptor] = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
        self._ours: list[Any] = [self._null, self._stream(1), self._stream(2)]
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self._redirect()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for stream in self._ours[1:]:
                with contextlib.suppress(OSError, ValueError):  # the delta closed it, which it may
                    stream.flush()
        finally:
            self._telling = True
            self._restore()
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)
            for copy in self._kept.values():
                os.close(copy)
            self._null.close()
        self._listening.join(_LAST_WORDS)
        with self._reading:
            self._end_line()
        self._tell_all()

    def write(self, data: bytes, beneath: Any) -> None:
        """Takes what is written to one of the streams, or leaves it to the one beneath when the delta has ended."""
        if self.descriptor < 0:
            with contextlib.suppress(Exception):
                beneath.write(data.decode("utf-8", "replace"))
            return
        here = threading.get_ident() == self._thread and os.getpid() == self._process
        if here and self._telling:
            return  # a handler of the delta's own logging hears what was told: that was heard already
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]
        if here:
            self._read()
            self._tell_all()

    def _stream(self, descriptor: int) -> io.TextIOWrapper:
        raw: Any = _Stream(self, self._before[descriptor])
        return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)

    def _redirect(self) -> None:
        os.dup2(self._null.fileno(), 0)
        os.dup2(self.descriptor, 1)
        os.dup2(self.descriptor, 2)
        for name, stream in zip(_STREAMS, self._ours):
            setattr(sys, name, stream)

    def _restore(self) -> None:
        for name, stream in zip(_STREAMS, self._before):
            setattr(sys, name, stream)
        for descriptor in (0, 1, 2):
            if descriptor in self._kept:
                os.dup2(self._kept[descriptor], descriptor)
            else:
                os.close(descriptor)

    def _flush(self) -> None:
        # Else it would go into the pipe later.
        for stream in (*self._before[1:], sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(Exception):
                stream.flush()

    def _listen(self) -> None:
        waiting = select.poll()
        waiting.register(self._reader, select.POLLIN)
        open_ = True
        while open_:
            waiting.poll()
            open_ = self._read()
        os.close(self._reader)

    def _read(self) -> bool:
        """Takes what is in the pipe; false when nobody holds it any more."""
        with self._reading:
            while True:
                try:
                    piece = os.read(self._reader, _MAX_LINE)
                except BlockingIOError:
                    return True
                if not piece:
                    return False
                *lines, self._begun = (self._begun + piece).split(b"\n")
                for line in lines:
                    self._put(line)
                if len(self._begun) >= _MAX_LINE:
                    self._end_line()

    def _end_line(self) -> None:
        if self._begun:
            self._put(self._begun)
            self._begun = b""

    def _put(self, line: bytes) -> None:
        self._lines.put(line.decode("utf-8", "replace").rstrip("\r"))

    def _tell_all(self) -> None:
        while not self._lines.empty():
            with self._as_before():
                self._tell(self._lines.get())

    @contextlib.contextmanager
    def _as_before(self) -> Iterator[None]:
        """For the one who is told the streams are as they were."""
        if self._telling:
            yield
            return
        self._telling = True
        # The delta may have put others in place.
        self._ours, ours = [getattr(sys, name) for name in _STREAMS], self._ours
        self._restore()
        try:
            yield
        finally:
            self._flush()
            self._redirect()
            self._ours = ours
            self._telling = False


class _Stream(io.RawIOBase):
    """What the delta has as its standard output or error."""

    def __init__(self, output: Output, beneath: Any) -> None:
        self._output = output
        self._beneath = beneath

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        descriptor = self._output.descriptor
        found: int = descriptor if descriptor >= 0 else self._beneath.fileno()
        return found

    def write(self, data: Any) -> int:
        text = bytes(data)
        self._output.write(text, self._beneath)
        return len(text)


def _above(descriptor: int) -> int:
    """The same above the standard streams: a program without these is given their numbers."""
    if descriptor > 2:
        return descriptor
    above = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return above
