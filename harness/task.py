"""One task: what its definition says, resolved against data folders and what mteb knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.data import layout
from harness.data.mteb_catalog import TaskInfo
from harness.definition import Source, TaskDefinition
from harness.errors import DataError, UnknownNameError
from harness.metrics import canonical, family
from harness.paths import tasks_folder
from harness.scorers import KINDS, REFUSED, Scorer, scorer

Entry = tuple[str, str]

TYPES: dict[str, str] = {
    "sts": "STS",
    "pair_classification": "PairClassification",
    "classification": "Classification",
    "multilabel": "MultilabelClassification",
    "clustering": "Clustering",
    "retrieval": "Retrieval",
    "reranking": "Reranking",
    "instruction_reranking": "InstructionReranking",
    "summarization": "Summarization",
    "bitext": "BitextMining",
    "triplet": "Triplet",
    "aggregate": "Retrieval",
}


@dataclass(frozen=True)
class Task:
    """A task, resolved: what is scored, on what, and how.

    Attributes:
        type: mteb's word for the kind ("STS", "PairClassification" ...), for tables and cards.
        main: the protocol's main metric, which is stored.
        shown: the metric that the suite selects when reporting; the main one, where it names none.
        entries: the (split, subset) pairs to score, in order.
        absent: pairs that mteb has and the data folder has not (coverage).
        languages: subset to languages ("eng-Latn").
        folder: the task folder the data come from, or None (mteb or the hub).
        revision: of the data: a hub commit, or `local:` and 12 hex digits.
        settings: of the scorer, complete.
        members: the tasks whose mean an aggregate is.
        own_loading: mteb loads it by code of its own, so that nothing tells where its data would be cached.
    """

    name: str
    kind: str
    scorer: Scorer
    type: str
    main: str
    shown: str
    protocol: str
    entries: tuple[Entry, ...]
    languages: Mapping[str, tuple[str, ...]]
    revision: str
    settings: Mapping[str, Any]
    folder: layout.Folder | None = None
    source: Source | None = None
    train_split: str = "train"
    roles: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    document: str | None = None
    absent: tuple[Entry, ...] = ()
    members: tuple[Task, ...] = ()
    dataset: str = ""
    own_loading: bool = False
    expect: Mapping[str, float] = field(default_factory=dict)

    @property
    def listed(self) -> bool:
        """Whether its data come with candidate lists, as far as that is known before they are read."""
        if self.kind != "retrieval":
            return self.kind in ("reranking", "instruction_reranking")
        if self.folder is not None:
            return any(".candidates." in name for name in self.folder.names)
        return self.source is not None and "candidates" in (self.source.configs or {})

    @property
    def searched(self) -> bool:
        """Whether documents are found in a whole corpus, so that a cross-encoder needs a first stage."""
        if self.kind == "aggregate":
            return any(member.searched for member in self.members)
        return self.kind == "retrieval" and not self.listed


def resolve(
    definition: TaskDefinition, protocol: str, roots: Sequence[Path], known: Mapping[str, TaskInfo]
) -> Task:
    """Find a task's data and say how it is scored.

    Kind and main metric come from the definition, then the folder's manifest, then mteb.

    Raises:
        UnknownNameError: no data folder, suite or mteb knows the task, or a name in it is unknown.
        DataError: the task cannot be scored, or its folder lacks what is required.
    """
    name = definition.name
    source_name = definition.source.mteb if definition.source and definition.source.mteb else name
    info = known.get(source_name)
    if info is not None and info.refused:
        raise DataError(f"task {name} cannot be scored: {info.refused}")
    folder = layout.find_folder(name, roots)
    shipped = definition.source.folder if definition.source else None
    if folder is None and shipped is not None and not definition.members:
        folder = layout.open_folder(tasks_folder() / shipped / name)
    local = definition.members or (definition.source and definition.source.hub)
    if folder is None and info is None and not local:
        raise UnknownNameError(
            "task", name, task_names(known, roots), f"searched mteb and {_searched(roots)}"
        )
    manifest = folder.manifest if folder else {}
    kind = definition.kind or manifest.get("kind") or (info.kind if info else None)
    if kind is None:
        raise DataError(
            f"task {name}: nothing says its kind; write it into {folder and folder.path}/manifest.json"
        )
    from_mteb = (
        folder is None and not (definition.source and definition.source.hub) and not definition.members
    )
    if from_mteb and (definition.document or definition.columns):
        raise DataError(
            f"task {name}: document and columns are for folders and hub data sets, not for mteb's own"
        )
    if definition.source and definition.source.configs and len(definition.subsets or ()) > 1:
        raise DataError(
            f"task {name}: one set of configs is one subset; leave configs out, or name one subset"
        )
    refused = next((word for word in REFUSED if str(kind).startswith(word)), None)
    if refused:
        raise DataError(f"task {name}: kind {kind} is not scored here ({REFUSED[refused]})")
    if kind not in KINDS:
        raise UnknownNameError(f"kind (of task {name})", str(kind), KINDS)
    same_kind = info is not None and info.kind == kind
    names = definition.members or (info.members if info is not None else [])
    if (kind == "aggregate") != bool(names):
        raise DataError(f"task {name}: kind aggregate and members go together, and only together")
    wanted = definition.splits or (info.splits if info is not None else None)
    members = tuple(
        _on_splits(resolve(TaskDefinition(name=m, source=definition.source), protocol, roots, known), wanted)
        for m in names
    )
    chosen = scorer(kind, definition.scorer or _scorer_name(kind, info if same_kind else None, folder))
    settings = _settings(chosen, info if same_kind else None, definition)
    train_split = info.train_split if info and same_kind else "train"
    entries, absent = _entries(definition, info if same_kind else None, folder, kind, train_split, settings)
    main = canonical(str(manifest.get("main") or (info.main if info and same_kind else chosen.main)))
    main = canonical(definition.main) if kind == "aggregate" and definition.main else main
    for metric in (main, definition.main or main):
        family(metric)  # a metric that nobody computes is found before anything is
    languages = dict(info.subsets) if info else {}
    spoken = tuple(definition.languages) or tuple(manifest.get("languages", ()))
    return Task(
        name=name,
        kind=kind,
        scorer=chosen,
        type=info.type if info and same_kind else TYPES[kind],
        main=main,
        shown=canonical(definition.main or main),
        protocol=protocol,
        entries=entries,
        absent=absent,
        languages={subset: tuple(languages.get(subset, spoken)) for _, subset in entries},
        revision=folder.revision if folder else _revision(definition, info, members),
        settings=settings,
        folder=folder,
        source=definition.source or Source(mteb=source_name) if folder is None else None,
        train_split=train_split,
        roles=info.roles if info and same_kind else {},
        columns=definition.columns,
        document=definition.document,
        members=members,
        dataset=info.path
        if info and same_kind
        else (definition.source.hub or "" if definition.source else ""),
        own_loading=info is not None and info.own_loading,
        expect=definition.expect,
    )


def _on_splits(member: Task, splits: Sequence[str] | None) -> Task:
    """A member of an aggregate, on the aggregate's splits alone."""
    if splits is None:
        return member
    return replace(member, entries=tuple(entry for entry in member.entries if entry[0] in splits))


def _scorer_name(kind: str, info: TaskInfo | None, folder: layout.Folder | None) -> str | None:
    """mteb's scorer; for a folder that mteb does not know, clustering by sets where its rows hold lists."""
    if info is not None:
        return info.scorer
    if kind == "clustering" and folder is not None and layout.holds_sets(folder):
        return "minibatch_kmeans"
    return None


def _settings(chosen: Scorer, info: TaskInfo | None, definition: TaskDefinition) -> dict[str, Any]:
    unknown = set(definition.settings) - set(chosen.defaults)
    if unknown:
        raise UnknownNameError(f"setting of {chosen.kind} ({definition.name})", min(unknown), chosen.defaults)
    settings = dict(chosen.defaults)
    if info is not None and info.scorer == chosen.name:
        settings |= info.settings
    elif chosen.name == "bootstrap_kmeans":
        # Data that mteb does not know are small as a rule; 4 % of them would be nothing to cluster.
        settings |= {"max_fraction_of_documents_to_embed": None}
    return settings | definition.settings


def _entries(
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


def _revision(definition: TaskDefinition, info: TaskInfo | None, members: Sequence[Task]) -> str:
    if definition.source and definition.source.revision:
        return definition.source.revision
    if info is not None:
        return info.revision
    return "local:" + hashlib.sha256("".join(m.revision for m in members).encode()).hexdigest()[:12]


def task_names(known: Mapping[str, TaskInfo], roots: Sequence[Path]) -> set[str]:
    """Every task that can be scored: those of the data folders and those of mteb."""
    folders = (p for root in roots if root.is_dir() for p in root.iterdir() if p.is_dir())
    local = {p.name for p in folders if not p.name.startswith(".")}
    return {name for name, info in known.items() if not info.refused} | local


def _searched(roots: Sequence[Path]) -> str:
    return ", ".join(str(root) for root in roots) or "no data folder (--data DIR names one)"
