"""How much of everything is measured: the budgets' own sizes, or small ones to try the benches out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """`rounds` for what takes seconds, `few` for what takes longer."""

    rounds: int = 7
    few: int = 3
    small_files: int = 20
    files: int = 100_000
    datums: int = 10_000
    scale: tuple[int, ...] = (1_000, 10_000, 100_000)
    stages: tuple[int, ...] = (100, 200, 400)
    many_small: tuple[int, int] = (20_000, 4 << 10)  # files, bytes of each
    few_large: tuple[int, int] = (200, 10 << 20)
    departures: int = 200_000
    planned: int = 1_000_000
    one_file: int = 5 << 30  # bytes
    outputs: int = 20_000  # files of one datum
    streamed: tuple[int, int] = (10, 100_000)  # files (and ten times as many), rows of each
    runs: tuple[int, ...] = (1_000, 10_000)  # recorded
    requests: int = 4_000  # of one row; fewer of many


QUICK = Sizes(
    rounds=1,
    few=1,
    files=300,
    datums=50,
    scale=(40,),
    stages=(4, 8),
    many_small=(50, 4 << 10),
    few_large=(3, 1 << 20),
    departures=5_000,
    planned=1_000,
    one_file=5 << 20,
    outputs=50,
    streamed=(2, 1_000),
    runs=(200,),
    requests=100,
)
