"""Executes one datum under Python's debugger, in the terminal: what its function prints comes there too.

    > stages/clean.py(12)clean()
    -> table = flights.drop_duplicates()
    (Pdb)

It stops at the first line of the user's function, behind whatever decorates it. Where the function
raises, it stops once more, in the innermost frame that is the project's own: `up` and `down` lead to the
others. Leaving the debugger before the function has ended is no failure of the datum.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import pdb
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import CodeType, FrameType, TracebackType
from typing import Any

from trunkline.model import Outcome, Work
from trunkline.runners.failures import interrupts
from trunkline.runners.worker import Executor


class Left(KeyboardInterrupt):
    """The person at the terminal has left the debugger before the function had ended."""


def debug(work: Work) -> Outcome:
    """Execute one datum in this process, at the terminal. Raises Left."""
    executor = Executor(_Terminal(), lambda call: _debugged(call, work.root))
    try:
        return executor.execute(work)
    finally:
        executor.close()


class _Terminal:
    """Leaves output and input where they are; a `logs.Capture`."""

    def __call__(self, work: Work) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def took(self, stage: str, seconds: float) -> None:
        """Nothing follows from it here."""


def _debugged(call: Callable[..., object], root: str) -> Callable[..., object]:
    """`call` under the debugger."""
    code = getattr(inspect.unwrap(call), "__code__", None)

    @functools.wraps(call)
    def wrapper(*given: object, **named: object) -> object:
        debugger = _Debugger(root, code)
        try:
            value = debugger.runcall(call, *given, **named)
        except BaseException as error:
            if not interrupts(error):
                debugger.look_at(error)
            error.__traceback__ = debugger.trace_of(error)
            raise
        if debugger.left:
            raise Left
        return value

    return wrapper


class _Debugger(pdb.Pdb):
    """Begins at the first line of `code`; with None, at the first line of all."""

    def __init__(self, root: str, code: CodeType | None) -> None:
        super().__init__(nosigint=True)
        self.left = False
        self._root = os.path.join(root, "")
        self._code = code
        self._begun = False

    def look_at(self, error: BaseException) -> None:
        """Stop where `error` was raised."""
        self.message(f"{type(error).__name__}: {error}")
        self.reset()
        self._begun = True
        self.interaction(None, self.trace_of(error))

    def trace_of(self, error: BaseException) -> TracebackType | None:
        """The traceback of `error` from the first frame on that is the project's own."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None and not self._own(trace.tb_frame):
            trace = trace.tb_next
        return trace

    def get_stack(
        self, f: FrameType | None, t: TracebackType | None
    ) -> tuple[list[tuple[FrameType, int]], int]:
        """The frames, and the number of the one to stand in."""
        stack, number = super().get_stack(f, t)
        own = [place for place, (frame, _) in enumerate(stack) if self._own(frame)]
        return stack, own[-1] if t is not None and own else number

    def _own(self, frame: FrameType) -> bool:
        """Whether the frame runs code of the project, not of a library that is installed below it."""
        name = frame.f_code.co_filename
        return name.startswith(self._root) and f"{os.sep}site-packages{os.sep}" not in name

    # ------------------------------------------------------------ on the way to the function

    def user_line(self, frame: FrameType) -> None:
        """Stop, once the function has begun."""
        if not self._begun and self._code not in (None, frame.f_code):
            self.set_step()
            return
        self._begun = True
        super().user_line(frame)

    def user_call(self, frame: FrameType, argument_list: None) -> None:
        """The same for a call."""
        if self._begun:
            super().user_call(frame, argument_list)

    def user_return(self, frame: FrameType, return_value: Any) -> None:
        """The same for a return."""
        if self._begun:
            super().user_return(frame, return_value)

    def user_exception(self, frame: FrameType, exc_info: Any) -> None:
        """The same for an exception."""
        if self._begun:
            super().user_exception(frame, exc_info)

    def set_quit(self) -> None:
        """Note that it was asked for."""
        self.left = True
        super().set_quit()

    def do_help(self, arg: str) -> bool | None:
        """Python's help, and how to go on."""
        done = super().do_help(arg)
        if not arg:
            print("`c` lets the datum go on, `q` leaves without it.", file=self.stdout or sys.stdout)
        return done
