"""One job's score and one aggregate's, made into results and kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness import record
from harness.engine.encode import blamed, stored
from harness.engine.vectors import VectorStore
from harness.engine.work import Request
from harness.errors import DataError, HarnessError, StoreError, UnknownNameError
from harness.first_stage import FirstStage, staged
from harness.jobs import Event, Job, Listener
from harness.models.base import ModelCard
from harness.store import Store
from harness.task import Task
from harness.types import Result, Scores, Vectors


@dataclass(frozen=True)
class Run:
    """What every step of a run needs to know; see `harness.run.evaluate`."""

    model: Any
    store: Store | None
    vectors: VectorStore
    force: bool
    keep_going: bool
    memory: int
    listen: Listener
    first: FirstStage | None = None

    @property
    def card(self) -> ModelCard:
        """The model's card as it is now; the device is known once the weights are loaded."""
        return staged(self.model.card, self.first)


@dataclass(frozen=True)
class Encoded:
    """What encoding a job cost.

    Attributes:
        request: the keys of its texts or pairs; None for a searcher.
        texts_encoded: items that no earlier job of the run needed and the store lacked.
        seconds: its share of the encoding.
    """

    request: Request | None = None
    texts_encoded: int = 0
    seconds: float = 0.0


def finished(run: Run, job: Job, encoded: Encoded) -> Result:
    """Score one job and keep its result, once it has the metric that the suite selects.

    Raises:
        HarnessError: what the scorer refused, with the job's name in front.
    """
    try:
        result = _score(run, job, encoded)
        shown(result, job.task)
    except HarnessError as error:
        raise placed(error, job.task.name, job.split, job.subset) from error.__cause__
    number = f"{job.split}/{job.subset} {result.main_metric} {100 * result.main_score:.2f}"
    run.listen(Event("done", job.task.name, number))
    return _keep(run.store, result)


def aggregate(
    run: Run, task: Task, split: str, subset: str, scored: Mapping[tuple[str, str], Sequence[Result]]
) -> Result:
    """The mean of an aggregate's members on one split, each by its own main score (mean of its subsets).

    Raises:
        DataError: a member lacks a score; an aggregate of some of them would be another number.
    """
    card, store, listen = run.card, run.store, run.listen
    members = {member.name: scored.get((member.name, split), ()) for member in task.members}
    for member in task.members:
        due = sum(own == split for own, _ in member.entries)
        if not due or len(members[member.name]) < due:
            raise DataError(f"{task.name} ({split}): its member {member.name} has no complete score")
    means = {name: sum(r.main_score for r in results) / len(results) for name, results in members.items()}
    scores: Scores = task.scorer.load().combine(task.main, means)
    parts = [r for results in members.values() for r in results]
    digest = hashlib.sha256("".join(r.data_fingerprint for r in parts).encode()).hexdigest()
    now = record.identity(task, card, digest, {})
    known = found_in(store, card, task, split, subset) if all(r.reused for r in parts) else None
    if known is not None and not record.stale(known, now):
        listen(Event("reuse", task.name, f"{split}/{subset} is stored and valid"))
        return replace(known, reused=True)
    cost = {"seconds": 0.0, "texts": 0, "texts_encoded": 0}
    result = record.result(task, split, subset, card, scores, now, {}, cost)
    listen(Event("done", task.name, f"{split}/{subset} {result.main_metric} {100 * result.main_score:.2f}"))
    return _keep(store, result)


def standing(run: Run, job: Job) -> Result | None:
    """The stored result of a job where it is still valid; says why where it is not."""
    if run.store is None or run.force:
        return None
    task = job.task
    known = found_in(run.store, run.card, task, job.split, job.subset)
    if known is None:
        return None
    reasons = record.stale(known, _identity(job, run.card)) or _samples_lost(run.store, known)
    place = f"{job.split}/{job.subset}"
    if reasons:
        run.listen(Event("stale", task.name, f"{place} is scored again: {', '.join(reasons)}"))
        return None
    run.listen(Event("reuse", task.name, f"{place} is stored and valid"))
    return replace(known, reused=True)


def shown(result: Result, task: Task) -> Result:
    """The result with the metric that the suite selects; what is stored keeps the protocol's.

    A cross-encoder has one score a pair, so that its `cosine_ap` is `ap`.
    """
    if task.shown == task.main:
        return result
    chosen = task.shown
    if chosen not in result.metrics and task.kind in ("sts", "pair_classification"):
        chosen = chosen.rpartition("_")[2]
    if chosen not in result.metrics:
        raise UnknownNameError(f"metric of {task.name}", task.shown, result.metrics)
    return replace(result, main_metric=chosen)


def found_in(store: Store | None, card: ModelCard, task: Task, split: str, subset: str) -> Result | None:
    """The stored result of one entry, valid or not."""
    if store is None:
        return None
    variant = record.variant_of(card, task)
    return store.get(card.name, card.revision, variant, task.protocol, task.name, split, subset)


def placed(error: HarnessError, name: str, split: str, subset: str) -> HarnessError:
    """The error with the task it belongs to, where its text does not say so."""
    if name in str(error) or isinstance(error, UnknownNameError):
        return error
    placed = type(error)(f"{name} ({split}, {subset}): {error}")
    placed.__cause__ = error.__cause__
    return placed


def _score(run: Run, job: Job, encoded: Encoded) -> Result:
    started = time.perf_counter()
    module, card = job.task.scorer.load(), run.card
    run.listen(Event("start", job.task.name, f"{job.split}/{job.subset}"))
    settings = {**job.settings, "memory": run.memory}
    asked = 0
    if encoded.request is None:
        scores = module.score_search(job.examples, blaming(run.model), settings)
    else:
        asked = len(encoded.request.keys)
        if card.kind == "cross-encoder":
            rows = stored(run.vectors, encoded.request.keys)
            scores = module.score_pairs(job.examples, run.vectors.scores(rows), settings)
        else:
            scores = module.score(job.examples, vectors_of(run, job, encoded.request), settings)
    cost: dict[str, Any] = {
        "seconds": round(encoded.seconds + time.perf_counter() - started, 3),
        "encode_seconds": round(encoded.seconds, 3),
        "texts": asked,
        "texts_encoded": encoded.texts_encoded,
    }
    if job.candidates_sha256 is not None:
        cost["candidates_sha256"] = job.candidates_sha256
    now = _identity(job, card)
    return record.result(job.task, job.split, job.subset, card, scores, now, job.shown, cost)


def vectors_of(run: Run, job: Job, request: Request) -> dict[str, Vectors]:
    """The vectors of a job's texts, by the names of its kind's `needs`."""
    rows = stored(run.vectors, request.keys)
    ends = np.cumsum([len(part) for part in request.parts])[:-1]
    parts = [run.vectors.vectors(part) for part in np.split(rows, ends)]
    return dict(zip(job.texts, parts, strict=True))


def blaming(model: Any) -> Callable[..., Any]:
    """The model's search; what it raises is the model's fault, what the scorer raises is not."""

    def search(*args: Any) -> Any:
        with blamed(model.card.name, "search"):
            return model.search(*args)

    return search


def _samples_lost(store: Store, found: Result) -> list[str]:
    """Why a stored result's per-example values are not what its JSON names; empty where they are."""
    try:
        store.samples(found)
    except StoreError:
        return ["its per-example values are missing or damaged"]
    return []


def _identity(job: Job, card: ModelCard) -> dict[str, Any]:
    prompts = {name: texts.prompt for name, texts in job.texts.items()}
    stream = job.stream.settings
    return record.identity(job.task, card, job.data_fingerprint, prompts, job.first, job.routes, stream)


def _keep(store: Store | None, result: Result) -> Result:
    if store is not None:
        store.put(result)
    return result
