"""What we ask of Dask: a connection to a cluster, or one of our own on this machine; and its workers' side.

A local cluster has one worker a processor, listens on the loopback device alone, and asks for a
certificate that is made for the occasion: whoever can reach a scheduler can execute code.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError
from typing import Any, Protocol

import dask
import distributed

from trunkline.errors import TrunklineError
from trunkline.model import Failure, Work
from trunkline.runners.elsewhere import Place
from trunkline.runners.shipping import Returned, Shipment, Trouble

_distributed: Any = distributed  # only parts of it have types

TRIES = 3
_LOOK = 5.0  # seconds between looks whether there are workers
_DESERTED = 600.0  # seconds that we wait for the first one
_SILENT = logging.CRITICAL + 1


class Hearer(Protocol):
    """Hears of datums, by their keys, in a thread of Dask's that is not to be held up."""

    def begun(self, key: str, worker: str) -> None:
        """A worker has begun with it."""

    def lost(self, keys: Iterable[str], worker: str) -> None:
        """A worker has died, and these were to be computed by it; not all of them were begun."""


class Cluster:
    """A Dask cluster: the one at `address`, else the one that Dask is configured to use, else a new one."""

    def __init__(self, address: str, workers: int, folder: str, hearer: Hearer) -> None:
        self._hearer = hearer
        self._folder = ""
        self._own: Any = None
        self.address = address or str(dask.config.get("scheduler-address", None) or "")
        if not self.address:
            self._folder = tempfile.mkdtemp(prefix="dask-", dir=folder)
            self._own = _local_cluster(workers, self._folder)
        self._client = _connected(self._own or self.address)
        self.address = self._client.scheduler.address
        self._seen = self._looked = time.monotonic()
        self._topic = f"trunkline-{self._client.id}"
        for topic in ("all", self._topic):
            self._client.subscribe_topic(topic, self._hear)

    def ship(self, shipment: Shipment) -> Any:
        """The shipment as a future, which any worker can make again when the one that has it dies."""
        return self._client.submit(_same, shipment, key=f"trunkline-code-{shipment.id}")

    def submit(self, work: Work, shipment: Any, key: str) -> Any:
        """The future of a datum's Returned."""
        return self._client.submit(
            on_worker, work, shipment, self._topic, key=key, retries=TRIES - 1, pure=False
        )

    def cancel(self, futures: Sequence[Any]) -> None:
        """Give these up, running or not."""
        with contextlib.suppress(Exception):  # the scheduler is gone, and with it what was to be cancelled
            self._client.cancel(futures, force=True)

    def check(self) -> None:
        """Raise TrunklineError where nobody is there any more who could compute."""
        if self._client.status in ("closed", "closing"):
            raise self.lost()
        now = time.monotonic()
        if now - self._looked < _LOOK or self._client.status != "running":
            return
        self._looked = now
        with contextlib.suppress(OSError):  # shows in the client's status
            if self._client.nthreads():
                self._seen = now
        if now - self._seen > _DESERTED:
            raise TrunklineError(
                f"the Dask scheduler {self.address} has had no worker for {_DESERTED / 60:.0f} minutes",
                where=self.address,
                hint=f"type `dask worker {self.address}` on a machine that can reach it",
            )

    def lost(self) -> TrunklineError:
        """The error for a scheduler that went away."""
        hint = "what was computed is kept: type the command again when it is back"
        return TrunklineError(f"the Dask scheduler {self.address} went away", where=self.address, hint=hint)

    def close(self, futures: Sequence[Any]) -> None:
        """Cancel these; end the connection, and the cluster if it is ours."""
        if futures and self._client.status == "running":
            self.cancel(futures)
        with contextlib.suppress(Exception):
            for topic in ("all", self._topic):
                self._client.unsubscribe_topic(topic)
        for closing in (self._client, self._own):
            with contextlib.suppress(Exception):  # there is nobody to tell who could do better
                if closing is not None:
                    closing.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _hear(self, event: tuple[float, Any]) -> None:
        said = event[1] if isinstance(event[1], dict) else {}
        if said.get("action") == "begun":
            self._hearer.begun(str(said["key"]), str(said["worker"]))
        elif said.get("action") == "remove-worker" and not said.get("expected"):
            self._hearer.lost([str(key) for key in said["processing-tasks"]], str(said["worker"]))


def _connected(cluster: Any) -> Any:
    """A client of this cluster, or of the scheduler at this address. Raises TrunklineError."""
    try:
        return _distributed.Client(cluster, set_as_default=False)
    except (OSError, ValueError) as error:  # a timeout is an OSError
        raise TrunklineError(
            f"no Dask scheduler answers at {cluster}: {error}",
            where=str(cluster),
            hint="see that `dask scheduler` runs there, or leave the address out for a local cluster",
        ) from error


def _local_cluster(workers: int, folder: str) -> Any:
    try:
        return _distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,  # what takes memory are the datums, in processes of their own
            dashboard_address="127.0.0.1:0",
            local_directory=folder,
            preload=__name__,
            security=True,
            silence_logs=_SILENT,
            scheduler_kwargs={"allowed_failures": TRIES - 1},
        )
    except (OSError, RuntimeError) as error:
        raise TrunklineError(f"no Dask cluster can be started on this machine: {error}") from error


def gone(error: BaseException) -> bool:
    """Whether nothing is known of the datum any more: it was cancelled, or the scheduler is gone."""
    return isinstance(error, CancelledError | OSError)


def killed(error: BaseException) -> str:
    """The worker whose death was one too many for Dask; "" where that is not what went wrong."""
    return str(error.last_worker.address) if isinstance(error, distributed.KilledWorker) else ""


def failure(error: BaseException) -> Failure:
    """Why a datum was not computed."""
    if isinstance(error, Trouble):
        return Failure("WorkerFailed", str(error))
    advice = "is trunkline installed there, in the same version?" if isinstance(error, ImportError) else ""
    said = f"the Dask workers cannot execute it: {type(error).__name__}: {error}"
    return Failure("WorkerFailed", f"{said}; {advice}" if advice else said)


def died(workers: Sequence[str]) -> Failure:
    """The failure of a datum whose workers died."""
    times = f"{len(workers)} times, on {', '.join(workers)}" if len(workers) > 1 else f"on {workers[0]}"
    return Failure(
        "WorkerDied",
        f"the Dask worker that computed it ended in the middle, {times}; the usual cause is lack of memory",
    )


# ---------------------------------------------------------------- on a worker


def dask_setup(worker: Any) -> None:
    """Make a worker of a local cluster, whose process this is, deaf to the terminal and mute on it."""
    signal.signal(signal.SIGINT, lambda *_: None)  # ctrl-C is the run's matter, which ends us
    said = os.open(os.path.join(worker.local_directory, "said"), os.O_WRONLY | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.close(said)


_places: dict[str, Place] = {}
_places_lock = threading.Lock()


def on_worker(work: Work, shipment: Shipment, topic: str) -> Returned:
    """Execute one datum on the Dask worker whose thread this is. Raises Trouble."""
    worker = distributed.get_worker()
    key = str(worker.get_current_task())
    _tell(worker, topic, {"action": "begun", "key": key, "worker": worker.address})

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state != "cancelled"

    with _places_lock:
        place = _places.get(worker.address)
        if place is None:
            folder = os.path.join(worker.local_directory, "trunkline")
            place = _places[worker.address] = Place(folder, f"the Dask worker {worker.address}")
    return place.execute(work, shipment, wanted)


def _tell(worker: Any, topic: str, message: dict[str, str]) -> None:
    """Return when the scheduler knows; `Worker.log_event` would not wait, and the datum may end the worker."""

    async def tell() -> None:
        await worker.scheduler.log_event(topic=topic, msg=message)

    _distributed.utils.sync(worker.loop, tell)


def _same(shipment: Shipment) -> Shipment:
    return shipment
