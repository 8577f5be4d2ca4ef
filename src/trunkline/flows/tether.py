"""The process of a server or a worker: ends when its keeper is gone, whichever way it went.

    python -m trunkline.flows.tether LIFELINE server SOCKET READY
    python -m trunkline.flows.tether LIFELINE worker GO ARGUMENT…

LIFELINE is the reading end of a pipe whose other end the keeper alone holds: it reads to its end when
the keeper dies. The server then has a few seconds more, to write down what it was told; a worker is
killed at once, which leaves the flow processes that it started to finish. SOCKET already listens, so
that nobody is refused while a server starts again. READY is told when the server answers. A worker imports
what it needs and then waits for a word from GO: it is settled first what becomes of runs that were missed.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

_LAST = 10.0  # seconds that a server without keeper has to write down what it was told
_END = 10.0  # seconds in which it must have ended then


def main(arguments: list[str]) -> None:
    """Run what the arguments name, for as long as the keeper lives."""
    lifeline, kind, *rest = arguments
    _hold(int(lifeline), 0.0 if kind == "worker" else _LAST)
    if kind == "worker":
        _worker(int(rest[0]), rest[1:])
    else:
        from trunkline.flows.serving import serve

        listening, ready = (int(number) for number in rest)
        os.set_inheritable(listening, False)
        os.set_inheritable(ready, False)
        serve(socket.socket(fileno=listening), ready)


def _hold(lifeline: int, last: float) -> None:
    os.set_inheritable(lifeline, False)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:  # a shell's `&` leaves SIGINT so
            signal.signal(number, signal.SIG_DFL)

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        if last:
            time.sleep(last)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_END)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _worker(go: int, arguments: list[str]) -> None:
    import runpy

    import prefect.cli.worker
    import prefect.workers.process  # noqa: F401

    os.read(go, 1)
    os.close(go)
    sys.argv = ["prefect", "worker", "start", *arguments]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
