"""evaluate(): plan, encode, score, record; an iterator of results."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import record
from harness.engine.encode import blamed, embed, score_pairs
from harness.engine.vectors import VectorStore, open_vectors
from harness.errors import DataError, HarnessError, StoreError, UnknownNameError, together
from harness.jobs import Event, Job, Listener, nobody, prepare, remarks, select
from harness.models.base import ModelCard
from harness.store import Store
from harness.suite import Suite
from harness.task import Task
from harness.types import Result, Scores


def evaluate(
    model: Any,
    suite: Suite,
    *,
    store: Store | None = None,
    cache: str | Path | None = None,
    force: bool = False,
    no_cache: bool = False,
    keep_going: bool = False,
    offline: bool = False,
    listen: Listener = nobody,
) -> Iterator[Result]:
    """Score a model on every task of a suite, one `Result` a (task, split, subset) as it is finished.

    Everything that can be checked without weights is checked first. A stored result that is still valid
    comes back with `reused=True`; every distinct text is encoded at most once, whatever needs it.

    Args:
        model: a BiEncoder, CrossEncoder or Searcher.
        store: where results are kept; None keeps none.
        cache: folder of the vector store; default HARNESS_CACHE, else the platform's.
        force: score again what is stored (vectors are reused).
        no_cache: neither read nor write the vector store.
        keep_going: record a failed task and go on; otherwise its error ends the run.
        listen: called with every `Event`.

    Raises:
        HarnessError: nothing of the suite applies to the model, data are missing or bad (all at once),
            or a task failed and `keep_going` is off. Finished work is stored.
    """
    card = model.card
    tasks = select(suite, card, listen)
    wanted = _prepare_all(tasks, model, store, force, offline, keep_going, listen)
    vectors = open_vectors(card, cache, no_cache, lambda line: listen(Event("warning", "", line)))
    for note in card.notes:
        listen(Event("note", "", note))
    _tell_prompts([item for item in wanted if isinstance(item, Job)], listen)
    if store is not None:
        for variant in {record.variant_of(card, item.task) for item in wanted if isinstance(item, Job)}:
            store.write_model_meta(record.meta(card), variant)
    by_name = {task.name: task for task in tasks}
    scored: dict[tuple[str, str], list[Result]] = {}
    for item in wanted:
        if isinstance(item, Result):
            results = [item]
        else:
            places = item.entries if isinstance(item, Task) else [(item.split, item.subset)]
            results = []
            for split, subset in places:
                try:
                    if isinstance(item, Task):
                        results.append(_aggregate(item, split, subset, scored, card, store, listen))
                    else:
                        results.append(_finished(model, item, vectors, store, listen))
                except HarnessError as error:
                    task = item if isinstance(item, Task) else item.task
                    error = _placed(error, task.name, split, subset)
                    _failed(store, card, task, split, subset, error, keep_going, listen)
                    if not keep_going:
                        raise error from error.__cause__
        for result in results:
            scored.setdefault((result.task, result.split), []).append(result)
            yield _shown(result, by_name[result.task])


def _prepare_all(
    tasks: Sequence[Task],
    model: Any,
    store: Store | None,
    force: bool,
    offline: bool,
    keep_going: bool,
    listen: Listener,
) -> list[Job | Result | Task]:
    """Jobs to do, stored results that stand, and aggregates, in order; all data problems in one error."""
    items: list[Job | Result | Task] = []
    problems: list[HarnessError] = []
    loaded: dict[str, Any] = {}
    for task in tasks:
        if task.absent:
            named = ", ".join(f"{split}/{subset}" for split, subset in task.absent[:4])
            more = f" and {len(task.absent) - 4} more" if len(task.absent) > 4 else ""
            listen(Event("absent", task.name, f"not in the data folder: {named}{more}"))
        if task.kind == "aggregate":
            items.append(task)
            continue
        try:
            jobs = prepare(task, model.card, loaded, offline=offline)
        except HarnessError as error:
            problems.append(error)
            if keep_going:
                for split, subset in task.entries:
                    _failed(store, model.card, task, split, subset, error, keep_going, listen)
            continue
        for job in jobs:
            for line in remarks(job):
                listen(Event("warning", task.name, line))
        items.extend(_stored(job, model.card, store, force, listen) or job for job in jobs)
    if problems and not (keep_going and items):
        raise together(problems)
    return items


def _tell_prompts(jobs: Sequence[Job], listen: Listener) -> None:
    """Each prompt that will be used, once, with a text that carries it."""
    told: dict[str, str] = {}
    for job in jobs:
        for name, texts in job.texts.items():
            if texts.prompt and len(texts):
                told.setdefault(texts.prompt, f"{name} of {job.task.name}: {texts.items[0][:80]!r}")
    for prompt, text in told.items():
        listen(Event("prompt", "", f"{prompt!r} for {text}"))


def _stored(job: Job, card: ModelCard, store: Store | None, force: bool, listen: Listener) -> Result | None:
    """The stored result of a job where it is still valid; says why where it is not."""
    if store is None or force:
        return None
    task = job.task
    found = _found(store, card, task, job.split, job.subset)
    if found is None:
        return None
    reasons = record.stale(found, _identity(job, card)) or _samples_lost(store, found)
    place = f"{job.split}/{job.subset}"
    if reasons:
        listen(Event("stale", task.name, f"{place} is scored again: {', '.join(reasons)}"))
        return None
    listen(Event("reuse", task.name, f"{place} is stored and valid"))
    return replace(found, reused=True)


def _shown(result: Result, task: Task) -> Result:
    """The result with the metric that the suite selects; what is stored keeps the protocol's."""
    if task.shown == task.main:
        return result
    if task.shown not in result.metrics:
        raise UnknownNameError(f"metric of {task.name}", task.shown, result.metrics)
    return replace(result, main_metric=task.shown)


def _found(store: Store | None, card: ModelCard, task: Task, split: str, subset: str) -> Result | None:
    if store is None:
        return None
    variant = record.variant_of(card, task)
    return store.get(card.name, card.revision, variant, task.protocol, task.name, split, subset)


def _samples_lost(store: Store, found: Result) -> list[str]:
    """Why a stored result's per-example values are not what its JSON names; empty where they are."""
    try:
        store.samples(found)
    except StoreError:
        return ["its per-example values are missing or damaged"]
    return []


def _score(model: Any, job: Job, store: VectorStore, listen: Listener) -> Result:
    started = time.perf_counter()
    module = job.task.scorer.load()
    listen(Event("start", job.task.name, f"{job.split}/{job.subset}"))
    encoded = 0

    def progress(done: int, total: int) -> None:
        nonlocal encoded
        encoded = done
        listen(Event("encode", job.task.name, "", done, total))

    asked = 0
    if model.card.kind == "bi-encoder":
        names = list(job.texts)
        found = embed(model, [job.texts[name] for name in names], store, progress)
        asked = sum(len(part) for part in found)
        scores = module.score(job.examples, dict(zip(names, found, strict=True)), job.settings)
    elif model.card.kind == "cross-encoder":
        assert job.pairs is not None
        (answers,) = score_pairs(model, [job.pairs], store, progress)
        asked = len(job.pairs)
        scores = module.score_pairs(job.examples, answers, job.settings)
    else:
        with blamed(model.card.name, "search"):
            scores = module.score_search(job.examples, model.search, job.settings)
    seconds = round(time.perf_counter() - started, 3)
    cost = {"seconds": seconds, "texts": asked, "texts_encoded": encoded}
    now = _identity(job, model.card)
    return record.result(job.task, job.split, job.subset, model.card, scores, now, job.shown, cost)


def _placed(error: HarnessError, name: str, split: str, subset: str) -> HarnessError:
    """The error with the task it belongs to, where its text does not say so."""
    if name in str(error) or isinstance(error, UnknownNameError):
        return error
    placed = type(error)(f"{name} ({split}, {subset}): {error}")
    placed.__cause__ = error.__cause__
    return placed


def _finished(model: Any, job: Job, vectors: VectorStore, store: Store | None, listen: Listener) -> Result:
    """Score one job and keep its result, once it has the metric that the suite selects."""
    result = _score(model, job, vectors, listen)
    _shown(result, job.task)
    shown = f"{job.split}/{job.subset} {result.main_metric} {100 * result.main_score:.2f}"
    listen(Event("done", job.task.name, shown))
    return _keep(store, result)


def _identity(job: Job, card: ModelCard) -> dict[str, Any]:
    prompts = {name: texts.prompt for name, texts in job.texts.items()}
    return record.identity(job.task, card, job.data_fingerprint, prompts)


def _keep(store: Store | None, result: Result) -> Result:
    if store is not None:
        store.put(result)
    return result


def _failed(
    store: Store | None,
    card: ModelCard,
    task: Task,
    split: str,
    subset: str,
    error: Exception,
    keep_going: bool,
    listen: Listener,
) -> None:
    """Record a failure; under `keep_going` also say it (otherwise the error itself ends the run)."""
    variant = record.variant_of(card, task)
    if store is not None:
        store.fail(card.name, card.revision, variant, task.protocol, task.name, split, subset, str(error))
    if keep_going:
        listen(Event("failed", task.name, str(error)))


def _aggregate(
    task: Task,
    split: str,
    subset: str,
    scored: Mapping[tuple[str, str], Sequence[Result]],
    card: ModelCard,
    store: Store | None,
    listen: Listener,
) -> Result:
    """The mean of an aggregate's members on one split, each by its own main score (mean of its subsets).

    Raises:
        DataError: a member lacks a score; an aggregate of some of them would be another number.
    """
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
    found = _found(store, card, task, split, subset) if all(r.reused for r in parts) else None
    if found is not None and not record.stale(found, now):
        listen(Event("reuse", task.name, f"{split}/{subset} is stored and valid"))
        return replace(found, reused=True)
    cost = {"seconds": 0.0, "texts": 0, "texts_encoded": 0}
    result = record.result(task, split, subset, card, scores, now, {}, cost)
    listen(Event("done", task.name, f"{split}/{subset} {result.main_metric} {100 * result.main_score:.2f}"))
    return _keep(store, result)
