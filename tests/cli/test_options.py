"""Values of options, and how a datum is picked."""

from __future__ import annotations

import argparse

import pytest

from trunkline.cli.options import count, pick
from trunkline.errors import UsageError
from trunkline.model import Datum


@pytest.mark.parametrize("text", ["0", "-1", "", "x", "1.5", " 1"])
def test_a_count_is_a_number_from_1(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a number from 1"):
        count(text)
    assert count("12") == 12


def test_a_name_goes_before_the_beginning_of_an_id() -> None:
    a, b = Datum("b1", "a", ()), Datum("a1", "b", ())
    assert pick("a", [a, b], "p.s") is a
    assert pick("a1", [a, b], "p.s") is b
    assert pick("b", [a, b], "p.s") is b


def test_none_and_many_are_errors_that_say_how_to_see_them() -> None:
    datums = [Datum("ab", "x", ()), Datum("ac", "x", ())]
    for wanted, message in (
        ("x", "2 datums of p.s are called 'x'"),
        ("a", "2 datums of p.s are called 'a'"),
        ("z", "no datum of p.s is called 'z'"),
    ):
        with pytest.raises(UsageError) as raised:
            pick(wanted, datums, "p.s")
        assert raised.value.message == message
        assert "`trunkline datums p.s`" in raised.value.hint
