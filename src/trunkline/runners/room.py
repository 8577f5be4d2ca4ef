"""What waits to be computed, what fits beside what is being computed, and how much goes to a worker at once.

A datum takes a processor. With `resources: {cpu: 2}` it takes two, and so fewer are computed beside each
other; with `parallelism: 16` on two processors an eighth of one, and so more are. Memory that datums may
take, where that is limited, may not come to more than the machine has. What takes more than there is, is
computed alone.

Stages take their turns in the order in which they came. One that has reached its `parallelism` lets others
pass; one that does not fit holds them up, or it would wait for ever.
"""

from __future__ import annotations

import math
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from trunkline.model import Work

_LEAST = 0.125  # of a processor


class Queues:
    """Datums by stage."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Work]] = {}
        self._came: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, work: Work) -> None:
        """Queue a datum behind its stage's others."""
        self._queues.setdefault(work.stage, deque()).append(work)
        self._came[work.stage] += 1
        self._count += 1

    def put_back(self, works: Sequence[Work]) -> None:
        """Queue datums that were taken before the others of their stage, in this order."""
        for work in reversed(works):
            self._queues.setdefault(work.stage, deque()).appendleft(work)
        self._count += len(works)

    def first(self) -> Iterator[Work]:
        """The next datum of each stage, in the order of the stages."""
        return (queue[0] for queue in list(self._queues.values()) if queue)

    def take(self, stage: str, size: int) -> tuple[Work, ...]:
        """The next datums of a stage."""
        queue = self._queues[stage]
        taken = tuple(queue.popleft() for _ in range(min(size, len(queue))))
        self._count -= len(taken)
        return taken

    def drop(self, stage: str) -> None:
        """Forget what waits of a stage."""
        self._count -= len(self._queues.pop(stage, ()))

    def clear(self) -> None:
        """Forget everything."""
        self._queues.clear()
        self._count = 0

    def set_size(self, work: Work, lanes: int) -> int:
        """How many datums go to a worker at once, where the stage of this one, its next, says so.

        `lanes` of them are computed beside each other.
        """
        declared = work.datum_set
        assert declared is not None
        if declared.number is not None:
            return declared.number
        if declared.per_worker is not None:
            return max(1, math.ceil(self._came[work.stage] / (lanes * declared.per_worker)))
        total, most = 0, declared.size_bytes or 0
        for number, each in enumerate(self._queues[work.stage]):
            total += sum(file.size for given in each.inputs for file in given.files)
            if total > most:
                return max(1, number)
        return len(self._queues[work.stage])


class Room:
    """What fits on this machine; `size` processors are ours."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def lanes(self, work: Work) -> int:
        """How many datums like this one are computed beside each other."""
        most = max(1, int(self._size / self._share(work) + 1e-9))
        return most if work.parallelism is None else min(most, work.parallelism)

    def fits(self, work: Work, beside: Sequence[Work]) -> bool:
        """Whether it can be computed beside these."""
        if not beside:
            return True
        shares = self._share(work) + sum(map(self._share, beside))
        if shares > self._size + 1e-9:
            return False
        own = _memory(work)
        return not own or own + sum(map(_memory, beside)) <= self._memory

    def _share(self, work: Work) -> float:
        """The processors that a datum takes."""
        cpu = work.resources.cpu if work.resources is not None else None
        if cpu is None:
            cpu = min(1.0, self._size / work.parallelism) if work.parallelism else 1.0
        return max(_LEAST, cpu)


def _memory(work: Work) -> int:
    return (work.resources.memory if work.resources is not None else None) or 0


def processors(work: Work, all_of_them: Sequence[int], taken: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The processors that a datum is to keep to, the least taken ones; () where it need not."""
    cpu = work.resources.cpu if work.resources is not None else None
    if cpu is None or cpu >= len(all_of_them):
        return ()
    load = Counter(number for numbers in taken for number in numbers)
    return tuple(sorted(sorted(all_of_them, key=lambda number: load[number])[: math.ceil(cpu)]))
