"""A file system for Arrow over the cache: files by the names they have in the project, objects behind them.

An object that the cache lacks is brought from the DVC remote when its file is first opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSelector, FileSystemHandler, FileType

from trunkline.reading.objects import Objects


class VersionFiles(FileSystemHandler):  # type: ignore[misc,unused-ignore]
    """The files of one version, to be read. `files`: path in the project -> md5."""

    def __init__(self, files: Mapping[str, str], objects: Objects) -> None:
        self._files = files
        self._objects = objects

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VersionFiles) and self._files == other._files

    def __hash__(self) -> int:
        return hash(tuple(self._files.items()))

    def get_type_name(self) -> str:
        """What this is."""
        return "trunkline"

    def normalize_path(self, path: str) -> str:
        """A path as it is looked up."""
        return path.strip("/")

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        """Which of these are files, or directories."""
        return [FileInfo(path, self._type(self.normalize_path(path))) for path in paths]

    def _type(self, path: str) -> FileType:
        if path in self._files:
            return FileType.File
        inside = any(each.startswith(f"{path}/") for each in self._files)
        return FileType.Directory if inside else FileType.NotFound

    def get_file_info_selector(self, selector: FileSelector) -> list[FileInfo]:
        """The files below a directory."""
        base = self.normalize_path(selector.base_dir)
        below = [path for path in self._files if not base or path.startswith(f"{base}/")]
        if selector.recursive:
            return [FileInfo(path, FileType.File) for path in below]
        skip = len(base) + 1 if base else 0
        names = dict.fromkeys(path[:skip] + path[skip:].partition("/")[0] for path in below)
        return [FileInfo(path, self._type(path)) for path in names]

    def open_input_stream(self, path: str) -> pa.NativeFile:
        """A file, to be read from its beginning."""
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """A file, to be read anywhere. Raises MissingData, StoreError."""
        name = self.normalize_path(path)
        if name not in self._files:
            raise FileNotFoundError(path)
        return pa.OSFile(self._objects.path(self._files[name], name))

    def _refused(self, *given: Any, **named: Any) -> NoReturn:
        raise OSError("a version of a dataset cannot be written to")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = delete_file = _refused
    move = copy_file = open_output_stream = open_append_stream = _refused
