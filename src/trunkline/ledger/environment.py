"""What a run ran with, for its record: by allow-list, so that no secret and no host name gets in.

    {"python": "3.11.7", "implementation": "CPython", "system": "Linux 6.1.0", "machine": "x86_64",
     "cpus": 2, "packages": {"dvc": "3.67.1", …}, "variables": {"OMP_NUM_THREADS": "1"}}

Import late: package metadata is not for the path of "nothing to do".
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping

# What decides bytes of data, of models and of Parquet files.
PACKAGES = (
    "trunkline", "dvc", "numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "onnx", "onnxruntime", "skl2onnx",
)  # fmt: skip

# What changes results without being a version: threads of the numeric libraries, hashes, locale.
VARIABLES = (
    "LANG", "LC_ALL", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED", "PYTHONOPTIMIZE", "TZ",
)  # fmt: skip


def capture(packages: tuple[str, ...] = PACKAGES) -> dict[str, object]:
    """The environment of this process. Packages that are not installed are left out."""
    system = os.uname()
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{system.sysname} {system.release}",
        "machine": system.machine,
        "cpus": os.cpu_count() or 1,
        "packages": _versions(packages),
        "variables": _chosen(os.environ),
    }


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _chosen(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: variables[name] for name in VARIABLES if name in variables}
