"""Every adapter has what its port asks for, under the same names."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tests.engine import world
from trunkline import ports
from trunkline.cli.progress import Printer
from trunkline.cli.record import Recorder
from trunkline.ledger.results import Results
from trunkline.runners.dask import DaskPool
from trunkline.runners.mixed import MixedPool
from trunkline.runners.pools import AdaptivePool, InlinePool
from trunkline.runners.processes import ProcessPool
from trunkline.store.memo import Memo
from trunkline.store.store import DvcStore

ADAPTERS: list[tuple[Any, Any]] = [
    (ports.Store, DvcStore),
    (ports.Store, world.Store),
    (ports.Ledger, Results),
    (ports.Ledger, world.Ledger),
    (ports.Pool, InlinePool),
    (ports.Pool, ProcessPool),
    (ports.Pool, AdaptivePool),
    (ports.Pool, DaskPool),
    (ports.Pool, MixedPool),
    (ports.Facts, Memo),
    (ports.Facts, world.Facts),
    (ports.Listener, Printer),
    (ports.Listener, Recorder),
]


@pytest.mark.parametrize(("port", "adapter"), ADAPTERS, ids=lambda value: value.__qualname__)
def test_an_adapter_takes_what_its_port_gives(port: Any, adapter: Any) -> None:
    methods = [name for name, _ in inspect.getmembers(port, inspect.isfunction) if not name.startswith("_")]
    assert methods
    for name in methods:
        asked = inspect.signature(getattr(port, name)).parameters
        has = inspect.signature(getattr(adapter, name)).parameters
        assert list(has)[: len(asked)] == list(asked), name
        assert [has[p].default for p in asked] == [asked[p].default for p in asked], name
        assert [has[p].kind for p in asked] == [asked[p].kind for p in asked], name
        more = [p for p in list(has)[len(asked) :] if has[p].default is inspect.Parameter.empty]
        assert more == [], f"{name} asks for more than its port gives"


def test_the_engine_knows_few_ports() -> None:
    """Store, Ledger, Pool do things; Facts remembers, Listener hears."""
    found = [name for name, _ in inspect.getmembers(ports, inspect.isclass) if _.__module__ == ports.__name__]
    assert found == ["Facts", "Ledger", "Listener", "Pool", "Store"]
