"""Datums on the workers of a Dask cluster, which share nothing with this machine but a DVC remote.

    DaskPool(Dask("tcp://scheduler:8786"), remote, code)    workers that are there, or will be
    DaskPool(Dask(), remote, code)                          $DASK_SCHEDULER_ADDRESS, else a local cluster

For each datum: inputs that the remote lacks are pushed; the datum crosses as a value and is executed by
`elsewhere`; its outputs, in the remote by then, are fetched into its scratch directory, from where they
are taken like any other's. Datums go to the cluster some at a time, so that it computes while we push.

A datum has three tries. When a worker dies, Dask gives what it held to others by itself. Its scheduler
says which datums those were, and workers say what they begin with: what was begun there has had one try,
what only waited there none, and after the third we take a datum back. Where Dask gives one up before that
(`allowed-failures` counts what waited, too) it is submitted again. What goes wrong around a datum (a remote that does not answer, a worker with
other versions) is tried again as well, that often and perhaps elsewhere. What the user's code does wrong
is an outcome at once, as everywhere.

On a worker a datum that is cancelled, or whose run has died, is ended within a second. What a stage
declares holds there as it does here, because the same processes execute its datums: time and memory,
`err_cmd`, exit codes; and here no more of them are on the cluster at a time than `parallelism` says. Not so:
`datum_set_spec` (Dask hands out datums one by one), the processors that a datum is kept to, and `err_cmd`
where a machine was lost. The values of secrets are not sent: the workers' environment has to have them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from trunkline.errors import ProjectError, TrunklineError
from trunkline.model import Dask, Failure, Outcome, Work
from trunkline.runners.failures import Fault
from trunkline.runners.logs import open_log
from trunkline.runners.objects import Remote
from trunkline.runners.outputs import check_path, make_own_scratch, own_scratch
from trunkline.runners.processes import available_cpus
from trunkline.runners.shipping import CodeOf, Returned, portable, shipment
from trunkline.runners.views import remove_tree

if TYPE_CHECKING:
    from trunkline.runners.cluster import Cluster

_CHUNK = 64  # datums that are pushed and submitted at a time
_FETCHERS = 8  # threads that fetch what came out
_LOOK = 1.0  # seconds between looks whether the cluster is still there


@dataclass
class _Flight:
    """A datum that is on the cluster. `on` has begun with it, `workers` died of it.

    `refused` counts how often Dask gave it up, be it for the death of workers that had not begun with it.
    """

    work: Work
    future: Any = None
    on: str = ""
    workers: list[str] = field(default_factory=list)
    refused: int = 0


class DaskPool:
    """Executes datums on a Dask cluster; implements ports.Pool.

    `remote` finds the DVC remote, `code` a stage's code. `workers` is the size of a local cluster.
    """

    def __init__(
        self,
        cluster: Dask,
        remote: Callable[[], Remote],
        code: Callable[[str], CodeOf],
        *,
        workers: int | None = None,
    ) -> None:
        self._address = cluster.address
        self._remote = cache(remote)
        self._code = code
        self._workers = workers or available_cpus()
        self._queue: deque[Work] = deque()
        self._flights: dict[str, _Flight] = {}  # by Dask's key; whoever takes one out hands it back
        self._landing = 0  # taken out, and not handed back yet
        self._cancelled: set[str] = set()  # stages
        self._done: deque[Outcome | TrunklineError] = deque()
        self._news = threading.Condition()
        self._shipments: dict[str, Any] = {}  # by stage, as futures
        self._there: set[str] = set()  # md5s that the remote has
        self._absent: set[str] = set()  # md5s that it has not
        self._numbers = count()
        self._cluster: Cluster | None = None
        self._fetchers = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="trunkline-fetch")
        self._closed = False

    @property
    def outstanding(self) -> int:
        """Datums that were submitted and not yet handed back."""
        with self._news:
            return len(self._queue) + len(self._flights) + self._landing + len(self._done)

    def submit(self, work: Work, expected: float | None = None) -> None:
        """Queue one datum."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        self._queue.append(work)

    def next(self, timeout: float | None = None) -> Outcome | None:
        """Block until one datum is done, or `timeout` seconds: None where none is by then.

        Raises TrunklineError where the cluster or the remote is lost.
        """
        if not self.outstanding:
            raise LookupError("no datum is outstanding")
        until = None if timeout is None else time.monotonic() + timeout
        while not self.ready(_LOOK if until is None else max(0.0, min(_LOOK, until - time.monotonic()))):
            if self._cluster is not None:
                self._cluster.check()
            if until is not None and time.monotonic() >= until:
                return None
        found = self._done.popleft()
        if isinstance(found, TrunklineError):
            raise found
        return found

    def ready(self, timeout: float = 0) -> bool:
        """Submit some datums, wait up to `timeout` seconds, say whether an outcome is there."""
        more = self._send() if self._queue else False
        with self._news:
            return self._news.wait_for(lambda: bool(self._done), 0 if more else timeout)

    def cancel(self, stage: str) -> list[Outcome]:
        """Forget what is queued of a stage, end what runs of it; what was done by then."""
        self._queue = deque(work for work in self._queue if work.stage != stage)
        with self._news:
            self._cancelled.add(stage)
            keys = [key for key, flight in self._flights.items() if flight.work.stage == stage]
            futures = [self._flights.pop(key).future for key in keys]
            done = list(self._done)
            mine = [each for each in done if isinstance(each, Outcome) and each.stage == stage]
            self._done = deque(e for e in done if isinstance(e, TrunklineError) or e.stage != stage)
        if futures and self._cluster is not None:
            self._cluster.cancel([each for each in futures if each is not None])
        return mine

    def close(self, *, now: bool = False) -> None:
        """Cancel what is on the cluster, whose outcomes nobody would take; end a cluster of our own."""
        if self._closed:
            return
        self._queue.clear()
        with self._news:
            self._closed = True
            flights, self._flights = list(self._flights.values()), {}
        self._fetchers.shutdown(wait=not now, cancel_futures=True)
        if self._cluster is not None:
            self._cluster.close([flight.future for flight in flights if flight.future is not None])

    # ------------------------------------------------------------ out

    def _send(self) -> bool:
        """Send some datums; whether there may be more to send."""
        works = self._next()
        if not works:
            return False
        cluster = self._connected(os.path.dirname(works[0].scratch))
        self._push(works)
        for work in works:
            self._launch(cluster, _Flight(work))
        return bool(self._queue)

    def _next(self) -> list[Work]:
        """What comes next: not more of a stage at a time than its `parallelism`."""
        with self._news:
            flying = Counter(flight.work.stage for flight in self._flights.values())
        chosen: list[Work] = []
        kept: deque[Work] = deque()
        while self._queue and len(chosen) < _CHUNK:
            work = self._queue.popleft()
            free = work.parallelism is None or flying[work.stage] < work.parallelism
            flying[work.stage] += free
            (chosen if free else kept).append(work)
        self._queue.extendleft(reversed(kept))
        return chosen

    def _connected(self, folder: str) -> Cluster:
        if self._cluster is None:
            try:
                from trunkline.runners.cluster import Cluster
            except ImportError as error:
                raise ProjectError(
                    f"`pool: dask` needs Dask, which is not installed here: {error}",
                    hint='type `pip install "trunkline[dask]"`',
                ) from error
            self._remote()  # where there is none, say so before anything is started
            self._cluster = Cluster(self._address, self._workers, folder, self)
        return self._cluster

    def _push(self, works: Iterable[Work]) -> None:
        """See that the remote has what these datums read; it is asked for all that is queued at once."""
        paths = _objects(works)
        unknown = paths.keys() - self._there - self._absent
        if unknown:
            unknown |= _objects(self._queue).keys() - self._there - self._absent
            absent = self._remote().missing(unknown)
            self._absent |= absent
            self._there |= unknown - absent
        pushed = [(paths[md5], md5) for md5 in paths.keys() & self._absent]
        self._remote().put(pushed)
        self._there |= {md5 for _, md5 in pushed}
        self._absent -= self._there

    def _launch(self, cluster: Cluster, flight: _Flight) -> None:
        work = flight.work
        if work.stage not in self._shipments:
            sent = shipment(self._code(work.stage), self._remote().portable)
            self._shipments[work.stage] = cluster.ship(sent)  # kept: Dask keeps what somebody refers to
        key = f"{work.stage}-{work.datum[:16]}-{next(self._numbers)}"
        with self._news:
            if self._closed:
                return
            self._flights[key] = flight
        flight.future = cluster.submit(portable(work), self._shipments[work.stage], key)
        flight.future.add_done_callback(lambda future: self._landed(key, future))

    # ------------------------------------------------------------ back

    def _landed(self, key: str, future: Any) -> None:
        """Dask is done with a datum; called in a thread of Dask's, which is not to be held up."""
        with contextlib.suppress(RuntimeError):  # the pool is closed
            self._fetchers.submit(self._take, key, future)

    def _take(self, key: str, future: Any) -> None:
        """Hand back what became of a datum, unless that has been done, or let it take off again."""
        returned, error = None, None
        try:
            returned = future.result()  # waits where a worker died that had it: it is computed anew
        except BaseException as raised:
            error = raised
        with self._news:
            flight = self._flights.pop(key, None)
            if flight is None:
                return
            self._landing += 1
        found: Outcome | TrunklineError | None
        try:
            found = self._fetched(flight.work, returned) if returned else self._not_computed(flight, error)
        except TrunklineError as raised:
            found = raised
        except Exception as raised:
            found = TrunklineError(f"what Dask handed back is of no use: {type(raised).__name__}: {raised}")
        with self._news:
            self._landing -= 1
            if found is not None and flight.work.stage not in self._cancelled:
                self._done.append(found)
                self._news.notify()

    def _not_computed(self, flight: _Flight, error: BaseException | None) -> Outcome | None:
        """The outcome of a datum that Dask has given up; None where it has taken off again."""
        from trunkline.runners import cluster

        assert self._cluster is not None
        assert error is not None
        if cluster.gone(error):
            raise self._cluster.lost()
        worker = cluster.killed(error)
        if not worker:
            return _failed(flight.work, cluster.failure(error))
        if worker == flight.on and worker not in flight.workers:
            flight.workers.append(worker)
        flight.refused += 1
        if max(len(flight.workers), flight.refused) >= cluster.TRIES:
            return _failed(flight.work, cluster.died(flight.workers or [worker]))
        self._launch(self._cluster, flight)
        return None

    def _fetched(self, work: Work, returned: Returned) -> Outcome:
        """The outcome with its outputs here, and its log."""
        outcome = returned.outcome
        if returned.said:
            with open(open_log(work.log), "wb") as log:
                log.write(returned.said.replace(returned.root.encode(), work.root.encode()))
        if outcome.failure is not None:
            message, traceback = (
                text.replace(returned.root, work.root)
                for text in (outcome.failure.message, outcome.failure.traceback)
            )
            failure = replace(outcome.failure, message=message, traceback=traceback)
            return replace(_failed(work, failure, outcome.seconds), recovered=outcome.recovered)
        scratch, out = make_own_scratch(work)
        try:
            for file in outcome.files:
                check_path(file.path)
            self._remote().get([(file.md5, os.path.join(out, file.path)) for file in outcome.files])
        except (TrunklineError, Fault, OSError) as error:
            remove_tree(scratch)
            said = Failure("OutputLost", f"its output could not be fetched from {returned.worker}: {error}")
            return _failed(work, said, outcome.seconds)
        return replace(outcome, scratch=scratch)

    def begun(self, key: str, worker: str) -> None:
        """A worker has begun with a datum."""
        with self._news:
            if key in self._flights:
                self._flights[key].on = worker

    def lost(self, keys: Iterable[str], worker: str) -> None:
        """A worker has died: it costs what was begun there one try, and what had its last one fails."""
        from trunkline.runners import cluster

        over = []
        with self._news:
            for key in keys:
                flight = self._flights.get(key)
                if flight is None or flight.on != worker:
                    continue
                flight.workers.append(worker)
                if len(flight.workers) >= cluster.TRIES:
                    over.append(self._flights.pop(key).future)
                    self._done.append(_failed(flight.work, cluster.died(flight.workers)))
                    self._news.notify()
        if over and self._cluster is not None:
            with contextlib.suppress(RuntimeError):  # the pool is closed
                self._fetchers.submit(self._cluster.cancel, [each for each in over if each is not None])


def _failed(work: Work, failure: Failure, seconds: float = 0.0) -> Outcome:
    return Outcome(work.stage, work.datum, (), seconds, own_scratch(work), failure)


def _objects(works: Iterable[Work]) -> dict[str, str]:
    """md5 -> where it is here, of all that these datums read."""
    return {file.md5: given.object(file) for work in works for given in work.inputs for file in given.files}
