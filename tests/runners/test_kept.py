"""Objects that a machine keeps: fetched once, not removed while they are used, not more than there is room for."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from trunkline.runners.kept import Kept


class Source:
    """Where content comes from: ten bytes each. `asked` is what was fetched, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fails = False

    def __call__(self, wanted: Sequence[tuple[str, str]]) -> None:
        self.asked += [md5 for md5, _ in wanted]
        assert self.gate.wait(60)
        if self.fails:
            raise ConnectionError("no answer")
        for md5, path in wanted:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_bytes(md5[:1].encode() * 10)


A, B, C = (letter * 32 for letter in "abc")


def there(kept: Kept) -> list[str]:
    return sorted(path.parent.name + path.name for path in Path(kept.directory).glob("??/*"))


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    kept, source = Kept(str(tmp_path), 100), Source()
    for wanted in ([A, B], [B, A, A], [B, C], []):
        with kept.holding(wanted, source):
            for md5 in wanted:
                path = tmp_path / md5[:2] / md5[2:]
                assert path.read_bytes() == md5[:1].encode() * 10
                assert path.stat().st_mode & 0o777 == 0o444
    assert source.asked == [A, B, C]


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    kept, source = Kept(str(tmp_path), 20), Source()
    for md5 in (A, B, A, C):
        with kept.holding([md5], source):
            pass
    assert there(kept) == [A, C]


def test_what_is_used_stays_however_much_it_is(tmp_path: Path) -> None:
    kept, source = Kept(str(tmp_path), 0), Source()
    with kept.holding([A, B], source):
        with kept.holding([C], source):
            assert there(kept) == [A, B, C]
        assert there(kept) == [A, B]
    assert there(kept) == []


def test_two_that_want_the_same_fetch_it_once(tmp_path: Path) -> None:
    kept, source = Kept(str(tmp_path), 100), Source()
    source.gate.clear()
    seen: list[list[str]] = []

    def use() -> None:
        with kept.holding([A], source):
            seen.append(there(kept))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    source.gate.set()
    for thread in threads:
        thread.join()
    assert seen == [[A]] * 4
    assert source.asked == [A]


def test_a_fetch_that_fails_fails_all_who_wait_and_is_tried_again(tmp_path: Path) -> None:
    kept, source = Kept(str(tmp_path), 100), Source()
    source.fails = True
    with pytest.raises(ConnectionError), kept.holding([A], source):
        raise AssertionError("it is not there")
    source.fails = False
    with kept.holding([A], source):
        assert there(kept) == [A]


def test_a_damaged_object_is_dropped(tmp_path: Path) -> None:
    kept, source = Kept(str(tmp_path), 100), Source()
    with kept.holding([A, B], source):
        kept.drop([str(tmp_path / A[:2] / A[2:])])
    assert there(kept) == [B]
    with kept.holding([A], source):
        assert there(kept) == [A, B]
    assert source.asked == [A, B, A]
