"""How large a task's data are, as far as mteb's descriptive statistics say; mteb is not imported for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.task import Task


def known_size(task: Task) -> tuple[int, int] | None:
    """Rows (documents and queries, for ranking kinds) and characters of a task's entries; None if unknown.

    Training rows are not in mteb's statistics.
    """
    name = task.source.mteb if task.source is not None else None
    spec = find_spec("mteb")
    if name is None or spec is None:
        return None
    home = Path((spec.submodule_search_locations or [""])[0])
    path = home / "descriptive_stats" / task.type / f"{name}.json"
    if not path.is_file():
        return None
    splits = json.loads(path.read_text(encoding="utf-8"))
    found = [_of(splits.get(split), subset) for split, subset in task.entries]
    whole = [numbers for numbers in found if numbers is not None]
    if len(whole) < len(found):
        return None
    return sum(rows for rows, _ in whole), sum(characters for _, characters in whole)


def _of(split: Mapping[str, Any] | None, subset: str) -> tuple[int, int] | None:
    """Of a split's statistics those of a subset; a split of one subset keeps them at the top."""
    if split is None:
        return None
    own = split.get("hf_subset_descriptive_stats", {}).get(subset) or (split if subset == "default" else None)
    if own is None or "num_samples" not in own:
        return None
    characters = own.get("number_of_characters") or _characters(own)
    return int(own["num_samples"]), int(characters)


def _characters(own: Mapping[str, Any]) -> int:
    texts = [value for name, value in own.items() if name.endswith("text_statistics") and value]
    return sum(int(value.get("total_text_length") or 0) for value in texts)
