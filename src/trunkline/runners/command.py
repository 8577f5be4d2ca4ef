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

When the command ends, everything else that it started in its process group is killed. It does not
have to read its input. An exit code that is not 0 fails the datum, with the last lines of stderr.
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
from collections.abc import Sequence
from typing import IO

from trunkline.model import Command, Work
from trunkline.runners.failures import Fault
from trunkline.runners.logs import drop_empty, open_log
from trunkline.runners.outputs import Outputs, collect, make_own_scratch
from trunkline.runners.views import Views, check, location

_TAIL = 10  # lines of stderr in a message
_KEPT = 8192  # bytes of it
_PATIENCE = 0.1  # seconds between looks whether a command that keeps its stderr open has ended


def call(command: Command, work: Work) -> Outputs:
    """Execute one datum. Raises Fault."""
    scratch, out = make_own_scratch(work)
    views = Views(scratch)
    guards = [entry for given in work.inputs for entry in views.lay(given, copies=True)]
    code, said = _run(command, work, scratch)
    error = _exit_fault(code, said) if code else None
    check(guards, error)
    if error:
        raise error
    files = tuple(sorted(collect(out)))
    views.clear((given.name for given in work.inputs), guards)
    return Outputs(files, scratch)


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
    return result


def _run(command: Command, work: Work, scratch: str) -> tuple[int, bytes]:
    """The exit code and the end of stderr."""
    log = open_log(work.log)
    try:
        with _stdin(command.stdin) as stdin, _started(command, work, scratch, stdin, log) as process:
            try:
                said = _follow(process, log)
                return process.wait(), said
            finally:
                _kill_group(process.pid)
    finally:
        os.close(log)
        drop_empty(work.log)


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
            stdout=log,
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


def _follow(process: subprocess.Popen[bytes], log: int) -> bytes:
    """Copy stderr to the log until the command has ended; its last part."""
    assert process.stderr is not None
    pipe, said = process.stderr.fileno(), b""
    while True:
        readable, _, _ = select.select([pipe], [], [], _PATIENCE)
        if readable:
            data = os.read(pipe, 65536)
            if not data:
                return said
            os.write(log, data)
            said = (said + data)[-_KEPT:]
        elif process.poll() is not None:
            return said


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _exit_fault(code: int, said: bytes) -> Fault:
    what = f"exit code {code}" if code > 0 else f"killed by {signal_name(-code)}"
    lines = said.decode("utf-8", "replace").strip().splitlines()[-_TAIL:]
    return Fault("ExitCode", "\n".join([what, *(f"    {line}" for line in lines)]))


def signal_name(number: int) -> str:
    """SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
