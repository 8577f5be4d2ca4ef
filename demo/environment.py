"""What decides, beside data, code and parameters, which bytes a training gives.

    {"python": "3.11", "numpy": "2.4.6", …, "system": "Linux x86_64", "c library": "glibc 2.36",
     "blas": "openblas 0.3.30 SkylakeX", "cpu features": "AVX2 AVX512F FMA3 …"}

`python -m demo.environment --write` records this beside the model that `dvc.lock` names; `make run`
compares, where its model turns out different. Names and versions only.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RECORD = Path("demo/environment.json")
PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "onnx",
    "skl2onnx",
    "onnxruntime",
    "protobuf",
)


def present() -> dict[str, str]:
    """The environment of this process."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "c library": " ".join(platform.libc_ver()).strip(),
        "blas": _blas(),
        "cpu features": _cpu_features(),
    }


def recorded(root: Path) -> dict[str, str] | None:
    """The environment that was recorded, None where there is no record."""
    file = root / RECORD
    if not file.exists():
        return None
    content: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return content


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One line an item that differs: `numpy: 2.4.5 -> 2.4.6`."""
    names = [*before, *(name for name in now if name not in before)]
    pairs = [(name, before.get(name, "none"), now.get(name, "none")) for name in names]
    return [_difference(name, old, new) for name, old, new in pairs if old != new]


def _difference(name: str, old: str, new: str) -> str:
    if name != "cpu features":
        return f"{name}: {old} -> {new}"
    gone, added = sorted({*old.split()} - {*new.split()}), sorted({*new.split()} - {*old.split()})
    return f"{name}:" + "".join([*(f" -{word}" for word in gone), *(f" +{word}" for word in added)])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _blas() -> str:
    """The libraries of linear algebra and threads that are loaded, without their places on disk."""
    from threadpoolctl import threadpool_info

    for module in ("numpy", "scipy.linalg.blas"):  # each brings its own
        import_module(module)
    found = {
        " ".join(str(pool[key]) for key in ("internal_api", "version", "architecture") if pool.get(key))
        for pool in threadpool_info()
        if pool.get("user_api") == "blas"
    }
    return ", ".join(sorted(found))


def _cpu_features() -> str:
    """The vector instructions that numpy uses here: sums are rounded differently with others."""
    import numpy as np

    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return " ".join(sorted({*extensions.get("baseline", []), *extensions.get("found", [])}))


def main() -> int:
    """Print the environment, or write the record."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.environment", description="What decides the model's bytes."
    )
    parser.add_argument("--write", action="store_true", help=f"write {RECORD}")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the project (default: here)")
    chosen = parser.parse_args()
    text = json.dumps(present(), indent=2) + "\n"
    if chosen.write:
        (chosen.root / RECORD).write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
