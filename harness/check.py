"""A file of tasks, checked before anything is scored: its YAML, its data, and what a model would see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.data import files
from harness.data.examples import (
    BitextExamples,
    CandidateExamples,
    ClusterExamples,
    DevTest,
    Examples,
    LabelledExamples,
    PairExamples,
    RankingExamples,
    SummaryExamples,
    TripletExamples,
)
from harness.data.findings import SHOWN, Findings, inspect
from harness.data.load import file_paths
from harness.definition import TaskDefinition
from harness.errors import DataError, HarnessError, UnknownNameError
from harness.jobs import Job, applicable, prepare, remarks
from harness.models.base import ModelCard
from harness.suite import load_definition
from harness.suite_file import SuiteFile, definitions, read_suite
from harness.task import Task

_BESIDE = 2  # documents shown of each sort beside a query


@dataclass(frozen=True)
class Entry:
    """One split and subset of a checked task: what it holds, and its first rows as a model would see them."""

    split: str
    subset: str
    findings: Findings
    rows: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Checked:
    """One checked task; `task` is None where its definition could not be resolved."""

    name: str
    task: Task | None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a check found; `problems` are those of the YAML itself."""

    problems: tuple[str, ...] = ()
    tasks: tuple[Checked, ...] = field(default_factory=tuple)

    @property
    def all_problems(self) -> list[str]:
        """Every problem, each once."""
        inner = (line for task in self.tasks for line in _problems_of(task))
        return list(dict.fromkeys([*self.problems, *inner]))


def _problems_of(task: Checked) -> Iterator[str]:
    yield from task.problems
    for entry in task.entries:
        yield from entry.findings.problems


def check_file(
    path: str,
    *,
    names: Sequence[str] = (),
    card: ModelCard | None = None,
    rows: int = 3,
    data: Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
    offline: bool = False,
) -> Report:
    """Check every task of a YAML file (or those named), all problems at once.

    Args:
        card: of the model whose prompts are put in front of the rows; None shows them bare.
        rows: how many rows to show of each split and subset.

    Raises:
        UnknownNameError: a name that the file does not define.
    """
    try:
        suite = read_suite(path, cache)
        chosen, _ = definitions(suite, cache)
    except HarnessError as error:
        return Report(problems=tuple(str(error).splitlines()))
    defined = {task.name: task for task in chosen}
    for name in names:
        if name not in defined:
            raise UnknownNameError(f"task of {path}", name, defined, f"it defines: {', '.join(defined)}")
    checked = tuple(
        _check(suite, definition, card, rows, data, cache, offline)
        for name, definition in defined.items()
        if not names or name in names
    )
    return Report(tasks=checked)


def _check(
    suite: SuiteFile,
    definition: TaskDefinition,
    card: ModelCard | None,
    rows: int,
    data: Sequence[str | Path] | None,
    cache: str | Path | None,
    offline: bool,
) -> Checked:
    name = definition.name
    try:
        task = load_definition(definition, suite.protocol, rng=suite.rng, data=data, cache=cache)
    except HarnessError as error:
        return Checked(name, None, (str(error),))
    warnings = list(task.notes)
    if suite.protocol == "mteb" and definition.source and definition.source.files and not task.notes:
        warnings.append(
            f"{name} is none of mteb's tasks, but its results will stand among them; write protocol: custom"
        )
    for text in (applicable(task, card),) if card else ():
        warnings += [text] if text else []
    entries = tuple(_entry(task, entry, card, rows, offline) for entry in task.entries if not task.members)
    return Checked(name, task, (), tuple(warnings), entries)


def _entry(task: Task, entry: tuple[str, str], card: ModelCard | None, rows: int, offline: bool) -> Entry:
    findings = Findings()
    if task.source is not None and task.source.files is not None:
        findings = _inspected(task, entry, offline)
        if task.scorer.dev:
            _add_dev(findings, task, entry[1], offline)
    if findings.problems:
        return Entry(*entry, findings)
    shown = card if card is not None and not applicable(task, card) else _bare(task)
    try:
        (job,) = prepare(replace(task, entries=(entry,)), shown, {}, offline=offline)
    except HarnessError as error:
        findings.problems.append(str(error))
        return Entry(*entry, findings)
    findings.warnings += remarks(job)
    if not findings.counts:
        findings.counts |= {name: len(part) for name, part in job.texts.items()}
    return Entry(*entry, findings, tuple(_first_rows(job, rows)))


def _bare(task: Task) -> ModelCard:
    """A model without prompts, of the first kind that the task takes."""
    return ModelCard(name="harness/nobody", kind=task.scorer.models[0])


def _add_dev(findings: Findings, task: Task, subset: str, offline: bool) -> None:
    """What is wrong with the dev rows too; that there are none is said when the task is prepared."""
    assert task.source is not None
    own = files.files_of(task.name, task.rows or task.kind, task.source.files or {})
    if (task.dev_split, subset) not in own:
        return
    dev = _inspected(task, (task.dev_split, subset), offline)
    findings.problems += [line for line in dev.problems if line not in findings.problems]
    findings.warnings += [line for line in dev.warnings if line not in findings.warnings]
    findings.counts |= {
        f"{task.dev_split} {name}": value for name, value in dev.counts.items() if name != "train"
    }


def _inspected(task: Task, entry: tuple[str, str], offline: bool) -> Findings:
    """All that is wrong with the files of one split and subset."""
    assert task.source is not None
    said: dict[str, list[str]] = {}

    def complain(error: DataError) -> None:
        said.setdefault(str(error).split(", ")[0], []).append(str(error))

    try:
        paths = file_paths(task, entry, offline=offline)
    except DataError as error:
        return Findings(problems=[str(error)])
    source = {"form": task.source.format, "columns": task.columns, "document": task.document}
    kind = task.rows or task.kind
    parts = files.read_parts(kind, paths, **source, complain=complain)  # type: ignore[arg-type]
    findings = inspect(kind, {n: part for n, part in parts.items() if part.places}, task.settings)
    for where, lines in said.items():
        more = len(lines) - SHOWN
        findings.problems += lines[:SHOWN]
        findings.problems += [f"{where}: and {more} more rows like the last"] if more > 0 else []
    return findings


def _first_rows(job: Job, count: int) -> Iterator[dict[str, Any]]:
    examples = job.examples.test if isinstance(job.examples, DevTest) else job.examples
    if isinstance(examples, RankingExamples):
        yield from _queries(job, examples, count)
        return
    prompt = next((part.prompt for part in job.texts.values()), "")
    for row in range(min(count, _length(examples))):
        yield _row(examples, row, prompt)


def _length(examples: Examples) -> int:
    if isinstance(examples, PairExamples | BitextExamples):
        return len(examples.sentence1)
    if isinstance(examples, TripletExamples):
        return len(examples.anchor)
    if isinstance(examples, CandidateExamples):
        return len(examples.queries)
    return 0 if isinstance(examples, RankingExamples | DevTest) else len(examples.texts)


def _row(examples: Examples, row: int, prompt: str) -> dict[str, Any]:
    if isinstance(examples, PairExamples):
        sides = {"sentence1": prompt + examples.sentence1[row], "sentence2": prompt + examples.sentence2[row]}
        return {**sides, "gold": examples.gold[row].item()}
    if isinstance(examples, BitextExamples):
        other = int(examples.gold[row])
        return {
            "sentence1": prompt + examples.sentence1[row],
            "sentence2": prompt + examples.sentence2[other],
        }
    if isinstance(examples, TripletExamples):
        return {name: prompt + getattr(examples, name)[row] for name in ("anchor", "entailment", "negative")}
    if isinstance(examples, LabelledExamples):
        return {"text": prompt + examples.texts[row], "label": examples.labels[row]}
    if isinstance(examples, ClusterExamples):
        return {"sentence": prompt + examples.texts[row], "label": "/".join(map(str, examples.labels[row]))}
    if isinstance(examples, CandidateExamples):
        others = examples.documents[row] or examples.negatives[row] or ()
        return {
            "query": examples.queries[row],
            "positive": list(examples.positives[row][:_BESIDE]),
            "others": list(others[:_BESIDE]),
        }
    assert isinstance(examples, SummaryExamples)
    return {
        "human": [prompt + text for text in examples.human[row][:_BESIDE]],
        "machine": [prompt + text for text in examples.machine[row][:_BESIDE]],
        "relevance": list(examples.relevance[row][:_BESIDE]),
    }


def _queries(job: Job, examples: RankingExamples, count: int) -> Iterator[dict[str, Any]]:
    """The first queries, each with documents that answer it and documents that do not."""
    place = {doc: at for at, doc in enumerate(examples.doc_ids)}
    prompts = {name: part.prompt for name, part in job.texts.items()}

    def documents(ids: Sequence[str]) -> list[str]:
        there = [doc for doc in ids if doc in place][:_BESIDE]
        return [prompts.get("documents", "") + examples.documents[place[doc]] for doc in there]

    for name, query in list(zip(examples.query_ids, examples.queries, strict=True))[:count]:
        grades = examples.qrels[name]
        listed = grades if examples.candidates is None else examples.candidates.get(name, ())
        yield {
            "query": prompts.get("queries", "") + query,
            "relevant": documents([doc for doc, grade in grades.items() if grade > 0]),
            "not relevant": documents([doc for doc in listed if grades.get(doc, 0) <= 0]),
        }
