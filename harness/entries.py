"""Which splits and subsets of a task are scored: what its definition asks for, and what its data hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.data import files as local_files
from harness.data import layout
from harness.data.mteb_catalog import TaskInfo
from harness.definition import Rng, Splits, TaskDefinition
from harness.errors import ConfigError, DataError, UnknownNameError
from harness.scorers import Scorer

Entry = tuple[str, str]  # split, subset


def entries_of(
    definition: TaskDefinition,
    info: TaskInfo | None,
    folder: layout.Folder | None,
    kind: str,
    train_split: str,
    settings: Mapping[str, Any],
    tested: Sequence[str] | None = None,
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """The (split, subset) pairs to score, and those that mteb has but the folder lacks.

    Args:
        tested: the splits to score where the definition names none; default mteb's, or all of the folder.
    """
    named = named_splits(definition)
    asked = _asked(definition, info, tested)
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
        if not scored_on_train and train_split not in (named or ()):
            there = [e for e in there if e[0] != train_split]
    if tested is not None and named is None:
        there = [e for e in there if e[0] in tested]
    if named or definition.subsets:
        lacking = [e for e in asked if e not in there] if info else []
        for split in named or ():
            lacking += [(split, "*")] if split not in {s for s, _ in there} else []
        for subset in definition.subsets or ():
            lacking += [("*", subset)] if subset not in {s for _, s in there} else []
        if lacking:
            raise DataError(
                f"{folder.path}: lacks split {lacking[0][0]}, subset {lacking[0][1]}, which is required"
            )
        wanted = [
            e for e in there
            if (not named or e[0] in named)
            and (not definition.subsets or e[1] in definition.subsets)
        ]  # fmt: skip
        return _ordered(wanted, asked), ()
    if info is not None:
        outside = [e for e in there if e not in asked]
        there = [e for e in there if e in asked] or outside
    if not there:
        wanted_split = f" {tested[0]!r}" if tested else ""
        raise DataError(f"{folder.path}: holds no split{wanted_split} to score (kind {kind})")
    absent = tuple(e for e in asked if e not in there) if info is not None else ()
    return _ordered(there, asked), absent


def entries_of_files(
    definition: TaskDefinition,
    kind: str,
    train_split: str,
    settings: Mapping[str, Any],
    tested: Sequence[str] | None = None,
) -> tuple[Entry, ...]:
    """The (split, subset) pairs that a source's files hold, in their order, or those of them asked for.

    Args:
        tested: the splits to score where the definition names none; default all of the files.

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
        if not settings.get("cross_validation") and train_split not in (named_splits(definition) or ()):
            there = [entry for entry in there if entry[0] != train_split]
    for what, asked, at in (("split", named_splits(definition), 0), ("subset", definition.subsets, 1)):
        for name in asked or ():
            known = {entry[at] for entry in there}
            if name not in known:
                raise UnknownNameError(
                    f"{what} of {definition.name}", name, known, f"its files: {', '.join(sorted(known))}"
                )
    kept = tuple(
        (split, subset)
        for split, subset in there
        if split in (named_splits(definition) or tested or (split,))
        and subset in (definition.subsets or (subset,))
    )
    if not kept:
        wanted = f" {tested[0]!r}" if tested else ""
        raise ConfigError(f"task {definition.name}: its files hold no split{wanted} to score")
    return kept


def _ordered(there: Sequence[Entry], asked: Sequence[Entry]) -> tuple[Entry, ...]:
    """In mteb's order where mteb knows the pair, then the others by name."""
    place = {entry: i for i, entry in enumerate(asked)}
    return tuple(sorted(there, key=lambda entry: (place.get(entry, len(place)), entry)))


def dev_split(
    definition: TaskDefinition, folder: layout.Folder | None, kind: str, entries: Sequence[Entry]
) -> str:
    """The split on which a protocol chooses: the named one, else validation or dev, else train.

    As upstream: JSTS, whose test split is `validation`, chooses on `train`. Training rows of classifiers
    choose nothing. A split that is not there is found missing when the data are read.
    """
    if isinstance(definition.splits, Splits) and definition.splits.dev:
        return definition.splits.dev
    scored = {split for split, _ in entries}
    usual = ["validation", "dev", *(["train"] if kind != "classification" else [])]
    free = [split for split in usual if split not in scored]
    source = definition.source
    if folder is not None:
        there = {split for split, _ in layout.entries(folder, kind)}
    elif source is not None and source.files is not None:
        there = set(source.files)
    else:
        return "validation" if "validation" in free else free[-1]
    return next((split for split in free if split in there), free[0])


def tested_splits(definition: TaskDefinition, info: TaskInfo | None) -> list[str]:
    """The splits that are scored where one is chosen on: those named, else mteb's test split, else `test`."""
    if definition.splits is not None:
        return named_splits(definition) or []
    return ["test"] if info is None or "test" in info.splits else info.splits[-1:]


def named_splits(definition: TaskDefinition) -> list[str] | None:
    """The splits to score, as far as the definition names them."""
    splits = definition.splits
    return [splits.test] if isinstance(splits, Splits) else splits


def sequence_of(
    definition: TaskDefinition,
    chosen: Scorer,
    entries: Sequence[Entry],
    absent: Sequence[Entry],
    info: TaskInfo | None,
    rng: Rng,
) -> tuple[Entry, ...]:
    """The pairs in the order in which mteb's task object draws for them; empty where each draws alone.

    Splits stand in the order asked for, within each the subsets in mteb's own order: its task objects keep
    that order, whichever subsets are chosen.

    Args:
        rng: what the suite says, where the definition says nothing.

    Raises:
        ConfigError: the definition asks for one random stream, and the scorer has none.
        DataError: the folder lacks an entry, so that nobody knows what the next ones draw.
    """
    if definition.rng == "sequence" and not chosen.stream:
        raise ConfigError(
            f"task {definition.name}: rng: sequence is for scorers with a random stream (bootstrap_kmeans, "
            f"few_shot_knn); {chosen.name} has none"
        )
    if (definition.rng or rng) == "alone" or not chosen.stream:
        return ()
    if absent:
        raise DataError(
            f"task {definition.name}: rng: sequence needs the data of every entry, and "
            f"{absent[0][0]}/{absent[0][1]} is not in the data folder ({len(absent)} are missing);\n"
            "add them (harness prefetch), name fewer subsets, or say rng: alone"
        )
    splits = list(dict.fromkeys((*(named_splits(definition) or ()), *(split for split, _ in entries))))
    named = info.subsets if info else definition.subsets or ()
    subsets = list(dict.fromkeys((*named, *(subset for _, subset in entries))))
    return tuple(sorted(entries, key=lambda entry: (splits.index(entry[0]), subsets.index(entry[1]))))


def _asked(
    definition: TaskDefinition, info: TaskInfo | None, tested: Sequence[str] | None = None
) -> tuple[Entry, ...]:
    splits = named_splits(definition) or tested or (info.splits if info else ["test"])
    subsets = definition.subsets or (list(info.subsets) if info else ["default"])
    if info is not None:
        for subset in definition.subsets or ():
            if subset not in info.subsets:
                raise UnknownNameError(f"subset of {definition.name}", subset, info.subsets)
    return tuple((split, subset) for split in splits for subset in subsets)
