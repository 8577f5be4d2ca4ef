from __future__ import annotations

import builtins
import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stages.weights import tensors
from tests.stages.torch_files import Storage, Tensor, numbers, parts, pickled, write


def saved(path: Path, state: Any, storages: list[Storage]) -> Path:
    path.write_bytes(b"".join(parts(state, storages)) + numbers(storages))
    return path


def test_tensors_come_back_with_their_types_and_shapes(tmp_path: Path) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "half": np.array([0.5, -2], np.float16),
        "batches": np.array(9, np.int64),
        "empty": np.zeros((0, 3), np.float32),
    }
    found = tensors(write(tmp_path / "a.pth", arrays))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_tensors_may_be_views_of_one_storage(tmp_path: Path) -> None:
    storage = Storage(np.arange(12, dtype=np.float32), "0")
    state = OrderedDict(turned=Tensor(storage, 0, (4, 3), (1, 4)), last=Tensor(storage, 9, (3,), (1,)))
    found = tensors(saved(tmp_path / "a.pth", state, [storage]))
    np.testing.assert_array_equal(found["turned"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(found["last"], [9, 10, 11])


class Calls:
    """Pickles as "call this": what a hostile file is made of."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def hostile(marker: Path) -> dict[str, Any]:
    text = f"open({str(marker)!r}, 'w').close()"
    return {
        "os.system": Calls(os.system, f"touch {marker}"),
        "subprocess.Popen": Calls(subprocess.Popen, ["touch", str(marker)]),
        "exec": Calls(builtins.exec, text),
        "eval": Calls(builtins.eval, text),
        "open": Calls(builtins.open, str(marker), "w"),
        "getattr": Calls(builtins.getattr, "a", "upper"),
        "import": Calls(builtins.__import__, "antigravity"),
        "pickle.loads": Calls(pickle.loads, pickle.dumps(Calls(os.mkdir, str(marker)))),
        "a method of what is allowed": Calls(OrderedDict.fromkeys, "ab"),
        "a class of numpy": np.float64(1),
        "a path": Path("x"),
    }


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("name", hostile(Path("x")))
def test_whatever_else_a_pickle_asks_for_is_refused(tmp_path: Path, name: str, place: int) -> None:
    marker = tmp_path / "marker"
    storage = Storage(np.zeros(1, np.float32), "0")
    pickles = parts(OrderedDict(a=Tensor(storage, 0, (1,), (1,))), [storage])
    pickles[place] = pickled(hostile(marker)[name], protocol=4)
    file = tmp_path / "a.pth"
    file.write_bytes(b"".join(pickles) + numbers([storage]))
    with pytest.raises(ValueError, match=r"^a\.pth is no file of tensors: it asks for .+, which is refused$"):
        tensors(file)
    assert not marker.exists()


def test_the_hostile_files_would_do_harm_elsewhere(tmp_path: Path) -> None:
    """Otherwise the test above would show nothing."""
    marker = tmp_path / "marker"
    pickle.loads(pickled(hostile(marker)["exec"]))
    assert marker.exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ([1, 2], "something else than named tensors"),
        (OrderedDict(a=1), "something else than named tensors"),
        (OrderedDict(a=Tensor(Storage(np.zeros(4, np.float32), "0"), 1, (4,), (1,))), "reaches beyond"),
        (OrderedDict(a=Tensor(Storage(np.zeros(4, np.float32), "0"), -1, (2,), (1,))), "reaches beyond"),
        (OrderedDict(a=Tensor(Storage(np.zeros(4, np.float32), "0"), 3, (4,), (-1,))), "reaches beyond"),
        (OrderedDict(a=Tensor(Storage(np.zeros(4, np.float32), "0"), 0, (10**9,), (0,))), "reaches beyond"),
        (OrderedDict(a=Tensor("no storage", 0, (), ())), "no storage"),  # type: ignore[arg-type]
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, state: Any, message: str) -> None:
    storage = Storage(np.zeros(4, np.float32), "0")
    with pytest.raises(ValueError, match=message):
        tensors(saved(tmp_path / "a.pth", state, [storage]))


@pytest.mark.parametrize("kept", [0, 10, 400, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    whole = write(tmp_path / "a.pth", {"a": np.zeros(200, np.float32)}).read_bytes()
    assert len(whole) > 800
    (tmp_path / "a.pth").write_bytes(whole[:kept])
    with pytest.raises(ValueError, match=r"^a\.pth is no file of tensors"):
        tensors(tmp_path / "a.pth")
