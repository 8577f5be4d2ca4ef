"""The application: its paths, and what each does.

    POST /predict    the model's answer
    GET  /schema     what the model takes and gives        GET /health     whether it answers
    GET  /lineage    where the model comes from            GET /metrics    how it fares, for Prometheus
    GET  /docs       all of this as a page                 GET /openapi.json

A body is read here, up to the limit and no longer than a minute; all that takes time (parsing it, computing,
writing the answer) happens on a thread of a pool of fixed size.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from trunkline.serve import answers, openapi
from trunkline.serve.bodies import Bodies
from trunkline.serve.found import Model
from trunkline.serve.guard import DEFECT, Guard, Rules, extra_headers, refusal
from trunkline.serve.meter import Meter
from trunkline.serve.network import Network
from trunkline.serve.page import page
from trunkline.serve.refusals import Refused, shown

MAX_BODY = 16 << 20
_PATIENCE = 60.0  # seconds for a body to arrive
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_SAFE = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
_ABOUT = (
    "A model with a version, served by trunkline. Every answer names the version and the run that made it."
)

Unknown = Annotated[
    Literal["refuse", "ignore"], Query(description="what becomes of columns that the model has not got")
]


class Settings(NamedTuple):
    """`threads`: requests computed at a time; `max_body`: bytes; `token` "": none is asked for."""

    threads: int = 2
    max_body: int = MAX_BODY
    token: str = ""


class Served:
    """A model, and all that is needed to answer with it."""

    def __init__(self, model: Model, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.network = Network(model.data, model.name)
        self.bodies = Bodies(self.network)
        self.meter = Meter(model)
        self.schema = openapi.schema(model, self.network, self.bodies, settings.max_body)
        told = {"command": "lineage", "schema": 1, "data": model.lineage, "model": model.as_json()}
        self.lineage = json.dumps(told).encode()
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="predict")

    async def predict(self, request: Request, *, ignore: bool) -> Response:
        """The answer to a request. Raises Refused."""
        headers = request.headers
        media = self.bodies.check(
            headers.get("content-type", ""), headers.get("content-encoding", "").lower()
        )
        wanted = answers.wanted(headers.get("accept", ""))
        body = await self._body(request)
        loop = asyncio.get_running_loop()
        content = await loop.run_in_executor(self._threads, self._computed, body, media, wanted, ignore)
        return Response(content, media_type=wanted)

    def _computed(self, body: bytes, media: str, wanted: str, ignore: bool) -> bytes:
        columns = self.bodies.read(body, media, ignore=ignore)
        rows = len(next(iter(columns.values())))
        began = time.perf_counter()
        outputs = self.network.run(columns)
        self.meter.predicted(rows, time.perf_counter() - began)
        return answers.body(self.model, self.network, answers.columns(self.network, outputs, rows), wanted)

    async def _body(self, request: Request) -> bytes:
        limit = self.settings.max_body
        too_large = Refused(
            413, "size", f"the body is larger than {limit:,} bytes", hint="send fewer rows, or `--max-body`"
        )
        said = request.headers.get("content-length", "")
        if said.isdecimal() and int(said) > limit:
            raise too_large
        chunks, size = [], 0
        try:
            async with asyncio.timeout(_PATIENCE):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise too_large
                    chunks.append(chunk)
        except TimeoutError as error:
            raise Refused(408, "slow", f"the body did not arrive within {_PATIENCE:.0f} s") from error
        except ClientDisconnect as error:
            raise Refused(400, "gone", "the body ended early") from error
        return b"".join(chunks)

    def refused(self, refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
        """A refusal as an answer."""
        extra = {**extra_headers(refused), **(headers or {})}
        return Response(refusal(refused, self.model), refused.status, extra, "application/json")


def application(served: Served) -> Guard:
    """The whole of it, as ASGI."""
    app = FastAPI(
        title=served.model.name,
        version=served.model.version,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
    )
    _predict(app, served)
    _read(app, served)
    _pages(app, served)
    _refusals(app, served)
    rules = Rules(served.settings.token, frozenset(_paths(app)))
    return Guard(app, served.model, served.meter, rules)


def _paths(app: FastAPI) -> list[str]:
    return [path for route in app.routes if (path := getattr(route, "path", ""))]


def _predict(app: FastAPI, served: Served) -> None:
    @app.post(
        "/predict",
        summary="The model's answer, a prediction for each row",
        response_class=Response,
        responses=openapi.responses(served.network),
        openapi_extra=openapi.request(served.network, served.bodies),
    )
    async def predict(request: Request, unknown: Unknown = "refuse") -> Response:
        return await served.predict(request, ignore=unknown == "ignore")


def _read(app: FastAPI, served: Served) -> None:
    @app.get("/schema", summary="What the model takes and gives")
    async def schema() -> dict[str, Any]:
        return served.schema

    @app.get("/health", summary="Whether the server answers")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "model": served.model.as_json()}

    @app.get("/lineage", summary="Where the model comes from, as `trunkline lineage --json` has it")
    async def lineage() -> Response:
        return Response(served.lineage, media_type="application/json")

    @app.get("/metrics", summary="How the server fares, for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(served.meter.text(), media_type=_PROMETHEUS)


def _pages(app: FastAPI, served: Served) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        example = openapi.example(served.network)
        text = page(str(request.base_url).rstrip("/"), served.schema, app.openapi(), example)
        return HTMLResponse(text, headers={"Content-Security-Policy": _SAFE})

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("docs")


def _refusals(app: FastAPI, served: Served) -> None:
    @app.exception_handler(Exception)  # it is raised again after that: the guard says what it was
    async def defect(request: Request, error: Exception) -> Response:
        return served.refused(DEFECT)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return served.refused(error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = ", ".join(path for path in _paths(app) if path != "/")
        phrase = HTTPStatus(error.status_code).phrase.lower()
        what = f"{request.method} {request.url.path}: {phrase}"
        return served.refused(
            Refused(error.status_code, "http", what, hint=f"there is: {known}"), error.headers
        )

    @app.exception_handler(RequestValidationError)
    async def query(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return served.refused(
            Refused(422, "query", f"{where}: {first['msg']}, got {shown(str(first.get('input')))}")
        )
