"""A socket, a server on it, and its orderly end.

The socket listens before anything is said, so whoever reads the address can ask at once. SIGTERM and Ctrl-C
end the server: what is being answered is answered first, for at most ten seconds.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from trunkline.errors import UsageError
from trunkline.serve.guard import is_loopback

_GRACE = 10  # seconds


def listen(host: str, port: int, *, open_to_others: bool) -> socket.socket:
    """A listening socket. Raises UsageError, also where others could ask and `open_to_others` is not given."""
    where = f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"there is no such host: {host!r}", hint="leave --host out for this machine alone"
        ) from error
    if not open_to_others and not is_loopback(str(address[0])):
        raise UsageError(
            f"with --host {host} others can ask too, and there is no token",
            hint="type `openssl rand -hex 24 > FILE` and --token-file FILE, or put one into TRUNKLINE_TOKEN",
        )
    made = socket.socket(
        family, kind, protocol
    )  # without TCP's name asyncio leaves Nagle on: 40 ms an answer
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(2048)
    except OSError as error:
        made.close()
        raise UsageError(
            f"cannot listen there: {error.strerror}", where=where, hint="`--port 0` picks a free port"
        ) from error
    return made


def address_of(listening: socket.socket) -> str:
    """Where to ask, as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer until SIGTERM or Ctrl-C; `ready` is called as soon as requests are answered."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, ws="none", http="h11", loop="asyncio", lifespan="off",
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=_GRACE,
    )  # fmt: skip
    server = _Server(config, ready)
    with closing(listening), _ends_quietly(server):
        server.run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()


@contextmanager
def _ends_quietly(server: uvicorn.Server) -> Iterator[None]:
    """uvicorn raises the signal again that has ended it: that is no error, and no interrupted run.

    One that comes before uvicorn listens to signals ends the server, too.
    """

    def end(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
