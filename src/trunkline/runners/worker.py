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

After a try that failed, `err_cmd` is run where the stage has one: the outcome is then recovered, or not.
What a datum has started ends with it, before its outputs are taken; a function that leaves processes
running makes its worker `littered`, because what it remembers of them is wrong from then on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from trunkline.model import Command, Failure, Function, Outcome, Work
from trunkline.runners import command, function, limits, reaper, secrets
from trunkline.runners.failures import describe, interrupts
from trunkline.runners.logs import Capture, Streams
from trunkline.runners.modules import Modules
from trunkline.runners.outputs import Outputs, own_scratch
from trunkline.runners.views import Views, remove_tree

Around = Callable[[Callable[..., object]], Callable[..., object]]


class Executor:
    """Executes the datums of one run in this process. Imports each module once, freshly."""

    def __init__(self, capture: Capture | None = None, around: Around | None = None) -> None:
        """`around` makes of a user's function what is called in its place."""
        self._capture = capture or Streams()
        self._around = around
        self._modules = Modules()
        self._bindings: dict[tuple[object, ...], function.Binding] = {}
        self._views: Views | None = None
        self._slot: limits.Slot | None = None
        self.littered = False

    def serve_with(self, capture: Capture, slot: limits.Slot) -> None:
        """Send output elsewhere from now on, and say what datums may take; what was imported stays."""
        self._capture = capture
        self._slot = slot

    def preload(self, root: str, modules: tuple[str, ...]) -> None:
        """Import modules ahead of need."""
        self._modules.preload(root, modules)

    def execute(self, work: Work, given: Mapping[str, str] | None = None) -> Outcome:
        """Execute one datum. Its outputs lie in `pfs/out` of the outcome's scratch.

        `given` are the values of its secrets; without it they are this process's own.
        """
        clock = _Clock()
        if self._slot is not None:
            self._slot.count()
        given = secrets.values(work) if given is None else given
        with secrets.in_environment(work, given):
            hide = secrets.mask(work)
            with self._capture(work):
                outputs, failure = self._attempt(work, clock)
            recovered = False
            if failure is not None:
                failure, recovered = self._rescued(work, failure)
                failure = hide.failure(failure)
        seconds = clock.seconds()
        self._capture.took(work.stage, seconds)
        return Outcome(work.stage, work.datum, outputs.files, seconds, outputs.scratch, failure, recovered)

    def close(self) -> None:
        """Remove what this process kept for its datums, and leave its import system as it was."""
        self._modules.close()
        self._drop_views()

    def _drop_views(self) -> None:
        if self._views is not None:
            remove_tree(self._views.directory)

    def _attempt(self, work: Work, clock: _Clock) -> tuple[Outputs, Failure | None]:
        """Try it; a failure is told in the log."""
        failure = work.failed
        if failure is None:
            try:
                with _surroundings(work):
                    secrets.check(work, os.environ)
                    return self._run(work, clock), None
            except BaseException as error:
                if interrupts(error):
                    remove_tree(own_scratch(work))
                    raise
                failure = describe(error, work)
        print(failure.traceback or f"{failure.kind}: {failure.message}", file=sys.stderr)
        return Outputs((), work.scratch), failure

    def _rescued(self, work: Work, failure: Failure) -> tuple[Failure, bool]:
        """Run `err_cmd`, where there is one: the failure with what went wrong there, whether it ended well."""
        try:
            if work.err_cmd is None:
                return failure, False
            with self._capture(work), _surroundings(work):
                fault = command.rescue(work.err_cmd, work)
                if fault is None:
                    return failure, True
                print(f"err_cmd: {fault}", file=sys.stderr)
                return replace(failure, message=f"{failure.message}\n  err_cmd: {fault}"), False
        finally:
            remove_tree(own_scratch(work))

    def _run(self, work: Work, clock: _Clock) -> Outputs:
        if isinstance(work.run, Command):
            clock.start()
            return command.call(work.run, work)
        binding = self._binding(work, work.run)
        views = self._views_for(work)
        clock.start()
        brood = reaper.Brood()
        if self._slot is not None:
            self._slot.begin(work.timeout, work.resources)
        try:
            return function.call(binding, work, views, lambda: self._tidy(brood))
        finally:
            if self._slot is not None:
                self._slot.end()
            self._tidy(brood)

    def _tidy(self, brood: reaper.Brood) -> None:
        """End what the function left running."""
        self.littered = brood.end() or self.littered

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
            binding = function.bind(found, run, inputs, params)
            self._bindings[key] = (
                binding if self._around is None else binding._replace(call=self._around(binding.call))
            )
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
    ours = {**limits.threads(work.resources, os.environ), **work.env}
    kept = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
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
