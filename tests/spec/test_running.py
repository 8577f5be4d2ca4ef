"""What a stage declares about running: durations, amounts of memory, and the values they become."""

from __future__ import annotations

import pytest

from tests.spec.samples import complaints, one, stage
from trunkline.model import Command, DatumSet, Reprocess, Resources
from trunkline.spec import quantities

EVERYTHING = """
run: stages.clean:clean
datum_tries: 1
datum_timeout: 90s
job_timeout: 1h30m
parallelism: 4
datum_set_spec: {per_worker: 2}
resources: {cpu: 2, memory: 4GiB}
err_cmd: [python, rescue.py]
err_stdin: [a, b]
reprocess_spec: every_job
secrets: [TOKEN]
"""


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (600, 600.0), (0.25, 0.25), ("600s", 600.0), ("10m", 600.0), ("1h30m", 5400.0), ("1m30s", 90.0),
        ("1.5h", 5400.0), ("500ms", 0.5), ("1m500ms", 60.5), ("1d", 86400.0), ("2w", 1209600.0),
        ("", None), ("10", None), ("10 m", None), ("m10", None), ("1h 30m", None), ("-1h", None), (True, None),
        (None, None), ("1H", None), ("\u0661s", None),
    ],
)  # fmt: skip
def test_durations(written: object, seconds: float | None) -> None:
    assert quantities.duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (1_000_000, 1_000_000), ("64M", 64_000_000), ("512Mi", 512 << 20), ("4GiB", 4 << 30), ("1.5G", 1_500_000_000),
        ("2 GB", 2_000_000_000), ("1000k", 1_000_000), ("2000000", 2_000_000), ("2000000B", 2_000_000), ("1Ti", 1 << 40),
        ("", None), ("M", None), ("64m", None), ("64MB/s", None), ("-1G", None), (1.5, None), (True, None),
    ],
)  # fmt: skip
def test_amounts_of_memory(written: object, size: int | None) -> None:
    assert quantities.memory(written) == size


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("datum_timeout: 0", "the duration '0' is not longer than nothing"),
        ("job_timeout: .nan", "'nan' is no duration"),
        ("job_timeout: 20w1y", "'20w1y' is no duration"),
        ("job_timeout: 900w", "the duration '900w' is longer than ten years"),
        ("job_timeout: [1]", "'job_timeout' of stage 's' must be text, or a number; this is a list"),
        ("resources: {memory: 64}", "64 bytes of memory are too few for any process"),
        ("resources: {memory: 9000T}", "the amount of memory '9000T' is more than there can be"),
        ("resources: {cpu: 0}", "'cpu' of 'resources' must be a number above 0; this is a number"),
        ("resources: {}", "'resources' limits nothing"),
        ("resources: {gpu: 1}", "'resources' has an unknown key 'gpu'"),
        ("datum_set_spec: {}", "'datum_set_spec' says nothing"),
        ("datum_set_spec: {number: 0}", "'number' of 'datum_set_spec' must be a whole number above 0; this is a number"),
        ("parallelism: 0", "'parallelism' of stage 's' must be a whole number above 0; this is a number"),
        ("err_cmd: []", "'err_cmd' names no program"),
        ("secrets: [TOKEN, TOKEN]", "'TOKEN' is here twice"),
        ("secrets: [TOKEN=abc]", "'TOKEN=abc' cannot be the name of an environment variable"),
        ("secrets: [PACH_JOB_ID]", "the environment variable 'PACH_JOB_ID' is set by trunkline"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(line: str, message: str) -> None:
    assert complaints(stage(f"run: stages.clean:clean\n{line}")) == [message]


@pytest.mark.parametrize("code", [-1, 256])
def test_exit_codes_are_bytes(code: int) -> None:
    assert complaints(stage(f"cmd: [a]\naccept_return_code: [0, {code}]")) == [
        f"{code} cannot be an exit code"
    ]


def test_a_stage_has_what_it_declares() -> None:
    (found,) = one(stage(EVERYTHING)).stages

    assert (found.datum_tries, found.datum_timeout, found.job_timeout) == (1, 90.0, 5400.0)
    assert (found.parallelism, found.datum_set) == (4, DatumSet(per_worker=2))
    assert (found.resources, found.reprocess) == (Resources(2.0, 4 << 30), Reprocess.EVERY_JOB)
    assert (found.err_cmd, found.secrets) == (Command(("python", "rescue.py"), ("a", "b")), ("TOKEN",))


def test_nothing_is_limited_unless_it_is_said() -> None:
    (found,) = one(stage("cmd: [a]")).stages

    assert found.datum_tries == 3
    limits = (found.datum_timeout, found.job_timeout, found.datum_set, found.parallelism, found.resources)
    assert limits == (None,) * 5
    assert (found.accept_return_code, found.err_cmd, found.secrets) == ((), None, ())
    assert found.reprocess is Reprocess.UNTIL_SUCCESS
