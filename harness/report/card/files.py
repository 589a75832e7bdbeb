"""Files as they are and as they would be: the difference, what it consists of, and writing them."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.paths import write_atomic
from harness.report.card.edits import Change, What
from harness.report.card.front_matter import parse_card
from harness.report.card.groups import Group
from harness.report.card.plan import Rules, plan
from harness.report.card.splice import spliced

WHATS: tuple[What, ...] = ("added", "updated", "unchanged", "conflicting", "kept", "pruned")
SHOWN = 20  # changes that a summary names


@dataclass(frozen=True)
class File:
    """One file before and after.

    Attributes:
        path: relative to where it is read from.
        before: None where there is no such file.
        after: under `on_conflict: fail` with the conflicting values put in, to be shown and not written.
    """

    path: str
    before: bytes | None
    after: bytes
    changes: tuple[Change, ...] = ()

    @property
    def stale(self) -> bool:
        """Whether it would change."""
        return self.before != self.after


def card_file(path: str, raw: bytes | None, groups: Sequence[Group], name: str, rules: Rules) -> File:
    """A card with these groups in its model-index; a `.yaml` file is front matter from end to end.

    Args:
        name: of the model-index entry, should the card have none.

    Raises:
        DataError: as `parse_card`, `plan` and `spliced`.
    """
    card = parse_card(raw or b"", path, whole=path.endswith((".yaml", ".yml")))
    made = plan(card, groups, name, rules)
    return File(path, raw, spliced(card, made, groups, rules), tuple(made.changes))


def unified(files: Sequence[File]) -> str:
    """A unified diff of all files; "" where nothing changes."""
    return "".join(_diff(file) for file in files if file.stale)


def summary(files: Sequence[File]) -> str:
    """How many values are added, updated, unchanged, conflicting; and those that stood there before."""
    counts = Counter(change.what for file in files for change in file.changes)
    always = ("added", "updated", "unchanged", "conflicting")
    parts = [f"{counts[what]} {what}" for what in WHATS if what in always or counts[what]]
    lines = [
        f"{change.what}: {file.path}:{change.line} {change.name} {_moved(change)}".rstrip()
        for file in files
        for change in file.changes
        if change.what not in ("added", "unchanged")
    ]
    if len(lines) > SHOWN:
        lines = [*lines[:SHOWN], f"... and {len(lines) - SHOWN} more"]
    return "\n".join([*lines, ", ".join(parts)])


def as_json(files: Sequence[File]) -> dict[str, Any]:
    """Summary and changes for machines; `unchanged` ones are counted only."""
    counts = Counter(change.what for file in files for change in file.changes)
    return {
        "counts": {what: counts[what] for what in WHATS},
        "stale": [file.path for file in files if file.stale],
        "changes": [
            {
                "file": file.path,
                "what": change.what,
                "name": change.name,
                "line": change.line,
                "old": change.old or None,
                "new": change.new or None,
            }
            for file in files
            for change in file.changes
            if change.what != "unchanged"
        ],
    }


def read_file(path: Path) -> bytes | None:
    """A file's bytes; None where there is none.

    Raises:
        DataError: it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def write_file(path: Path, file: File) -> None:
    """Put a file in its place by temporary file and rename; its mode stays, and a link stays a link.

    Raises:
        DataError: it is read-only or no longer the one that was read, or it cannot be written.
    """
    try:
        target = path.resolve()
        there = target.read_bytes() if target.exists() else None
        if there != file.before:
            raise DataError(f"{path} has changed since it was read; run again")
        mode = target.stat().st_mode & 0o7777 if there is not None else None
        if mode is not None and not (mode & 0o222 and os.access(target, os.W_OK)):
            # a rename asks the folder alone
            raise DataError(f"{path} is read-only, so it stays as it is; chmod u+w it to have it written")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, file.after)
        if mode is not None:
            os.chmod(target, mode)  # noqa: PTH101
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def _diff(file: File) -> str:
    old, new = (
        (raw or b"").decode("utf-8", "backslashreplace").split("\n") for raw in (file.before, file.after)
    )
    path = file.path.lstrip("/")
    source = "/dev/null" if file.before is None else f"a/{path}"
    lines = difflib.unified_diff(_ended(old), _ended(new), source, f"b/{path}")
    return "".join(x if x.endswith("\n") else f"{x}\n\\ No newline at end of file\n" for x in lines)


def _ended(lines: list[str]) -> list[str]:
    """Lines with their line feeds; the last one without, and left out where it is empty."""
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _moved(change: Change) -> str:
    return f"{change.old or 'nothing'} -> {change.new}" if change.new else ""
