"""What holds for every request, whatever its path: who may ask, and what every answer names.

    Trunkline-Model: flights_late        on every answer, refusals too
    Trunkline-Version: 5c21a5a05107dc822a498bf15f9e63a5
    Trunkline-Run: 01a20733-b83e-743c-89c6-455a99ae4c99        "unknown" where no record names one

With a token, a request without it gets 401, before its body is read. Without one the server is on loopback,
and a request must have been sent to it by such a name: else a page of the web, open in a browser on this
machine, could have its own name lead here and read what we say. What goes wrong unforeseen is a 500 without details.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trunkline.serve.found import Model
from trunkline.serve.meter import Meter
from trunkline.serve.refusals import Refused
from trunkline.tables import first_line

MAX_UNDER_WAY = 128
DEFECT = Refused(500, "defect", "this is a defect of the server; what it is stands in its own output")


class Rules(NamedTuple):
    """`token` "": none is asked for. `paths` are those that are counted by name."""

    token: str
    paths: frozenset[str]
    max_under_way: int = MAX_UNDER_WAY


class Guard:
    """Stands before the application."""

    def __init__(self, app: ASGIApp, model: Model, meter: Meter, rules: Rules) -> None:
        self._app = app
        self._model = model
        self._meter = meter
        self._rules = rules
        self._under_way = 0
        named = (("model", quote(model.name)), ("version", model.version), ("run", model.run or "unknown"))
        self._headers = [(f"trunkline-{key}".encode(), value.encode()) for key, value in named]
        self._headers.append((b"x-content-type-options", b"nosniff"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        self._under_way += 1
        self._meter.under_way.inc()
        try:
            await self._answer(scope, receive, named)
        except Exception as error:
            print(
                f"error: {scope['path']}: {type(error).__name__}: {first_line(error)}",
                file=sys.stderr,
                flush=True,
            )
            if not status:
                await reply(DEFECT, self._model, named)
        finally:
            self._under_way -= 1
            self._meter.under_way.dec()
            path = scope["path"] if scope["path"] in self._rules.paths else "other"
            self._meter.answered(path, status, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check({name.lower(): value for name, value in scope["headers"]})
        except Refused as refused:
            await reply(refused, self._model, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, headers: dict[bytes, bytes]) -> None:
        if self._rules.token:
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            right = hmac.compare_digest(given.strip(), self._rules.token.encode())
            if kind.lower() != b"bearer" or not right:
                hint = "send the header `Authorization: Bearer TOKEN`"
                raise Refused(401, "token", "this server asks for its token", hint=hint)
        elif not _is_local(headers.get(b"host", b"").decode("latin-1")):
            raise Refused(421, "host", "this server is asked by the name localhost, or by its address, alone")
        if self._under_way > self._rules.max_under_way:
            raise Refused(503, "busy", f"{self._rules.max_under_way} requests are under way; try again")


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine by loopback."""
    name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
    return name.lower() == "localhost" or is_loopback(name.removeprefix("[").removesuffix("]"))


def is_loopback(address: str) -> bool:
    """Whether an address is one of this machine alone."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def reply(refused: Refused, model: Model, send: Send) -> None:
    """Send a refusal."""
    body = refusal(refused, model)
    await send(
        {
            "type": "http.response.start",
            "status": refused.status,
            "headers": list(_headers(refused, len(body))),
        }
    )
    await send({"type": "http.response.body", "body": body})


def refusal(refused: Refused, model: Model) -> bytes:
    """The body of a refusal."""
    return json.dumps({"error": refused.as_json(), "model": model.as_json()}).encode()


def _headers(refused: Refused, size: int) -> Iterable[tuple[bytes, bytes]]:
    yield b"content-type", b"application/json"
    yield b"content-length", str(size).encode()
    yield from [(name.lower().encode(), value.encode()) for name, value in extra_headers(refused).items()]


def extra_headers(refused: Refused) -> dict[str, str]:
    """What some statuses ask for."""
    return {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(refused.status, {})
