"""`trunkline serve`: a model over HTTP, until it is told to end."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from trunkline.cli.output import Answer, show
from trunkline.errors import TrunklineError, UsageError
from trunkline.project import Project

if TYPE_CHECKING:
    from trunkline.serve.found import Model

TOKEN = "TRUNKLINE_TOKEN"
_MIB = 1 << 20


def arguments_serve(parser: argparse.ArgumentParser) -> None:
    """The arguments of `serve`."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a model by its name, NAME@REV, a content hash, or the path of an ONNX file",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen (default: %(default)s, this machine alone)"
    )
    parser.add_argument("--port", type=_port, default=8000, help="default: %(default)s; 0 picks a free one")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"requests must carry the token in it (or in ${TOKEN}); with another --host one is needed",
    )
    parser.add_argument(
        "--threads",
        type=_threads,
        default=min(4, os.cpu_count() or 1),
        help="how many requests are computed at a time (default: one a processor, at most 4)",
    )
    parser.add_argument(
        "--max-body",
        type=_mib,
        default=16,
        metavar="MIB",
        help="the largest body that is taken (default: %(default)s)",
    )
    parser.epilog = (
        "The model is read once, by content: later runs do not change what is served."
        " SIGTERM or Ctrl-C end the server, after what it is answering. Needs the extra `serve`."
    )


def command_serve(args: argparse.Namespace) -> Answer:
    """Find the model, listen, say where, answer until told to end."""
    token = _token(args.token_file)
    with Project.find() as project:
        project.seal()
        try:
            from trunkline.serve import app, found, server
        except ImportError as error:
            raise TrunklineError(
                f"to serve a model needs {error.name}, which is not installed",
                hint='type `pip install "trunkline[serve]"`',
            ) from error
        model = found.find(project, args.model)
    settings = app.Settings(args.threads, args.max_body * _MIB, token)
    served = app.Served(model, settings)
    listening = server.listen(args.host, args.port, open_to_others=bool(token))
    answer = _answer(model, server.address_of(listening), token)
    server.serve(app.application(served), listening, lambda: _say(answer, args.json))
    return Answer(None, lambda: "", shown=True)


def _say(answer: Answer, as_json: bool) -> None:
    show("serve", answer, as_json)
    sys.stdout.flush()


def _answer(model: Model, url: str, token: str) -> Answer:
    data: dict[str, Any] = {"url": url, "pid": os.getpid(), "token": bool(token), "model": model.as_json()}
    made = f"run {model.run}" if model.run else "no record says which run made it"
    lines = [
        f"serving {model.name} {model.version[:8]} ({made}) on {url}",
        f"  {url}/docs says what it takes",
    ]
    if token:
        lines.append("  requests need the header `Authorization: Bearer TOKEN`")
    return Answer(data, lambda: "\n".join([*lines, "  Ctrl-C ends it"]))


# ---------------------------------------------------------------- values


def _token(file: str | None) -> str:
    """The token, "" where there is none. Raises UsageError."""
    text, where = os.environ.get(TOKEN, "").strip(), f"${TOKEN}"
    if file is not None:
        where = file
        try:
            with open(file, encoding="utf-8") as stream:
                text = stream.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "it is no text"
            raise UsageError(f"the token cannot be read: {said}", where=file) from error
        if not text:
            raise UsageError(
                "there is no token in it", where=file, hint=f"type `openssl rand -hex 24 > {file}`"
            )
    if not all("!" <= letter <= "~" for letter in text):
        raise UsageError("a token is one word of plain letters, digits and signs", where=where)
    if text and len(text) < 16:
        raise UsageError(
            "a token has 16 characters or more", where=where, hint="`openssl rand -hex 24` makes one"
        )
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 64")
    return int(text)


def _mib(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1024")
    return int(text)
