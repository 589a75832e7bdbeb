"""Candidate lists in the cache, `<cache>/candidates/<key>.jsonl`: their format, and looking after them.

A file's first line is a JSON object: what decided the lists (of it only `fingerprint`, the first stage's, is
looked at here), the first stage's name as `model`, and the SHA-256 of the lines below, one a query.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine.upkeep import Health, Pruned
from harness.errors import StoreError
from harness.paths import write_atomic

FOLDER = "candidates"
Lists = Mapping[str, Sequence[str]]
_OWN = re.compile(r"[0-9a-f]{64}\.jsonl")
_LEFT = re.compile(r"\.[0-9a-f]{16}\.tmp|[0-9a-f]{64}\.jsonl\.damaged")
_YOUNG = 3600  # seconds in which a temporary file may still be somebody's


@dataclass(frozen=True)
class KeptLists:
    """The lists of one first stage; without a fingerprint, files that say of none, and leftovers."""

    fingerprint: str
    model: str | None
    used: float | None
    files: tuple[tuple[Path, int], ...]
    leftovers: tuple[tuple[Path, int], ...] = ()


def read_lists(path: Path) -> tuple[dict[str, Any], Lists, str]:
    """What decided the lists of a file (with `model`), query id to document ids, and their SHA-256.

    Raises:
        StoreError: the file cannot be read, or is not what its first line says.
    """
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        facts = dict(json.loads(head))
        rows = [json.loads(line) for line in body.splitlines()]
        lists = {row["query_id"]: row["corpus_ids"] for row in rows}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    digest = hashlib.sha256(body).hexdigest()
    if facts.pop("sha256", None) != digest:
        raise StoreError(f"{path} is damaged: it is not what its first line says")
    return facts, lists, digest


def write_lists(path: Path | None, facts: Mapping[str, Any], lists: Lists) -> str:
    """Keep lists under a path (None: nowhere); their SHA-256.

    Raises:
        StoreError: the folder cannot be written.
    """
    rows = ({"query_id": name, "corpus_ids": list(docs)} for name, docs in lists.items())
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()  # ASCII: any id survives
    digest = hashlib.sha256(body).hexdigest()
    if path is not None:
        head = json.dumps({**facts, "sha256": digest}, sort_keys=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, head.encode() + b"\n" + body)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from error
    return digest


def kept_lists(root: Path) -> list[KeptLists]:
    """The candidate lists of a cache folder by first stage, in order of fingerprint."""
    groups: dict[str, list[tuple[Path, int, float, str | None]]] = {}
    for path, size, changed in _files(root, _OWN):
        fingerprint, model = _said(path)
        groups.setdefault(fingerprint, []).append((path, size, changed, model))
    left = tuple((path, size) for path, size, _ in _files(root, _LEFT))
    if left:
        groups.setdefault("", [])
    return [
        KeptLists(
            fingerprint,
            model=next((model for *_, model in own if model), None),
            used=max((changed for _, _, changed, _ in own), default=None),
            files=tuple((path, size) for path, size, _, _ in own),
            leftovers=() if fingerprint else left,
        )
        for fingerprint, own in sorted(groups.items())
    ]


def inventory(root: Path) -> list[dict[str, Any]]:
    """Rows as those of `harness.engine.upkeep.inventory`, a file counted as a shard."""
    return [
        {
            "kind": FOLDER,
            "fingerprint": kept.fingerprint,
            "model": kept.model,
            "shards": len(kept.files),
            "bytes": sum(size for _, size in kept.files),
            "leftover_bytes": sum(size for _, size in kept.leftovers),
            "used": kept.used,
        }
        for kept in kept_lists(root)
    ]


def verify(root: Path, health: Health, *, repair: bool = False) -> None:
    """Check every file against its SHA-256 and add what is found to `health`.

    Args:
        repair: set bad files aside, so that the first stage searches again.
    """
    for path, size, _ in _files(root, _OWN):
        health.shards += 1
        health.bytes += size
        try:
            read_lists(path)
        except StoreError as error:
            aside = path.with_name(f"{path.name}.damaged") if repair else None
            if aside is not None:
                path.replace(aside)
            reason = str(error).replace(str(path), path.name)
            health.damaged.append((path, reason, aside.name if aside else None))
    home = root / FOLDER
    if home.is_symlink():
        health.foreign.append(home)
    elif home.is_dir():
        own = {path for pattern in (_OWN, _LEFT) for path, *_ in _files(root, pattern)}
        health.foreign.extend(sorted(path for path in home.iterdir() if path not in own))


def prune(chosen: Sequence[KeptLists] | None, root: Path, pruned: Pruned, *, dry_run: bool = False) -> None:
    """Remove the lists of the first stages chosen, None: leftovers alone, and add that to `pruned`."""
    found = kept_lists(root) if chosen is None else chosen
    young = time.time() - _YOUNG
    for kept in found:
        left = [item for item in kept.leftovers if not _tmp_since(item[0], young)]
        files = left if chosen is None else [*kept.files, *left]
        for path, size in files:
            if not dry_run:
                path.unlink(missing_ok=True)
            pruned.files += 1
            pruned.bytes += size
        if chosen is not None:
            pruned.removed.extend(path for path, _ in kept.files)


def _files(root: Path, wanted: re.Pattern[str]) -> Iterator[tuple[Path, int, float]]:
    """Regular files of these names in the folder of lists, their sizes and times of change; no links."""
    home = root / FOLDER
    if home.is_symlink() or not home.is_dir():
        return
    with os.scandir(home) as entries:
        found = sorted((e.path, e) for e in entries if wanted.fullmatch(e.name))
    for path, entry in found:
        with contextlib.suppress(FileNotFoundError):
            if entry.is_file(follow_symlinks=False):
                stat = entry.stat(follow_symlinks=False)
                yield Path(path), stat.st_size, stat.st_mtime


def _said(path: Path) -> tuple[str, str | None]:
    """The first stage's fingerprint and name by a file's first line; "" and None where it says none."""
    try:
        with path.open("rb") as file:
            facts = json.loads(file.readline())
        return str(facts["fingerprint"]), facts.get("model")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return "", None


def _tmp_since(path: Path, moment: float) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.suffix == ".tmp" and path.stat().st_mtime > moment
    return False
