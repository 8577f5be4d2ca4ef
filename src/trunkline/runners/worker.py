"""Executes one datum: in its scratch directory, with its environment, with its output in its log.

    Executor().execute(work) -> Outcome

What the user's code does wrong is an Outcome with a Failure, never an exception; an interrupt from the
keyboard passes through. Whatever happens, the environment variables and the working directory are put
back, the views of the inputs are removed, and a datum that failed leaves no files behind.

Making and removing directories costs more than many a datum does, and on ext4 the more the more of it
is done. So a function's returned value is written to `work.scratch`, which the datums of a stage may
share; commands and functions that write for themselves get a directory of their own beside it, and
views of inputs lie in one directory that this process keeps. `Outcome.scratch` says where the outputs
are. A datum without outputs may leave no directory at all. Seconds are without imports.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping

from trunkline.model import Command, Failure, Function, Outcome, Work
from trunkline.runners import command, function
from trunkline.runners.failures import describe, interrupts
from trunkline.runners.logs import Capture, Streams
from trunkline.runners.modules import Modules
from trunkline.runners.outputs import Outputs, own_scratch
from trunkline.runners.views import Views, remove_tree


class Executor:
    """Executes the datums of one run in this process. Imports each module once, freshly."""

    def __init__(self, capture: Capture | None = None) -> None:
        self._capture = capture or Streams()
        self._modules = Modules()
        self._bindings: dict[tuple[object, ...], function.Binding] = {}
        self._views: Views | None = None

    def capture_with(self, capture: Capture) -> None:
        """Send output elsewhere from now on; what was imported stays."""
        self._capture = capture

    def preload(self, root: str, modules: tuple[str, ...]) -> None:
        """Import modules ahead of need."""
        self._modules.preload(root, modules)

    def execute(self, work: Work) -> Outcome:
        """Execute one datum. Its outputs lie in `pfs/out` of the outcome's scratch."""
        clock = _Clock()
        with self._capture(work):
            outputs, failure = self._attempt(work, clock)
        seconds = clock.seconds()
        self._capture.took(work.stage, seconds)
        return Outcome(work.stage, work.datum, outputs.files, seconds, outputs.scratch, failure)

    def close(self) -> None:
        """Remove what this process kept for its datums, and leave its import system as it was."""
        self._modules.close()
        self._drop_views()

    def _drop_views(self) -> None:
        if self._views is not None:
            remove_tree(self._views.directory)

    def _attempt(self, work: Work, clock: _Clock) -> tuple[Outputs, Failure | None]:
        try:
            with _surroundings(work):
                return self._run(work, clock), None
        except BaseException as error:
            remove_tree(own_scratch(work))
            if interrupts(error):
                raise
            failure = describe(error, work)
            print(failure.traceback or f"{failure.kind}: {failure.message}", file=sys.stderr)
            return Outputs((), work.scratch), failure

    def _run(self, work: Work, clock: _Clock) -> Outputs:
        if isinstance(work.run, Command):
            clock.start()
            return command.call(work.run, work)
        binding = self._binding(work, work.run)
        clock.start()
        return function.call(binding, work, self._views_for(work))

    def _views_for(self, work: Work) -> Views:
        directory = os.path.join(os.path.dirname(work.scratch), f"views-{os.getpid()}")
        if self._views is None or self._views.directory != directory:
            self._drop_views()
            self._views = Views(directory)
        return self._views

    def _binding(self, work: Work, run: Function) -> function.Binding:
        found = self._modules.function(work.root, run)
        inputs, params = tuple(given.name for given in work.inputs), tuple(work.params)
        key = (found, inputs, params)
        if key not in self._bindings:
            self._bindings[key] = function.bind(found, run, inputs, params)
        return self._bindings[key]


def execute(work: Work) -> Outcome:
    """Execute one datum in this process, as the only one of a run."""
    executor = Executor()
    try:
        return executor.execute(work)
    finally:
        executor.close()


class _Clock:
    """Counts from `start`, or not at all."""

    def __init__(self) -> None:
        self._started: float | None = None

    def start(self) -> None:
        self._started = time.perf_counter()

    def seconds(self) -> float:
        return 0.0 if self._started is None else time.perf_counter() - self._started


@contextlib.contextmanager
def _surroundings(work: Work) -> Iterator[None]:
    """The project's root as working directory, and `env:` set; both put back."""
    directory = os.getcwd()
    kept = {name: os.environ.get(name) for name in work.env}
    os.environ.update(work.env)
    os.chdir(work.root)
    try:
        yield
    finally:
        os.chdir(directory)
        _put_back(kept)


def _put_back(kept: Mapping[str, str | None]) -> None:
    for name, value in kept.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
