"""A signal interrupts the main thread, whichever thread the system gives it to."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """\
import signal, sys, threading, time
from trunkline.cli.interrupts import end_orderly

end_orderly()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # so another thread is given it
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_another_thread_is_given_interrupts(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            assert process.communicate(timeout=30)[0] == "interrupted\n"
        finally:
            process.kill()


IGNORED = """\
import os, time, weakref
from trunkline.cli.interrupts import end_orderly

class Thing: pass

def gone(_):
    os.kill(os.getpid(), {number})  # here nothing can be raised

end_orderly()
thing = Thing()
watch = weakref.ref(thing, gone)
try:
    del thing
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_python_ignores_comes_again(number: signal.Signals) -> None:
    command = [sys.executable, "-c", IGNORED.format(number=int(number))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


INSIDE = """\
import os, signal, sys
from trunkline.cli import main as program

def dispatch(name, rest):
    exec("import os, signal; os.kill(os.getpid(), signal.SIGINT)")

program._dispatch = dispatch
sys.exit(program.main(["run"]))
"""


def test_a_signal_while_a_string_is_executed_gives_the_same_exit_code(tmp_path: Path) -> None:
    """CPython would end a `python -m` by the signal, caught or not: making a dataclass executes a string."""
    (tmp_path / "inside.py").write_text(INSIDE)
    command = [sys.executable, "-m", "inside"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
