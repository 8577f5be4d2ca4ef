"""Messages between the pool and its processes.

    worker stream   8 bytes of length, then a pickled Task; on the way back a pickled Outcome for each of
                    its datums, and RETIRED from a worker that does no more of them
    control         to the template: 4 bytes, the new worker's number, with its stream and its spool
                    attached, or without them the number of a worker to end; back: a Report as integers

Only this program's own processes are at the other end.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from trunkline.model import Work

STARTED, ENDED, TIMED_OUT, OUT_OF_MEMORY = range(4)
RETIRED = "retired"

_LENGTH = struct.Struct("<Q")
_NUMBER = struct.Struct("<I")
_REPORT = struct.Struct("<iiiiqq")
_BLOCK = 1 << 16
_BUFFER = 1 << 18


class Task(NamedTuple):
    """Datums for a worker, one after another, with the values of their secrets and their processors."""

    works: tuple[Work, ...]
    secrets: Mapping[str, str]
    cpus: tuple[int, ...]


class Report(NamedTuple):
    """What the template says of a worker; `status` as os.wait gives it.

    Of one that it ended for what its datum took: how many datums that had begun, and its bytes of memory.
    """

    kind: int
    worker: int
    pid: int
    status: int
    begun: int = 0
    taken: int = 0


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends with room for small messages."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    return ends


def packed(value: object) -> bytes:
    """A message."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


class Inbox:
    """Messages as they come in on a stream."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._data = bytearray()

    def wait(self) -> Any:
        """Block until the next message; None at the end of the stream."""
        while (message := self._take()) is None:
            if not self._receive(0):
                return None
        return message

    def poll(self) -> tuple[list[Any], bool]:
        """The messages that are there, and whether more can come."""
        more = True
        while more:
            try:
                more = self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
        messages = []
        while (message := self._take()) is not None:
            messages.append(message)
        return messages, more

    def _receive(self, flags: int) -> bool:
        try:
            data = self._stream.recv(_BLOCK, flags)
        except ConnectionError:
            return False
        self._data += data
        return bool(data)

    def _take(self) -> Any:
        if len(self._data) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
        if len(self._data) < end:
            return None
        with memoryview(self._data) as view:
            message = pickle.loads(view[_LENGTH.size : end])
        del self._data[:end]
        return message


def ask_for_worker(control: socket.socket, number: int, stream: socket.socket, spool: int) -> None:
    """Ask the template for a worker on `stream`, with `spool` for its output."""
    socket.send_fds(control, [_NUMBER.pack(number)], [stream.fileno(), spool])


def ask_to_end(control: socket.socket, number: int) -> None:
    """Ask the template to end a worker, with all that it started."""
    control.sendall(_NUMBER.pack(number))


def receive_request(control: socket.socket) -> tuple[int, list[int]] | None:
    """The next request: a number, with two descriptors or none; None when the pool is gone."""
    data, descriptors, _, _ = socket.recv_fds(control, _NUMBER.size, 2)
    if len(data) < _NUMBER.size or len(descriptors) not in (0, 2):
        return None
    return _NUMBER.unpack(data)[0], descriptors


def report(control: socket.socket, message: Report) -> None:
    """Tell the pool of a worker."""
    control.sendall(_REPORT.pack(*message))


def receive_reports(control: socket.socket) -> list[Report] | None:
    """The reports that are there; None when the template is gone."""
    try:
        data = control.recv(_REPORT.size * 256)
        while data and len(data) % _REPORT.size:
            data += control.recv(_REPORT.size - len(data) % _REPORT.size)
    except ConnectionError:
        return None
    return [Report(*fields) for fields in _REPORT.iter_unpack(data)] if data else None
