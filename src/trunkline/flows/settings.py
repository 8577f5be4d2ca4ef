"""Prefect in this process: imported with the project's settings, silent, and without a heartbeat.

Prefect reads its settings when it is imported, from the environment and from files below the user's home, and
takes the root logger. Meanwhile the engine executes datums and starts processes, which must notice none of it.
So it is imported here and nowhere else; for these two seconds `os.environ` has the variables that `home` says
for the thread that imports, and for no other; a process that is started has the environment that there is.
Prefect's clients ask `os.environ` for a proxy whenever they are made, in threads of their own: those, and not the
main one, in which datums run, see for good that a loopback address needs none.
"""

from __future__ import annotations

import logging
import logging.config
import os
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

# Our own lines say it already; at a run's end they would come after the last one.
_SILENT = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}
_NAME = "environ"
_importing = threading.Lock()


def import_prefect(environment: Mapping[str, str]) -> None:
    """Import Prefect with these variables. Where it has been imported already, nothing changes."""
    with _importing, _seen_here({**environment, **_SILENT}), _root_logger_left_alone():
        import prefect.artifacts
        import prefect.client.orchestration
        import prefect.main  # which sets the logging up
        import prefect.runtime  # noqa: F401
    _need_no_proxy(environment)
    own = logging.getLogger("prefect")
    own.propagate = False
    if not own.handlers:
        own.addHandler(logging.NullHandler())


class _Here(MutableMapping[str, str]):
    """`os.environ`, with more in it for some threads. Child processes inherit the real one, whose it stays."""

    def __init__(
        self, real: MutableMapping[str, str], own: Mapping[str, str], shown: Callable[[int], bool]
    ) -> None:
        self._real = real
        self._own = dict(own)
        self._shown = shown

    def _mine(self) -> dict[str, str]:
        return self._own if self._shown(threading.get_ident()) else {}

    def __getitem__(self, name: str) -> str:
        mine = self._mine()
        return mine[name] if name in mine else self._real[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._mine().pop(name, None)
        self._real[name] = value

    def __delitem__(self, name: str) -> None:
        if self._mine().pop(name, None) is None or name in self._real:
            del self._real[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._real, *(name for name in list(self._mine()) if name not in self._real)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def copy(self) -> dict[str, str]:
        """What `os.environ` has that a mapping has not."""
        return dict(self)

    def __or__(self, other: Mapping[str, str]) -> dict[str, str]:
        return {**self, **other}

    def forget(self) -> None:
        """Be the real one, for whoever has taken hold of this one."""
        self._own.clear()


@contextmanager
def _seen_here(variables: Mapping[str, str]) -> Iterator[None]:
    """Have `os.environ` show these variables to this thread alone."""
    real = os.environ
    here = _Here(real, variables, threading.get_ident().__eq__)
    setattr(os, _NAME, here)
    try:
        yield
    finally:
        setattr(os, _NAME, real)
        here.forget()


def _need_no_proxy(environment: Mapping[str, str]) -> None:
    """Have `os.environ` show to all threads but the main one which addresses need no proxy, if there is one."""
    wanted = {name: value for name, value in environment.items() if name.lower() == "no_proxy"}
    told = all(os.environ.get(name) == value for name, value in wanted.items())
    if (
        told
        or isinstance(os.environ, _Here)
        or not any(name.lower().endswith("_proxy") for name in os.environ)
    ):
        return
    main = threading.main_thread().ident
    setattr(os, _NAME, _Here(os.environ, wanted, lambda thread: thread != main))


@contextmanager
def _root_logger_left_alone() -> Iterator[None]:
    """Leave the root logger to the stages, which log by it into their datums' logs."""
    real, thread = logging.config.dictConfig, threading.get_ident()

    def without_root(config: Any) -> None:
        if threading.get_ident() == thread:
            config.pop("root", None)
        real(config)

    logging.config.dictConfig = without_root
    try:
        yield
    finally:
        logging.config.dictConfig = real


def without_console() -> None:
    """From here on log to Prefect and nowhere else.

    The output of a deployed run is a pipe that its worker reads: where the worker was killed, a line that is
    printed would end the run.
    """
    from prefect.logging.handlers import PrefectConsoleHandler

    for name in [None, *logging.root.manager.loggerDict]:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if isinstance(handler, PrefectConsoleHandler):
                logger.removeHandler(handler)


@contextmanager
def without_heartbeat() -> Iterator[None]:
    """A flow run whose process is watched by other means: the beat costs a second at the end of each."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
