"""Prefect in this process: imported with the project's settings, silent, and without a heartbeat.

Prefect reads its settings when it is imported, from the environment and from files below the user's home.
So it is imported here and nowhere else, with the environment that `home` says, which is put back afterwards.
A process that is started in the two seconds between has these variables too: a stage must not read them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# Our own lines say it already; at a run's end they would come after the last one.
_SILENT = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}


def import_prefect(environment: Mapping[str, str]) -> None:
    """Import Prefect with these variables. Where it has been imported already, nothing changes."""
    variables = {**environment, **_SILENT}
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        import prefect.artifacts
        import prefect.client.orchestration
        import prefect.main  # which sets the logging up
        import prefect.runtime  # noqa: F401
    finally:
        _give_back(root, handlers, level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _give_back(root: logging.Logger, handlers: list[logging.Handler], level: int) -> None:
    """Leave the root logger to the stages, which log by it into their datums' logs; Prefect takes it."""
    root.handlers[:] = handlers
    root.setLevel(level)
    own = logging.getLogger("prefect")
    own.propagate = False
    if not own.handlers:
        own.addHandler(logging.NullHandler())


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
