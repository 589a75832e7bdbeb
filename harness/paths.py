"""Where things lie: the cache, the data folders, the suites; names as paths; files replaced whole."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from urllib.parse import quote, unquote


def cache_folder(option: str | Path | None = None) -> Path:
    """The cache: the option, else HARNESS_CACHE, else the platform's cache folder."""
    chosen = option or os.environ.get("HARNESS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("harness", appauthor=False)


def data_folders(option: list[Path] | None = None) -> list[Path]:
    """Folders searched for task data: the option's, else those of HARNESS_DATA (path-separated)."""
    if option:
        return [Path(p).expanduser() for p in option]
    listed = os.environ.get("HARNESS_DATA", "")
    return [Path(p).expanduser() for p in listed.split(os.pathsep) if p]


def tasks_folder() -> Path:
    """The suites and task definitions: those of the wheel, else the checkout's `tasks/`."""
    packed = Path(__file__).parent / "_tasks"
    return packed if packed.is_dir() else Path(__file__).parent.parent / "tasks"


def encode_part(name: str) -> str:
    """A split or subset name as one part of a file name: dots, slashes and the like percent-encoded."""
    return quote(name, safe="").replace(".", "%2E")


def decode_part(part: str) -> str:
    """The inverse of `encode_part`."""
    return unquote(part)


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: temporary file, fsync, rename, fsync of the folder: old or new."""
    if path.is_file() and path.read_bytes() == data:
        return
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make renames and removals inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
