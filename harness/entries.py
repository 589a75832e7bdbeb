"""Which splits and subsets of a task are scored: what its definition asks for, and what its data hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.data import files as local_files
from harness.data import layout
from harness.data.mteb_catalog import TaskInfo
from harness.definition import TaskDefinition
from harness.errors import ConfigError, DataError, UnknownNameError

Entry = tuple[str, str]  # split, subset


def entries_of(
    definition: TaskDefinition,
    info: TaskInfo | None,
    folder: layout.Folder | None,
    kind: str,
    train_split: str,
    settings: Mapping[str, Any],
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """The (split, subset) pairs to score, and those that mteb has but the folder lacks."""
    asked = _asked(definition, info)
    if folder is None:
        return asked, ()
    there = layout.entries(folder, kind)
    if kind in ("classification", "multilabel"):
        trains = {subset for split, subset in there if split == train_split}
        lacking = [e for e in there if e[1] not in trains]
        if lacking:
            raise DataError(f"{folder.path}: no {train_split} split for subset {lacking[0][1]!r}")
        scored_on_train = (info is not None and train_split in info.splits) or settings.get(
            "cross_validation"
        )
        if not scored_on_train and train_split not in (definition.splits or ()):
            there = [e for e in there if e[0] != train_split]
    if definition.splits or definition.subsets:
        lacking = [e for e in asked if e not in there] if info else []
        for split in definition.splits or ():
            lacking += [(split, "*")] if split not in {s for s, _ in there} else []
        for subset in definition.subsets or ():
            lacking += [("*", subset)] if subset not in {s for _, s in there} else []
        if lacking:
            raise DataError(
                f"{folder.path}: lacks split {lacking[0][0]}, subset {lacking[0][1]}, which is required"
            )
        wanted = [
            e for e in there
            if (not definition.splits or e[0] in definition.splits)
            and (not definition.subsets or e[1] in definition.subsets)
        ]  # fmt: skip
        return _ordered(wanted, asked), ()
    if info is not None:
        outside = [e for e in there if e not in asked]
        there = [e for e in there if e in asked] or outside
    if not there:
        raise DataError(f"{folder.path}: holds no split to score (kind {kind})")
    absent = tuple(e for e in asked if e not in there) if info is not None else ()
    return _ordered(there, asked), absent


def entries_of_files(
    definition: TaskDefinition, kind: str, train_split: str, settings: Mapping[str, Any]
) -> tuple[Entry, ...]:
    """The (split, subset) pairs that a source's files hold, in their order, or those of them asked for.

    Raises:
        ConfigError: the files make no such kind, training rows are missing, or nothing is left to score.
        UnknownNameError: a split or subset that the files do not name.
    """
    assert definition.source is not None
    there = list(local_files.files_of(definition.name, kind, definition.source.files or {}))
    if kind in ("classification", "multilabel"):
        trains = {subset for split, subset in there if split == train_split}
        for _, subset in there:
            if subset not in trains:
                own = "" if subset == "default" else f" for subset {subset!r}"
                raise ConfigError(
                    f"task {definition.name}: files name no {train_split} split{own}, "
                    f"whose rows {kind} learns from"
                )
        if not settings.get("cross_validation") and train_split not in (definition.splits or ()):
            there = [entry for entry in there if entry[0] != train_split]
    for what, asked, at in (("split", definition.splits, 0), ("subset", definition.subsets, 1)):
        for name in asked or ():
            known = {entry[at] for entry in there}
            if name not in known:
                raise UnknownNameError(
                    f"{what} of {definition.name}", name, known, f"its files: {', '.join(sorted(known))}"
                )
    kept = tuple(
        (split, subset)
        for split, subset in there
        if split in (definition.splits or (split,)) and subset in (definition.subsets or (subset,))
    )
    if not kept:
        raise ConfigError(f"task {definition.name}: its files hold no split to score")
    return kept


def _ordered(there: Sequence[Entry], asked: Sequence[Entry]) -> tuple[Entry, ...]:
    """In mteb's order where mteb knows the pair, then the others by name."""
    place = {entry: i for i, entry in enumerate(asked)}
    return tuple(sorted(there, key=lambda entry: (place.get(entry, len(place)), entry)))


def _asked(definition: TaskDefinition, info: TaskInfo | None) -> tuple[Entry, ...]:
    splits = definition.splits or (info.splits if info else ["test"])
    subsets = definition.subsets or (list(info.subsets) if info else ["default"])
    if info is not None:
        for subset in definition.subsets or ():
            if subset not in info.subsets:
                raise UnknownNameError(f"subset of {definition.name}", subset, info.subsets)
    return tuple((split, subset) for split in splits for subset in subsets)
