"""A signal interrupts the main thread, whichever thread the system gives it to."""

from __future__ import annotations

import signal
import subprocess
import sys

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
