"""A datum by a command, in any language: files at `pfs/<name>/…` in, files in `pfs/out/` out.

The command runs without a shell in the datum's scratch directory, with `stdin:` lines as its input.
An argument that names a file of the project becomes its full path, all others are passed as they are; a
shell finds the project at $TRUNKLINE_ROOT. The environment is ours, with this Python's directory first
on the PATH, then `env:`, then:

    PACH_JOB_ID, PACH_OUTPUT_COMMIT_ID    the run's id
    PACH_DATUM_ID                         the datum's id
    PPS_PIPELINE_NAME                     <pipeline>.<stage>
    <input>                               the input's path, pfs/<input>/<path>
    <input>_COMMIT                        its content hash
    PACH_DATUM_<input>_JOIN_ON            the join key, where there is one
    PACH_DATUM_<input>_GROUP_BY           the group's key, where there is one

When the command ends, everything else that it started is killed. It does not have to read its input. An
exit code that is neither 0 nor accepted fails the datum, with the last lines of stderr; so does a command
that takes more time or memory than its datum may. It is ended then, with everything that it started.

`rescue` runs the stage's `err_cmd` after a try that failed: where a command failed, on what it left;
otherwise on the inputs, laid out for it.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO

from trunkline.model import Command, Work
from trunkline.runners import limits, reaper, secrets
from trunkline.runners.failures import Fault
from trunkline.runners.logs import drop_empty, open_log
from trunkline.runners.outputs import Outputs, collect, make_own_scratch, own_scratch
from trunkline.runners.views import Views, check, location

_TAIL = 10  # lines of stderr in a message
_KEPT = 8192  # bytes of it
_PATIENCE = 0.1  # seconds between looks whether a command that keeps its stderr open has ended


def call(command: Command, work: Work) -> Outputs:
    """Execute one datum. Raises Fault."""
    scratch, out = make_own_scratch(work)
    views = Views(scratch)
    guards = [entry for given in work.inputs for entry in views.lay(given, copies=True)]
    error = _run(command, work, scratch, (0, *work.accept))
    check(guards, error)
    if error:
        raise error
    files = tuple(sorted(collect(out, guards)))
    views.clear((given.name for given in work.inputs), guards)
    return Outputs(files, scratch)


def rescue(command: Command, work: Work) -> Fault | None:
    """Run `err_cmd` after a try that failed; None where it ended well."""
    scratch = own_scratch(work)
    try:
        os.makedirs(os.path.join(scratch, "pfs", "out"), exist_ok=True)
        for given in work.inputs:
            if not os.path.lexists(os.path.join(scratch, "pfs", given.name)):
                Views(scratch).lay(given, copies=True)
        return _run(command, work, scratch, (0,))
    except Fault as error:
        return error


def located(argv: Sequence[str], root: str) -> list[str]:
    """The arguments, those that name a file of the project as full paths; `engine.code` counts the same."""
    paths = [posixpath.normpath(argument) for argument in argv]
    inside = [not os.path.isabs(path) and path.partition("/")[0] != ".." for path in paths]
    full = [os.path.join(root, path) for path in paths]
    return [
        place if within and os.path.isfile(place) else argument
        for argument, place, within in zip(argv, full, inside, strict=True)
    ]


def environment(work: Work) -> dict[str, str]:
    """The environment in which a command runs."""
    ours = os.path.dirname(sys.executable)
    result = {**os.environ, "PATH": os.pathsep.join(filter(None, (ours, os.environ.get("PATH", ""))))}
    result |= work.env
    result |= {"PACH_JOB_ID": work.run_id, "PACH_OUTPUT_COMMIT_ID": work.run_id}
    result |= {"PACH_DATUM_ID": work.datum, "PPS_PIPELINE_NAME": work.stage, "TRUNKLINE_ROOT": work.root}
    for given in work.inputs:
        result[given.name] = f"pfs/{location(given, given.path)}"
        result[f"{given.name}_COMMIT"] = given.oid
        if work.join_on:
            result[f"PACH_DATUM_{given.name}_JOIN_ON"] = work.join_on
        if work.group_by:
            result[f"PACH_DATUM_{given.name}_GROUP_BY"] = work.group_by
    return limits.threads(work.resources, result) | result


def _run(command: Command, work: Work, scratch: str, accepted: Sequence[int]) -> Fault | None:
    """Run a command to its end; what was wrong with it."""
    log = open_log(work.log)
    brood = reaper.Brood()
    try:
        with _stdin(command.stdin) as stdin, _started(command, work, scratch, stdin, log) as process:
            voices = _Voices(process, log, secrets.mask(work))
            try:
                error = _follow(process, voices, _Watch(work, process.pid))
                if error is None and (code := process.wait()) not in accepted:
                    error = Fault("ExitCode", _ending(code))
            finally:
                _kill_group(process.pid)
                process.wait()
                brood.end(reap=True)
                voices.close()
    finally:
        os.close(log)
        drop_empty(work.log)
    return voices.told(error) if error is not None else None


def _stdin(lines: tuple[str, ...]) -> IO[bytes]:
    """A file, not a pipe: a command that does not read it neither blocks nor fails us."""
    if not lines:
        return open(os.devnull, "rb")
    stream: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    stream.write("".join(f"{line}\n" for line in lines).encode())
    stream.seek(0)
    return stream


def _started(
    command: Command, work: Work, scratch: str, stdin: IO[bytes], log: int
) -> subprocess.Popen[bytes]:
    program = command.argv[0]
    try:
        return subprocess.Popen(
            located(command.argv, work.root),
            stdin=stdin,
            stdout=subprocess.PIPE if work.secrets else log,
            stderr=subprocess.PIPE,
            cwd=scratch,
            env=environment(work),
            process_group=0,
        )
    except FileNotFoundError as error:
        message = f"there is no command `{program}`: install it, or name a script of the project"
        raise Fault("CommandNotFound", message) from error
    except OSError as error:
        message = f"`{program}` cannot be started: {error.strerror}; is it executable (chmod +x)?"
        raise Fault("CommandNotFound", message) from error


class _Voices:
    """What a command says: its stderr, and where that has to be masked its stdout, copied to the log."""

    def __init__(self, process: subprocess.Popen[bytes], log: int, mask: secrets.Mask) -> None:
        assert process.stderr is not None
        self._log = log
        self._stderr = process.stderr.fileno()
        pipes = [self._stderr, *([process.stdout.fileno()] if process.stdout is not None else [])]
        self._masked = {pipe: mask.stream() for pipe in pipes}
        self.pipes = pipes
        self._said = b""

    def read(self, pipe: int) -> None:
        """Copy what is there."""
        data = os.read(pipe, 65536)
        if data:
            self._tell(pipe, self._masked[pipe].feed(data))
        else:
            self.pipes.remove(pipe)

    def close(self) -> None:
        """It has ended; what it said last is still to be read."""
        for pipe, masked in self._masked.items():
            os.set_blocking(pipe, False)
            with contextlib.suppress(BlockingIOError):  # who escaped us has it open
                while pipe in self.pipes:
                    self.read(pipe)
            self._tell(pipe, masked.rest())

    def told(self, error: Fault) -> Fault:
        """The error with the last lines of stderr."""
        lines = self._said.decode("utf-8", "replace").strip().splitlines()[-_TAIL:]
        failure = error.failure
        return Fault(failure.kind, "\n".join([failure.message, *(f"    {line}" for line in lines)]))

    def _tell(self, pipe: int, data: bytes) -> None:
        if data:
            os.write(self._log, data)
        if pipe == self._stderr:
            self._said = (self._said + data)[-_KEPT:]


class _Watch:
    """What the command and all that it starts may take."""

    def __init__(self, work: Work, pid: int) -> None:
        self._timeout = work.timeout
        self._memory = work.resources.memory if work.resources is not None else None
        self._pid = pid
        self._meter = limits.Meter()
        self._started = time.monotonic()
        self._look = 0.0

    def patience(self) -> float:
        """Seconds until the next look at it."""
        left = [_PATIENCE]
        if self._timeout is not None:
            left.append(max(0.0, self._started + self._timeout - time.monotonic()))
        if self._memory is not None:
            left.append(limits.look())
        return min(left)

    def fault(self) -> Fault | None:
        """Why it has to end."""
        now = time.monotonic()
        if self._timeout is not None and now >= self._started + self._timeout:
            return Fault("TimedOut", limits.too_slow(self._timeout))
        if self._memory is not None and now >= self._look:
            self._look = now + limits.look() / 2
            taken = self._meter.too_much(self._pid, self._memory)
            if taken:
                return Fault("OutOfMemory", limits.too_large(taken, self._memory))
        return None


def _follow(process: subprocess.Popen[bytes], voices: _Voices, watch: _Watch) -> Fault | None:
    """Copy what a command says until it has ended; why it has to be ended."""
    while True:
        if voices.pipes:
            readable, _, _ = select.select(voices.pipes, [], [], watch.patience())
        else:
            readable = []
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(watch.patience())
        for pipe in readable:
            voices.read(pipe)
        if not readable and process.poll() is not None:
            return None
        if (error := watch.fault()) is not None:
            return error


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _ending(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    return f"killed by {signal_name(-code)}{likely_cause(-code)}"


def likely_cause(number: int) -> str:
    """What a signal that ended a process says of why, as far as it does."""
    if number == signal.SIGKILL:
        return "; the usual cause is lack of memory"
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE):
        return "; the usual cause is a fault in compiled code"
    return ""


def signal_name(number: int) -> str:
    """SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
