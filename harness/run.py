"""evaluate(): plan, encode, score, record; an iterator of results."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness import record
from harness.engine.encode import Plan, embed, plan, score_pairs
from harness.engine.vectors import VectorStore, pair_keys, text_keys
from harness.errors import HarnessError, ModelError
from harness.jobs import Job, applicable, flatten, prepare, together
from harness.models.base import ModelCard
from harness.paths import cache_folder
from harness.store import Store
from harness.suite import Suite
from harness.task import Task
from harness.types import Result, Scores, Texts


@dataclass(frozen=True)
class Event:
    """Something a run has to say.

    Attributes:
        what: "skip", "absent", "stale", "prompt", "reuse", "start", "encode", "done", "failed" or "warning".
        text: one line for a person.
        done, total: texts encoded and to encode, for "encode".
    """

    what: str
    task: str = ""
    text: str = ""
    done: int = 0
    total: int = 0


Listener = Callable[[Event], None]


def _nobody(event: Event) -> None: ...


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
    listen: Listener = _nobody,
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
    tasks = _applicable(suite, model, listen)
    wanted = _prepare_all(tasks, model, store, force, offline, keep_going, listen)
    vectors = _open(model, cache, no_cache, listen)
    _tell_prompts([item for item in wanted if isinstance(item, Job)], listen)
    if store is not None and any(isinstance(item, Job) for item in wanted):
        store.write_model_meta(record.meta(card), card.variant)
    scored: dict[tuple[str, str], list[Result]] = {}
    for item in wanted:
        if isinstance(item, Task):
            result = _aggregate(item, scored, card, store, listen)
            if result is None:
                continue
        elif isinstance(item, Job):
            try:
                result = _score(model, item, vectors, listen)
            except HarnessError as error:
                _failed(store, card, item.task, item.split, item.subset, error, listen)
                if not keep_going:
                    raise
                continue
            result = _keep(store, result)
            listen(Event("done", item.task.name, f"{result.main_metric} {100 * result.main_score:.2f}"))
        else:
            result = item
        scored.setdefault((result.task, result.split), []).append(result)
        yield result


def plan_run(
    model: Any, suite: Suite, *, cache: str | Path | None = None, offline: bool = False
) -> list[tuple[Job, Plan]]:
    """What scoring would cost, job by job: texts, distinct texts, and those the vector store lacks.

    Nothing is encoded and nothing is written. Texts that an earlier job already needs count as present.
    """
    store = _open(model, cache, False, _nobody)
    jobs = [
        job
        for task in _applicable(suite, model, _nobody)
        if task.kind != "aggregate"
        for job in prepare(task, model.card, {}, offline=offline)
    ]
    planned: list[tuple[Job, Plan]] = []
    before = text_keys(Texts([]))
    for job in jobs:
        texts = list(job.texts.values())
        keys = [pair_keys(job.pairs)] if job.pairs else [text_keys(part) for part in texts]
        items: list[Sequence[str]] = [job.pairs.left] if job.pairs else [part.items for part in texts]
        planned.append((job, plan(keys, items, store, before)))
        before = np.concatenate([before, *keys])
    return planned


def _applicable(suite: Suite, model: Any, listen: Listener) -> list[Task]:
    reasons = {task.name: applicable(task, model.card) for task in suite.tasks}
    able = [task for task in suite.tasks if not reasons[task.name]]
    refused = [reason for reason in reasons.values() if reason]
    if refused and (suite.name == "tasks" or not able):
        raise ModelError("\n".join(refused[:3]))
    for task in suite.tasks:
        if reasons[task.name]:
            listen(Event("skip", task.name, reasons[task.name]))
    return flatten(able)


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
                    _failed(store, model.card, task, split, subset, error, listen)
            continue
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
    found = store.get(card.name, card.revision, card.variant, task.protocol, task.name, job.split, job.subset)
    if found is None:
        return None
    reasons = record.stale(found, _identity(job, card))
    place = f"{job.split}/{job.subset}"
    if reasons:
        listen(Event("stale", task.name, f"{place} is scored again: {', '.join(reasons)}"))
        return None
    listen(Event("reuse", task.name, f"{place} is stored and valid"))
    return replace(found, reused=True)


def _open(model: Any, cache: str | Path | None, no_cache: bool, listen: Listener) -> VectorStore:
    """The store of the model's vectors or pair scores; in memory where nothing may be kept."""
    card = model.card
    payload: Literal["vectors", "scores"] = "scores" if card.kind == "cross-encoder" else "vectors"
    folder = None
    if card.fingerprint is not None and not no_cache and card.kind != "lexical":
        name = "pairs" if payload == "scores" else "vectors"
        folder = cache_folder(cache) / name / card.fingerprint
    return VectorStore(folder, payload, lambda line: listen(Event("warning", "", line)), card.name)


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
        scores = module.score_search(job.examples, model.search, job.settings)
    seconds = round(time.perf_counter() - started, 3)
    cost = {"seconds": seconds, "texts": asked, "texts_encoded": encoded}
    now = _identity(job, model.card)
    return record.result(job.task, job.split, job.subset, model.card, scores, now, job.shown, cost)


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
    listen: Listener,
) -> None:
    if store is not None:
        store.fail(
            card.name, card.revision, card.variant, task.protocol, task.name, split, subset, str(error)
        )
    listen(Event("failed", task.name, str(error)))


def _aggregate(
    task: Task,
    scored: Mapping[tuple[str, str], Sequence[Result]],
    card: ModelCard,
    store: Store | None,
    listen: Listener,
) -> Result | None:
    """The mean of an aggregate's members, each by its own main score; None while a member failed."""
    members = {
        m.name: [r for (name, _), rs in scored.items() if name == m.name for r in rs] for m in task.members
    }
    missing = sorted(name for name, results in members.items() if not results)
    if missing:
        listen(Event("failed", task.name, f"no score: its members {', '.join(missing)} have none"))
        return None
    module = task.scorer.load()
    means = {name: sum(r.main_score for r in results) / len(results) for name, results in members.items()}
    scores: Scores = module.combine(task.main, means)
    parts = [r for results in members.values() for r in results]
    (split, subset) = task.entries[0] if task.entries else ("test", "default")
    digest = hashlib.sha256("".join(r.data_fingerprint for r in parts).encode()).hexdigest()
    now = record.identity(task, card, digest, {})
    cost = {"seconds": 0.0, "texts": 0, "texts_encoded": 0}
    result = record.result(task, split, subset, card, scores, now, {}, cost)
    reused = all(r.reused for r in parts)
    return replace(result, reused=True) if reused else _keep(store, result)
