"""An HTTP proxy on loopback in front of an S3 server, which stalls, resets, truncates or throttles what is asked of it.

One request a connection: it is forwarded with ``Connection: close``, so that every request can be told apart.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

CHUNK = 16 * 1024
Kind = Literal["stall", "stall in body", "reset", "truncate", "throttle"]


@dataclass
class Fault:
    """What is done to requests whose first line matches; ``times`` of them, or all."""

    kind: Kind
    matching: str = ""
    times: int | None = None
    after_bytes: int = 0
    """So many bytes of the response's body go through before it stalls, breaks or ends."""
    bytes_per_second: int = 0

    def takes(self, request: str) -> bool:
        """Whether this request is one of them; counts it."""
        if self.times == 0 or not re.search(self.matching, request):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Proxy:
    """Forwards to an S3 server; ``fault`` says what goes wrong for as long as a test wants it."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._server = (str(parts.hostname), int(parts.port or 80))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._closed = threading.Event()
        self._fault: Fault | None = None
        self.requests: list[str] = []
        self.on_request: Callable[[str], None] = lambda _: None
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def fault(
        self,
        kind: Kind,
        matching: str = "",
        *,
        times: int | None = None,
        after_bytes: int = 0,
        bytes_per_second: int = 0,
    ) -> Iterator[Fault]:
        """Let requests whose first line (``GET /bucket/key?… range``) matches go wrong."""
        self._fault = Fault(kind, matching, times, after_bytes, bytes_per_second)
        try:
            yield self._fault
        finally:
            self._fault = None

    def close(self) -> None:
        """End; stalled connections are closed."""
        self._closed.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            with suppress(OSError):
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head, rest = _read_head(client)
            if not head:
                return
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            wanted = re.search(rb"(?im)^range: *bytes=(\S+)", head)
            line = head.split(b"\r\n", 1)[0].decode().removesuffix(" HTTP/1.1")
            request = f"{line} {wanted[1].decode()}" if wanted else line
            self.requests.append(request)
            self.on_request(request)
            fault = self._fault
            if fault is None or not fault.takes(request):
                fault = None
            rate = fault.bytes_per_second if fault and fault.kind == "throttle" else 0
            body = rest + b"".join(_received(client, (int(length[1]) if length else 0) - len(rest), rate))
            if fault and fault.kind == "stall":
                self._closed.wait()
                return
            with socket.create_connection(self._server) as server:
                server.sendall(_closing(head) + body)
                self._answer(client, server, fault)

    def _answer(self, client: socket.socket, server: socket.socket, fault: Fault | None) -> None:
        head, rest = _read_head(server)
        client.sendall(_closing(head))
        sent = 0
        for chunk in _all_of(server, rest):
            if fault and fault.kind in ("stall in body", "reset", "truncate"):
                left = fault.after_bytes - sent
                client.sendall(chunk[: max(left, 0)])
                sent += len(chunk)
                if left <= len(chunk):
                    self._break(client, fault.kind)
                    return
                continue
            if fault and fault.bytes_per_second:
                for begin in range(0, len(chunk), CHUNK):
                    piece = chunk[begin : begin + CHUNK]
                    client.sendall(piece)
                    time.sleep(len(piece) / fault.bytes_per_second)
                continue
            client.sendall(chunk)
        if fault and fault.kind != "throttle":  # a body that was shorter
            self._break(client, fault.kind)

    def _break(self, client: socket.socket, kind: Kind) -> None:
        if kind == "stall in body":
            self._closed.wait()
        elif kind == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()


def _read_head(source: socket.socket) -> tuple[bytes, bytes]:
    """The head of a message with its blank line, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = source.recv(CHUNK)
        if not chunk:
            return b"", b""
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _closing(head: bytes) -> bytes:
    without = re.sub(rb"(?im)^connection:.*\r\n", b"", head)
    return without.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"


def _received(source: socket.socket, length: int, bytes_per_second: int) -> Iterator[bytes]:
    while length > 0 and (chunk := source.recv(min(length, CHUNK))):
        length -= len(chunk)
        if bytes_per_second:
            time.sleep(len(chunk) / bytes_per_second)
        yield chunk


def _all_of(source: socket.socket, rest: bytes) -> Iterator[bytes]:
    if rest:
        yield rest
    while chunk := source.recv(CHUNK):
        yield chunk
