"""Which files a results tree has, and when each was last written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from harness.errors import StoreError


class Files(NamedTuple):
    """The files of a tree in the order of their paths (relative, with slashes)."""

    paths: list[str]
    times: list[int]
    sizes: list[int]


def listed(root: Path) -> Files:
    """Every JSON file where results may lie: `<model>/<revision>/[<protocol>/]<name>.json`.

    Hidden folders and files are left out. A file that vanishes or cannot be looked at has time and size -1;
    so has a folder that cannot be read, which stands among the files.

    Raises:
        StoreError: the root cannot be read.
    """
    files = Files([], [], [])
    if root.is_file():
        raise StoreError(f"{root} is a file, not a folder of results")
    if root.is_dir():
        _walk(str(root), "", 0, files)
    return files


def _walk(folder: str, prefix: str, depth: int, files: Files) -> None:
    try:
        with os.scandir(folder) as found:
            entries = sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    except FileNotFoundError:
        return  # removed while we looked
    except OSError as error:
        if not prefix:
            raise StoreError(f"cannot read {folder}: {error.strerror}") from error
        files.paths.append(prefix.rstrip("/"))  # no file, so who reads it finds out what is wrong
        files.times.append(-1)
        files.sizes.append(-1)
        return
    inner = []
    for entry in entries:
        if depth >= 2 and entry.name.endswith(".json"):
            try:
                status = entry.stat()
                files.times.append(status.st_mtime_ns)
                files.sizes.append(status.st_size)
            except OSError:
                files.times.append(-1)
                files.sizes.append(-1)
            files.paths.append(prefix + entry.name)
        elif depth < 3 and _is_folder(entry):
            inner.append(entry)
    for entry in inner:
        _walk(entry.path, f"{prefix}{entry.name}/", depth + 1, files)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads to itself
