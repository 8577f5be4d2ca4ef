"""Secrets: environment variables that a stage's own datums see, and nobody else; and that nobody writes down.

    Work.secrets, Work.hidden   names: this stage's, and those that other stages of the project declare
    values(work)                the values of its own, from the environment of this process
    mask(work)                  puts *** in their place, in what is said and in what went wrong

A value travels to a worker beside its datum, through a socket, and never reaches a disk. It is masked as
it is, as `repr` writes it, and each line of it where it has several; not in other forms (base64, say), nor
in what a datum writes as its output.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from trunkline.model import Failure, Work
from trunkline.runners.failures import Fault

MASK = "***"


def values(work: Work) -> dict[str, str]:
    """The values of a datum's secrets, as far as this process has them."""
    return {name: os.environ[name] for name in work.secrets if name in os.environ}


def check(work: Work, given: Mapping[str, str]) -> None:
    """Raise a Fault where a datum's secrets are not all there."""
    missing = [name for name in work.secrets if name not in given]
    if missing:
        raise Fault("MissingSecret", f"{', '.join(missing)} is not set where the datum is computed")


def stripped(names: Iterable[str]) -> dict[str, str]:
    """The environment without these variables."""
    hidden = set(names)
    return {name: value for name, value in os.environ.items() if name not in hidden}


@contextlib.contextmanager
def in_environment(work: Work, given: Mapping[str, str]) -> Iterator[None]:
    """The datum's own secrets set, those of others not; all put back."""
    kept = {name: os.environ[name] for name in (*work.secrets, *work.hidden) if name in os.environ}
    for name in work.hidden:
        os.environ.pop(name, None)
    os.environ.update(given)
    try:
        yield
    finally:
        for name in (*work.secrets, *work.hidden):
            os.environ.pop(name, None)
        os.environ.update(kept)


class Mask:
    """Puts *** in the place of some values."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for value in secrets:
            forms |= {value, repr(value)[1:-1], *(line.strip() for line in value.splitlines())}
        ordered = sorted(filter(None, forms), key=len, reverse=True)
        self._texts = ordered
        self._bytes = [form.encode("utf-8", "surrogateescape") for form in ordered]
        self._longest = max(map(len, self._bytes), default=0)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def text(self, text: str) -> str:
        """A text without them."""
        for form in self._texts:
            text = text.replace(form, MASK)
        return text

    def failure(self, failure: Failure) -> Failure:
        """A failure without them."""
        if not self._texts:
            return failure
        return replace(failure, message=self.text(failure.message), traceback=self.text(failure.traceback))

    def data(self, data: bytes) -> bytes:
        """Bytes without them."""
        for form in self._bytes:
            data = data.replace(form, MASK.encode())
        return data

    def stream(self) -> MaskedStream:
        """For bytes that come in pieces."""
        return MaskedStream(self, self._longest)


class MaskedStream:
    """Masks a stream: holds back what may be the beginning of a value."""

    def __init__(self, mask: Mask, longest: int) -> None:
        self._mask = mask
        self._behind = max(0, longest - 1)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What of it can be told."""
        masked = self._mask.data(self._held + data)
        cut = max(0, len(masked) - self._behind)
        self._held = masked[cut:]
        return masked[:cut]

    def rest(self) -> bytes:
        """The last part."""
        held, self._held = self._held, b""
        return self._mask.data(held)


NOTHING = Mask(())


def mask(work: Work) -> Mask:
    """What masks the values of a datum's secrets, as the environment has them now."""
    return Mask(values(work).values()) if work.secrets else NOTHING
