"""What a run ran with, for its record: by allow-list, so that no secret and no host name gets in.

    {"python": "3.11.7", "implementation": "CPython", "system": "Linux 6.1.0", "machine": "x86_64",
     "libc": "glibc 2.36", "cpus": 2, "cpu": {"model": "AMD EPYC 7763", "features": ["avx", "avx2", "fma"]},
     "libraries": ["numpy.libs/libscipy_openblas64_-32a4b2a6.so"], "packages": {"dvc": "3.67.1", …},
     "locks": {"requirements.lock": "sha256:5f…"}, "variables": {"OMP_NUM_THREADS": "1"}}

`features` and `libraries` are those that decide how numbers are added up: the vector units of the
processor, and the linear algebra that numpy and scipy bring with them. `packages` are all installed
distributions, by the names of their directories: reading their metadata costs fifty times as much.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

# What changes results without being a version: threads of the numeric libraries, hashes, locale.
VARIABLES = (
    "LANG", "LC_ALL", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED", "PYTHONOPTIMIZE", "TZ",
)  # fmt: skip

# The files by which people pin what they install.
LOCKS = (
    "requirements.lock", "requirements.txt", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock",
    "pylock.toml", "conda-lock.yml", "environment.yml", "environment.yaml",
)  # fmt: skip

_VECTORS = re.compile(r"(sse4_|avx|fma|f16c|amx|asimd|sve|neon)")
_BUNDLES = ("numpy.libs", "scipy.libs", "numpy/.dylibs", "scipy/.dylibs")
_NUMERIC = re.compile(r"(blas|mkl|blis|accelerate|lapack)", re.IGNORECASE)
_DISTRIBUTION = re.compile(r"(.+)-([^-]+)\.(?:dist|egg)-info")


def capture(root: str = "") -> dict[str, object]:
    """The environment of this process, with the lock files of the project at `root`."""
    system = os.uname()
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{system.sysname} {system.release}",
        "machine": system.machine,
        "libc": " ".join(platform.libc_ver()).strip(),
        "cpus": os.cpu_count() or 1,
        "cpu": _processor(),
        "libraries": sorted(_libraries(sys.path)),
        "packages": dict(sorted(_distributions(sys.path))),
        "locks": dict(_locks(root)) if root else {},
        "variables": _chosen(os.environ),
    }


def _processor() -> dict[str, object]:
    """The processor's name and vector units, as far as the system says them in a file."""
    found: dict[str, str] = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                name, _, value = line.partition(":")
                found.setdefault(name.strip(), value.strip())
                if not line.strip():
                    break  # the first processor stands for all
    except OSError:
        return {"model": platform.processor(), "features": []}
    flags = (found.get("flags") or found.get("Features") or "").split()
    return {
        "model": found.get("model name", ""),
        "features": sorted(flag for flag in flags if _VECTORS.match(flag)),
    }


def _libraries(places: Sequence[str]) -> Iterator[str]:
    for place in places:
        for bundle in _BUNDLES:
            for name in _names(os.path.join(place, bundle)):
                if _NUMERIC.search(name):
                    yield f"{bundle}/{name}"


def _distributions(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(name, version) of what is installed; of two of one name, the first on the path counts."""
    seen: set[str] = set()
    for place in places:
        for entry in _names(place):
            match = _DISTRIBUTION.fullmatch(entry)
            name = re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""
            if match and name not in seen:
                seen.add(name)
                yield name, match[2]


def _locks(root: str) -> Iterator[tuple[str, str]]:
    for name in LOCKS:
        try:
            with open(os.path.join(root, name), "rb") as stream:
                yield name, f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
        except OSError:
            continue


def _names(place: str) -> list[str]:
    try:
        return os.listdir(place or ".")
    except OSError:
        return []


def _chosen(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: variables[name] for name in VARIABLES if name in variables}
