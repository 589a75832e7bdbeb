"""One task: what its definition says, resolved against data folders and what mteb knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.data import files, layout
from harness.data.build import RANKING
from harness.data.mteb_catalog import TaskInfo
from harness.data.naming import check_keys
from harness.definition import Rng, Source, Splits, TaskDefinition
from harness.entries import (
    Entry,
    dev_split,
    entries_of,
    entries_of_files,
    named_splits,
    sequence_of,
    tested_splits,
)
from harness.errors import ConfigError, DataError, UnknownNameError
from harness.method import protocol_of_rows, rows_of, scorer_of, settings_of
from harness.metrics import canonical, family
from harness.paths import tasks_folder
from harness.scorers import KINDS, OF_ROWS, REFUSED, Scorer, scorer

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
        also: metrics shown beside it.
        column: of the suite's table that the task counts in.
        entries: the (split, subset) pairs to score, in order.
        sequence: the pairs that share one random stream, in its order, whichever of them are scored
            (`rng: sequence`); empty where every pair has its own.
        absent: pairs that mteb has and the data folder has not (coverage).
        languages: subset to languages ("eng-Latn").
        folder: the task folder the data come from, or None (mteb or the hub).
        revision: of the data: a hub commit, or `local:` and 12 hex digits.
        settings: of the scorer, complete.
        dev_split: where a scorer that chooses on a dev split does so; else empty.
        rows: format of the data's rows where it is the scorer's own, else empty.
        members: the tasks whose mean an aggregate is.
        own_loading: mteb loads it by code of its own, so that nothing tells where its data would be cached.
        expect: model to its published score; `tolerance` is what they may differ by, in points.
        notes: what a user should know of the task before believing its scores.
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
    dev_split: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    document: str | None = None
    absent: tuple[Entry, ...] = ()
    rows: str = ""
    sequence: tuple[Entry, ...] = ()
    members: tuple[Task, ...] = ()
    dataset: str = ""
    own_loading: bool = False
    expect: Mapping[str, float] = field(default_factory=dict)
    tolerance: float | None = None
    also: tuple[str, ...] = ()
    column: str = ""
    notes: tuple[str, ...] = ()

    @property
    def listed(self) -> bool:
        """Whether its data come with candidate lists, as far as that is known before they are read."""
        if self.kind != "retrieval":
            return self.kind in ("reranking", "instruction_reranking")
        if self.folder is not None:
            return any(".candidates." in name for name in self.folder.names)
        if self.source is not None and self.source.files is not None:
            own = files.files_of(self.name, self.kind, self.source.files)
            return any("candidates" in parts for parts in own.values())
        return self.source is not None and "candidates" in (self.source.configs or {})

    @property
    def searched(self) -> bool:
        """Whether documents are found in a whole corpus, so that a cross-encoder needs a first stage."""
        if self.kind == "aggregate":
            return any(member.searched for member in self.members)
        return self.kind == "retrieval" and not self.listed


def resolve(
    definition: TaskDefinition,
    protocol: str,
    roots: Sequence[Path],
    known: Mapping[str, TaskInfo],
    rng: Rng = "alone",
) -> Task:
    """Find a task's data and say how it is scored.

    Kind and main metric come from the definition, then the folder's manifest, then mteb.

    Args:
        rng: what the suite says, for a task whose scorer has a random stream and that says nothing itself.

    Raises:
        ConfigError: the task asks for one random stream, and its scorer has none.
        UnknownNameError: no data folder, suite or mteb knows the task, or a name in it is unknown.
        DataError: the task cannot be scored, or its folder lacks what is required.
    """
    name = definition.name
    source_name = definition.source.mteb if definition.source and definition.source.mteb else name
    info = known.get(source_name)
    own_files = definition.source is not None and definition.source.files is not None
    local_files = own_files and definition.source is not None and definition.source.hub is None
    notes: tuple[str, ...] = ()
    if info is not None and own_files and protocol == "custom":
        info = None  # a task of the user's own, whatever it is called
    elif info is not None and local_files and protocol == "mteb":
        same = f"{name} is a task of mteb's too: scores on files of your own stand under its name"
        notes = (f"{same}; rename it, or write protocol: custom",)
    if info is not None and info.refused:
        raise DataError(f"task {name} cannot be scored: {info.refused}")
    folder = None if local_files else layout.find_folder(name, roots)
    own_files = own_files and folder is None
    shipped = definition.source.folder if definition.source else None
    if folder is None and shipped is not None and not definition.members:
        folder = layout.open_folder(tasks_folder() / shipped / name)
    local = definition.members or own_files or (definition.source and definition.source.hub)
    if folder is None and info is None and not local:
        raise UnknownNameError(
            "task", name, task_names(known, roots), f"searched mteb and {_searched(roots)}"
        )
    manifest = folder.manifest if folder else {}
    kind = definition.kind or manifest.get("kind") or (info.kind if info else None)
    if kind is None and folder is None:
        raise DataError(f"task {name}: kind is missing; write one of {', '.join(KINDS)}")
    if kind is None:
        raise DataError(
            f"task {name}: nothing says its kind; write it into {folder and folder.path}/manifest.json"
        )
    from_mteb = folder is None and not (
        own_files or (definition.source and definition.source.hub) or definition.members
    )
    if from_mteb and definition.source and definition.source.subset:
        definition = definition.model_copy(update={"subsets": [definition.source.subset]})
    chooses = kind in KINDS and scorer(kind, definition.scorer, protocol).dev
    if from_mteb and info is not None and chooses and kind in RANKING:
        # mteb's own loading knows evaluation splits alone; its copies on the hub have the others too
        hub = Source(hub=info.path, revision=info.revision)
        definition, from_mteb = definition.model_copy(update={"source": hub}), False
    if from_mteb and (definition.document or definition.columns):
        raise DataError(
            f"task {name}: document and columns are for folders and hub data sets, not for mteb's own"
        )
    if definition.source and definition.source.configs and len(definition.subsets or ()) > 1:
        raise DataError(
            f"task {name}: one set of configs is one subset; leave configs out, or name one subset"
        )
    rows = rows_of(definition, str(kind), protocol, folder, info)
    if rows:
        kind = OF_ROWS[rows].kind
        definition = definition.model_copy(update={"scorer": definition.scorer or OF_ROWS[rows].name})
    refused = next((word for word in REFUSED if str(kind).startswith(word)), None)
    if refused:
        raise DataError(f"task {name}: kind {kind} is not scored here ({REFUSED[refused]})")
    if kind not in KINDS:
        raise UnknownNameError(f"kind (of task {name})", str(kind), KINDS)
    check_keys(name, rows or str(kind), definition.columns, definition.document)
    if definition.document is not None and kind not in RANKING:
        raise ConfigError(f"task {name}: document is for retrieval and reranking kinds, not for {kind}")
    same_kind = info is not None and info.kind == kind
    names = definition.members or (info.members if info is not None else [])
    if (kind == "aggregate") != bool(names):
        raise DataError(f"task {name}: kind aggregate and members go together, and only together")
    wanted = named_splits(definition) or (info.splits if info is not None else None)
    members = tuple(
        _on_splits(resolve(TaskDefinition(name=m, source=definition.source), protocol, roots, known), wanted)
        for m in names
    )
    chosen = scorer_of(definition, kind, protocol, info if same_kind else None, folder, own_files)
    if rows:
        protocol = protocol_of_rows(name, rows, chosen, protocol)
    as_mteb = info is not None and same_kind and info.scorer == chosen.name
    settings = settings_of(chosen, info if same_kind else None, definition, protocol)
    train_split = info.train_split if info and same_kind else "train"
    if isinstance(definition.splits, Splits) and definition.splits.train:
        train_split = definition.splits.train
    tested = tested_splits(definition, info if same_kind else None) if chosen.dev else None
    absent: tuple[Entry, ...] = ()
    if own_files:
        entries = entries_of_files(definition, rows or kind, train_split, settings, tested)
    else:
        entries, absent = entries_of(
            definition, info if same_kind else None, folder, rows or kind, train_split, settings, tested
        )
    sequence = sequence_of(definition, chosen, entries, absent, info if same_kind else None, rng)
    told = None if chosen.protocols and not rows else manifest.get("main")  # a protocol has its own main
    main = canonical(str(told or (info.main if info and as_mteb else chosen.main.format(**settings))))
    main = canonical(definition.main) if kind == "aggregate" and definition.main else main
    for metric in (main, definition.main or main, *definition.also):
        family(metric, f"metric of task {name}")  # one that nobody computes is found before anything is
    languages = dict(info.subsets) if info else {}
    spoken = tuple(definition.languages) or tuple(manifest.get("languages", ()))
    type_ = info.type if info and same_kind else TYPES[kind]
    return Task(
        name=name,
        kind=kind,
        scorer=chosen,
        type=type_,
        main=main,
        shown=canonical(definition.main or main),
        protocol=protocol,
        entries=sequence or entries,
        absent=absent,
        sequence=sequence,
        languages={subset: tuple(languages.get(subset, spoken)) for _, subset in entries},
        revision=folder.revision if folder else _revision(definition, rows or str(kind), info, members),
        settings=settings,
        folder=folder,
        source=definition.source or Source(mteb=source_name) if folder is None else None,
        train_split=train_split,
        dev_split=dev_split(definition, folder, kind, entries) if chosen.dev else "",
        roles=info.roles if info and same_kind else {},
        columns=definition.columns,
        document=definition.document,
        rows=rows,
        members=members,
        dataset=info.path
        if info and same_kind
        else (definition.source.hub or "" if definition.source else ""),
        own_loading=from_mteb and info is not None and info.own_loading,
        expect=definition.expect,
        tolerance=definition.tolerance,
        also=tuple(map(canonical, definition.also)),
        column=definition.column or type_,
        notes=notes,
    )


def _on_splits(member: Task, splits: Sequence[str] | None) -> Task:
    """A member of an aggregate, on the aggregate's splits alone."""
    if splits is None:
        return member
    return replace(member, entries=tuple(entry for entry in member.entries if entry[0] in splits))


def _revision(definition: TaskDefinition, kind: str, info: TaskInfo | None, members: Sequence[Task]) -> str:
    if definition.source and definition.source.revision:
        return definition.source.revision
    if definition.source and definition.source.files is not None:
        return files.revision(files.files_of(definition.name, kind, definition.source.files))
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
