"""A proxy between a tool and PostgreSQL that knows where messages begin and end, and does something at one of them.

It understands just that much of the protocol ("Message Formats" in PostgreSQL's documentation): a length, a type, the
startup without a type, and which answers belong to which message of the client.
"""
import collections
import socket
import struct
import threading
from typing import Callable, NamedTuple, Optional

REFUSED = {80877103: "TLS", 80877104: "GSSAPI"}  # requests to encrypt; both are answered with no
QUIET = {"BEGIN", "ROLLBACK", "SELECT", "SET", "SHOW", "RESET", "DISCARD", "LISTEN", "SAVEPOINT", "RELEASE", "DEALLOCATE"}


class Point(NamedTuple):
    """A moment of a run. `phase`: before the message of the client is passed on, after it, or in place of its answer."""

    connection: int
    message: int
    phase: str  # "before", "after", "answer"


class Seen(NamedTuple):
    connection: int
    message: int
    text: str


class Pair:
    """A connection, its two ends."""

    def __init__(self, client: socket.socket, server: socket.socket):
        self.client, self.server = client, server
        self.holds = threading.Event()  # answers wait
        self.goes_on = threading.Event()
        self.answered = threading.Event()  # while they wait: all that belong to the message are there
        self.waiting = collections.deque()  # messages whose answer ends with ReadyForQuery
        self.tags: list = []
        self.idle = 0  # the last message after whose answer no transaction was open


def shut(one: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    try:
        one.shutdown(how)
    except OSError:
        pass


def read(source: socket.socket, count: int) -> bytes:
    """So many bytes, or nothing when the other side ends."""
    got = b""
    while len(got) < count:
        try:
            piece = source.recv(count - len(got))
        except OSError:
            return b""
        if not piece:
            return b""
        got += piece
    return got


def message(source: socket.socket, startup: bool) -> bytes:
    head = read(source, 4 if startup else 5)
    if not head:
        return b""
    length = struct.unpack("!I", head[-4:])[0] - 4
    body = read(source, length)
    return head + body if len(body) == length else b""


class Proxy:
    """Listens on a free port of this machine until it is closed.

    At `point` it calls `strike` with itself, once; when that answers False nothing more is passed on in that connection.
    `gate` holds the first connection of all until others, elsewhere, have come as far.
    """

    def __init__(self, upstream: str, point: Optional[Point] = None, strike: Optional[Callable] = None,
                 gate: Optional[threading.Barrier] = None):
        self.upstream, self.point, self.strike, self.gate = upstream, point, strike, gate
        self.struck = False
        self.seen: list = []
        self.ends: list = []  # points at which an answer says that something was committed
        self.writes: set = set()  # the messages that led to it: (connection, message)
        self.pairs: list = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        for connection in range(1 << 30):
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.upstream)
            except OSError:
                client.close()
                continue
            pair = Pair(client, server)
            with self.lock:
                self.pairs.append(pair)
            threading.Thread(target=self.from_client, args=(pair, connection), daemon=True).start()
            threading.Thread(target=self.from_server, args=(pair, connection), daemon=True).start()

    def from_client(self, pair: Pair, connection: int) -> None:
        self.pass_requests(pair, connection)
        shut(pair.server)
        pair.goes_on.set()

    def pass_requests(self, pair: Pair, connection: int) -> None:
        number = 0
        while True:
            text = message(pair.client, number == 0)
            if not text:
                return
            if number == 0 and struct.unpack("!I", text[4:8])[0] in REFUSED:
                pair.client.sendall(b"N")
                continue
            if number == 0 and connection == 0 and self.gate:
                try:
                    self.gate.wait(20)
                except threading.BrokenBarrierError:
                    pass
            self.seen.append(Seen(connection, number, text[:300].decode(errors="replace")))
            if number == 0 or text[:1] in b"QSF":
                pair.waiting.append(number)
            mine = self.point if self.point and self.point[:2] == (connection, number) and not self.struck else None
            if mine and mine.phase == "before" and not self.carry_out():
                return
            if mine and mine.phase != "before":
                pair.holds.set()
            try:
                pair.server.sendall(text)
            except OSError:
                return
            if mine and mine.phase != "before":
                if mine.phase == "answer":
                    pair.answered.wait(20)
                goes_on = self.carry_out()
                pair.holds.clear()
                pair.goes_on.set()
                if not goes_on:
                    return
            number += 1

    def carry_out(self) -> bool:
        self.struck = True
        return self.strike(self)

    def from_server(self, pair: Pair, connection: int) -> None:
        held = b""
        while True:
            text = message(pair.server, False)
            if not text:
                break
            kind = text[:1]
            if kind == b"C":
                pair.tags.append(text[5:-1].decode(errors="replace"))
            last = kind == b"Z" and bool(pair.waiting)
            if last:
                number = pair.waiting.popleft()
                # A transaction has ended, and it was not one that only read.
                if text[5:6] == b"I" and any(tag == "COMMIT" or tag.split()[0] not in QUIET for tag in pair.tags):
                    self.ends.append(Point(connection, number, "answer"))
                    self.writes.update((connection, one) for one in range(pair.idle + 1, number + 1))
                if text[5:6] == b"I":
                    pair.idle, pair.tags = number, []
            held += text
            if pair.holds.is_set():
                if self.point.phase == "answer" and not (last and number == self.point.message):
                    continue
                pair.answered.set()
                pair.goes_on.wait(60)
            try:
                pair.client.sendall(held)
            except OSError:
                pass  # read on: the server is to come to its end undisturbed
            held = b""
        pair.answered.set()
        if pair.holds.is_set():
            pair.goes_on.wait(60)
        shut(pair.client)

    def end_servers(self) -> None:
        """What the server sees when the tool or the network is gone."""
        with self.lock:
            for pair in self.pairs:
                shut(pair.server, socket.SHUT_WR)

    def reset(self) -> None:
        """Every connection ends with a reset."""
        with self.lock:
            for pair in self.pairs:
                try:
                    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    pair.client.shutdown(socket.SHUT_RD)
                    pair.client.close()
                except OSError:
                    pass
        self.end_servers()

    def close(self) -> None:
        shut(self.listener)  # wakes who accepts
        self.listener.close()
        with self.lock:
            for pair in self.pairs:
                shut(pair.client)
                shut(pair.server)
                pair.goes_on.set()
                for end in (pair.client, pair.server):
                    try:
                        end.close()
                    except OSError:
                        pass
