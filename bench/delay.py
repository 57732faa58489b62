#!/usr/bin/env python3
"""A socket that passes everything on to another one after a delay: a network that is far away, not narrow.

    delay.py LISTEN CONNECT SECONDS      (both are paths of sockets; each direction is delayed by SECONDS)
"""
import os
import queue
import socket
import sys
import threading
import time


def pump(source: socket.socket, sink: socket.socket, delay: float) -> None:
    """Passes on what comes, each piece when its time has come, and the end too."""
    pieces: queue.Queue = queue.Queue()

    def write() -> None:
        while True:
            due, piece = pieces.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not piece:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(piece)
            except OSError:
                return

    threading.Thread(target=write, daemon=True).start()
    while True:
        try:
            piece = source.recv(1 << 16)
        except OSError:
            piece = b""
        pieces.put((time.monotonic() + delay, piece))
        if not piece:
            return


def main() -> None:
    path, target, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen()
    while True:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(target)
        for ends in ((client, server), (server, client)):
            threading.Thread(target=pump, args=(*ends, seconds), daemon=True).start()


if __name__ == "__main__":
    main()
