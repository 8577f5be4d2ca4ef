"""Which stages ended the process that computed them, when they last had something to do.

A short stage is computed in the run's own process, and what ends that (a fault in a library, `os._exit`,
the kernel when memory runs out) ends the run without a word. Its record tells: the stage had begun and
never ended. So the next run computes it in worker processes, where a death costs one try and has a name.
"""

from __future__ import annotations

from itertools import islice

from trunkline.ledger.records import StageRecord
from trunkline.ledger.runs import Runs

_BACK = 20  # runs


def died(runs: Runs, ref: str) -> bool:
    """Whether the stage `ref` did."""
    for record in islice(runs.each(), _BACK):
        stage = record.stages.get(ref)
        if stage is not None and stage.state != "running":
            return _died(stage)
    return False


def _died(stage: StageRecord) -> bool:
    without_a_word = stage.state == "interrupted" and not stage.ended
    return without_a_word or any(failure["kind"] == "WorkerDied" for failure in stage.failures)
