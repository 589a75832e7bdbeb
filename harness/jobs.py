"""What a run has to do: one job a (task, split, subset), with its examples and rendered texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.data.build import RANKING
from harness.data.examples import Examples, RankingExamples, fingerprint
from harness.data.load import load_examples
from harness.data.packed import positions
from harness.errors import HarnessError, ModelError, together
from harness.models.base import ModelCard
from harness.models.prompts import prompt_for, render
from harness.suite import Suite
from harness.task import Task
from harness.types import Pairs, Texts


@dataclass(frozen=True)
class Job:
    """One (task, split, subset) of a run.

    Attributes:
        settings: the scorer's, with the model's `similarity` and the task's `main` metric.
        texts: rendered texts by the names of the kind's `needs` (bi-encoders).
        pairs: text pairs (cross-encoders).
        shown: role to the first rendered text, for the record and for the user's eyes.
    """

    task: Task
    split: str
    subset: str
    examples: Examples
    data_fingerprint: str
    settings: Mapping[str, Any]
    texts: Mapping[str, Texts]
    pairs: Pairs | None
    shown: Mapping[str, str]


@dataclass(frozen=True)
class Event:
    """Something a run has to say.

    Attributes:
        what: "skip", "absent", "stale", "note", "prompt", "reuse", "start", "encode", "done", "failed",
            "warning".
        text: one line for a person.
        done, total: texts (or pairs) encoded and to encode in the whole run, for "encode".
        tokens: tokens of the texts encoded so far, without padding, for "encode"; 0 where unknown.
        fraction: share of all characters to encode that is done, for "encode": what the remaining time
            follows, since long texts come first.
        parts: of each job at work its name, texts done and texts needed, for "encode".
    """

    what: str
    task: str = ""
    text: str = ""
    done: int = 0
    total: int = 0
    tokens: int = 0
    fraction: float = 0.0
    parts: tuple[tuple[str, int, int], ...] = ()


Listener = Callable[[Event], None]


def nobody(event: Event) -> None:
    """A listener that does not listen."""


def select(suite: Suite, card: ModelCard, listen: Listener) -> list[Task]:
    """The suite's tasks that a model can be scored on, members of an aggregate in front of it.

    Of a suite, the others are skipped and said; tasks that were named one by one must all apply.

    Raises:
        ModelError: a named task, or every task of the suite, does not apply.
    """
    reasons = {task.name: applicable(task, card) for task in suite.tasks}
    able = [task for task in suite.tasks if not reasons[task.name]]
    refused = [reason for reason in reasons.values() if reason]
    if refused and (suite.named or not able):
        raise ModelError("\n".join(refused[:3]))
    for task in suite.tasks:
        if reasons[task.name]:
            listen(Event("skip", task.name, reasons[task.name]))
    return flatten(able)


def flatten(tasks: Iterable[Task]) -> list[Task]:
    """Every task once, the members of an aggregate in front of it."""
    ordered: dict[str, Task] = {}
    for task in tasks:
        for each in (*task.members, task):
            ordered.setdefault(each.name, each)
    return list(ordered.values())


def applicable(task: Task, card: ModelCard) -> str:
    """Why a model of this kind cannot be scored on the task; empty where it can."""
    if task.kind == "retrieval" and card.kind == "cross-encoder" and not _has_candidates(task):
        return (
            f"{task.name} ({task.kind}) has no candidate lists: a cross-encoder reranks what a first stage "
            f"found; name a reranking task, or put candidates beside the queries"
        )
    if card.kind in task.scorer.models:
        refused = [why for member in task.members if (why := applicable(member, card))]
        return refused[0] if refused else ""
    able = " or ".join(task.scorer.models)
    return f"{task.name} ({task.kind}) is scored with a {able} model; {card.name} is of kind {card.kind}"


def _has_candidates(task: Task) -> bool:
    return task.folder is not None and any(".candidates." in name for name in task.folder.names)


def prepare(task: Task, card: ModelCard, loaded: dict[str, Any], *, offline: bool) -> list[Job]:
    """The jobs of one task, its data loaded and its texts rendered.

    Raises:
        HarnessError: everything wrong with the task's data, all at once.
    """
    jobs: list[Job] = []
    problems: list[HarnessError] = []
    for split, subset in task.entries:
        try:
            examples = load_examples(task, split, subset, loaded, offline=offline)
            jobs.append(_job(task, split, subset, examples, card))
        except HarnessError as error:
            problems.append(error)
    loaded.pop(task.name, None)
    if problems:
        raise together(problems)
    return jobs


def remarks(job: Job) -> list[str]:
    """What a user should know of a job's data before believing its score."""
    examples = job.examples
    if not isinstance(examples, RankingExamples):
        return []
    corpus = positions(examples.doc_ids, {doc for own in examples.qrels.values() for doc in own})
    absent = sum(doc not in corpus for own in examples.qrels.values() for doc in own)
    hopeless = sum(all(grade <= 0 for grade in own.values()) for own in examples.qrels.values())
    listed = examples.candidates
    unlisted = 0 if listed is None else sum(not listed.get(name) for name in examples.query_ids)
    counted = (
        (absent, "judged documents are not in the corpus; they count as not found"),
        (hopeless, "queries have no relevant document; they score 0 and count"),
        (unlisted, "queries have no candidates; they score 0 and count"),
    )
    return [f"{job.task.name} ({job.split}, {job.subset}): {n} {words}" for n, words in counted if n]


def _job(task: Task, split: str, subset: str, examples: Examples, card: ModelCard) -> Job:
    settings = {**task.settings, "similarity": card.similarity, "main": task.main}
    module = task.scorer.load()
    texts: dict[str, Texts] = {}
    pairs = None
    shown: dict[str, str] = {}
    if card.kind == "bi-encoder":
        for name, bare in module.needs(examples, settings).items():
            role = task.roles.get(name, bare.role)
            kind = "retrieval" if name in task.roles else task.kind
            rendered = render(bare, prompt_for(card.prompts, card.prompt_policy, kind, role))
            texts[name] = rendered
            if len(rendered):
                shown[name] = rendered.items[0]
    elif card.kind == "cross-encoder":
        pairs = module.pairs(examples, settings)
        if len(pairs):
            shown = {"left": pairs.left[0], "right": pairs.right[0]}
    elif task.kind in RANKING and isinstance(examples, RankingExamples):
        shown = {"queries": examples.queries[0], "documents": examples.documents[0]}
    return Job(task, split, subset, examples, fingerprint(examples), settings, texts, pairs, shown)
