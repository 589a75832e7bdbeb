"""A task folder in the making: what it holds that can be trusted, and how it takes its place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data import layout
from harness.errors import DataError
from harness.paths import fsync_folder, write_atomic

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Held:
    """Files of a folder: name to SHA-256 of those that are as the manifest says, names of the others."""

    files: Mapping[str, str]
    damaged: tuple[str, ...]


def held(folder: Path) -> Held:
    """What a folder holds, every file read. Raises DataError for a manifest that is no JSON."""
    listed = layout.read_manifest(folder).get("files", {}) if folder.is_dir() else {}
    good = {
        name: digest
        for name, digest in sorted(listed.items())
        if (folder / name).is_file() and layout.sha256(folder / name) == digest
    }
    return Held(good, tuple(name for name in sorted(listed) if name not in good))


def stage(work: Path, head: Mapping[str, Any]) -> None:
    """Make the folder of unfinished work, or keep what is good in it if it was begun for the same data."""
    if work.is_dir():
        try:
            manifest = layout.read_manifest(work)
        except DataError:
            manifest = {}
        if {name: manifest.get(name) for name in head} != dict(head):
            shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    good = held(work).files
    for path in work.iterdir():
        if path.name not in good and path.name != MANIFEST:
            path.unlink()
    write_manifest(work, head, good)


def staged(work: Path) -> dict[str, str]:
    """File to SHA-256, as the folder's manifest says."""
    files: dict[str, str] = layout.read_manifest(work).get("files", {})
    return files


def write_manifest(folder: Path, head: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Write a folder's manifest, sorted."""
    text = json.dumps({**head, "files": dict(files)}, indent=1, sort_keys=True, ensure_ascii=False)
    write_atomic(folder / MANIFEST, text.encode() + b"\n")


def publish(work: Path, final: Path, head: Mapping[str, Any], *, keep: bool) -> list[str]:
    """Give finished work its place; the names of its files.

    Args:
        keep: what the folder holds already stays beside it; otherwise the folder is replaced.
    """
    files = staged(work)
    if final.is_dir() and keep:
        there = held(final)
        for name in files:
            (work / name).replace(final / name)
        write_manifest(final, head, {**there.files, **files})
        for name in there.damaged:
            if name not in files:
                (final / name).unlink(missing_ok=True)
        shutil.rmtree(work)
    else:
        old = work.parent.with_name("old") / work.name
        shutil.rmtree(old, ignore_errors=True)
        old.parent.mkdir(exist_ok=True)
        if final.is_dir():
            final.replace(old)
        work.replace(final)
        shutil.rmtree(old, ignore_errors=True)
    fsync_folder(final)
    fsync_folder(final.parent)
    return sorted(files)
