"""evaluate(): plan, encode, score, record; an iterator of results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness import record
from harness.candidates import proposed
from harness.data.presence import check, lacking
from harness.encoding import encoded_jobs
from harness.engine.vectors import open_vectors
from harness.errors import HarnessError, together
from harness.first_stage import FirstStage, staged
from harness.jobs import Event, Job, Listener, nobody, prepare, remarks, select
from harness.memory import default_budget
from harness.models.base import ModelCard
from harness.models.prompts import unused_prompts
from harness.scoring import Encoded, Run, aggregate, finished, placed, shown, standing
from harness.store import Store
from harness.suite import Suite
from harness.task import Task
from harness.types import Result


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
    memory: int | None = None,
    first_stage: FirstStage | None = None,
    listen: Listener = nobody,
) -> Iterator[Result]:
    """Score a model on every task of a suite, one `Result` a (task, split, subset), in the suite's order.

    Everything that can be checked without weights is checked first. A stored result that is still valid
    comes back with `reused=True`; every distinct text is encoded at most once, whatever needs it. Tasks
    are scored as soon as their vectors are complete; where the model computes elsewhere than on the CPU,
    that happens beside the encoding of the next ones.

    Args:
        model: a BiEncoder, CrossEncoder or Searcher.
        store: where results are kept; None keeps none.
        cache: folder of the vector store; default HARNESS_CACHE, else the platform's.
        force: score again what is stored (vectors are reused).
        no_cache: neither read nor write the vector store.
        keep_going: record a failed task and go on; otherwise its error ends the run.
        memory: bytes that scoring may take; default 60 % of what is free.
        first_stage: what proposes a cross-encoder's candidates on retrieval tasks (`harness.first_stage`).
        listen: called with every `Event`, from more than one thread.

    Raises:
        HarnessError: nothing of the suite applies to the model, data are missing or bad (all at once),
            or a task failed and `keep_going` is off. Finished work is stored.
    """
    card = staged(model.card, first_stage)
    tasks = select(suite, card, listen, first_stage)
    vectors = open_vectors(card, cache, no_cache, lambda line: listen(Event("warning", "", line)))
    budget = default_budget() if memory is None else memory
    run = Run(model, store, vectors, force, keep_going, budget, listen, first_stage)
    cut, gone = check(tasks, offline)
    if gone and not (keep_going and len(gone) < len(tasks)):
        raise lacking(gone, offline, suite.fetching())
    missing = {task.name: lacking([task], offline, suite.fetching()) for task in gone}
    wanted = _with_candidates(run, _prepare_all(run, tasks, cut, missing), cache, no_cache)
    jobs = [item for item in wanted if isinstance(item, Job)]
    for note in card.notes:
        listen(Event("note", "", note))
    _tell_prompts(jobs, listen)
    _tell_unused(card, tasks, listen)
    if store is not None:
        for variant in {record.variant_of(card, job.task) for job in jobs}:
            store.write_model_meta(record.meta(card), variant)
    by_name = {task.name: task for task in tasks}
    scored: dict[tuple[str, str], list[Result]] = {}
    for result in _in_order(run, wanted, jobs, scored, cache):
        yield shown(result, by_name[result.task])


def _in_order(
    run: Run,
    wanted: Sequence[Job | Result | Task],
    jobs: Sequence[Job],
    scored: dict[tuple[str, str], list[Result]],
    cache: str | Path | None,
) -> Iterator[Result]:
    """Results in the order wanted, each once it and all before it are there."""
    answers: dict[int, Future[Result]] = {}
    with (
        contextlib.closing(encoded_jobs(run, jobs, cache)) as encoding,
        ThreadPoolExecutor(1, thread_name_prefix="score") as pool,
    ):
        try:
            number = 0
            for item in wanted:
                if isinstance(item, Job):
                    results = _answered(run, item, _awaited(run, number, answers, jobs, encoding, pool))
                    number += 1
                else:
                    results = [item] if isinstance(item, Result) else _combined(run, item, scored)
                for result in results:
                    scored.setdefault((result.task, result.split), []).append(result)
                    yield result
        finally:
            pool.shutdown(cancel_futures=True)


def _awaited(
    run: Run,
    number: int,
    answers: dict[int, Future[Result]],
    jobs: Sequence[Job],
    encoding: Iterator[tuple[int, Encoded | HarnessError]],
    pool: ThreadPoolExecutor,
) -> Future[Result]:
    """The score of a job; until it is there, what comes after is encoded and its scoring begun."""
    while number not in answers or not answers[number].done():
        finished_next = next(encoding, None)
        if finished_next is None:
            break
        other, encoded = finished_next
        answers[other] = _begun(run, jobs[other], encoded, pool)
    return answers.pop(number)


def _begun(run: Run, job: Job, encoded: Encoded | HarnessError, pool: ThreadPoolExecutor) -> Future[Result]:
    """A job's scoring, on the pool where the model leaves the CPU free; here and now where it does not."""
    if isinstance(encoded, Encoded) and run.card.device not in ("cpu", "auto"):
        return pool.submit(finished, run, job, encoded)
    done: Future[Result] = Future()
    try:
        if isinstance(encoded, HarnessError):
            raise placed(encoded, job.task.name, job.split, job.subset) from encoded.__cause__
        done.set_result(finished(run, job, encoded))
    except HarnessError as error:
        done.set_exception(error)
    return done


def _answered(run: Run, job: Job, answer: Future[Result]) -> list[Result]:
    try:
        return [answer.result()]
    except HarnessError as error:
        _failed(run, job.task, job.split, job.subset, error)
        return []


def _combined(run: Run, task: Task, scored: dict[tuple[str, str], list[Result]]) -> list[Result]:
    results = []
    for split, subset in task.entries:
        try:
            results.append(aggregate(run, task, split, subset, scored))
        except HarnessError as error:
            named = placed(error, task.name, split, subset)
            _failed(run, task, split, subset, named)
    return results


def _prepare_all(
    run: Run, tasks: Sequence[Task], offline: bool, missing: Mapping[str, HarnessError]
) -> list[Job | Result | Task]:
    """Jobs to do, stored results that stand, and aggregates, in order; all data problems in one error.

    Args:
        missing: of tasks that need no try, why they fail.
    """
    items: list[Job | Result | Task] = []
    problems: list[HarnessError] = []
    loaded: dict[str, Any] = {}
    for task in tasks:
        if task.absent:
            named = ", ".join(f"{split}/{subset}" for split, subset in task.absent[:4])
            more = f" and {len(task.absent) - 4} more" if len(task.absent) > 4 else ""
            run.listen(Event("absent", task.name, f"not in the data folder: {named}{more}"))
        if task.kind == "aggregate":
            items.append(task)
            continue
        try:
            if task.name in missing:
                raise missing[task.name]
            jobs = prepare(task, run.card, loaded, offline=offline, first=run.first)
        except HarnessError as error:
            problems.append(error)
            if run.keep_going:
                for split, subset in task.entries:
                    _failed(run, task, split, subset, error)
            continue
        for note in task.notes:
            run.listen(Event("warning", task.name, note))
        for job in jobs:
            for line in remarks(job):
                run.listen(Event("warning", task.name, line))
        items.extend(standing(run, job) or job for job in jobs)
    if problems and not (run.keep_going and items):
        raise together(problems)
    return items


def _with_candidates(
    run: Run, wanted: Sequence[Job | Result | Task], cache: str | Path | None, no_cache: bool
) -> list[Job | Result | Task]:
    """The same with what the first stage proposes; a job for which it fails is recorded and left out."""
    items: dict[int, Job | Result | Task] = dict(enumerate(wanted))
    waiting = {at: item for at, item in items.items() if isinstance(item, Job) and item.first is not None}
    places = list(waiting)
    if waiting:
        for number, answer in proposed(run, list(waiting.values()), cache, no_cache):
            job = waiting[places[number]]
            if isinstance(answer, HarnessError):
                del items[places[number]]
                _failed(run, job.task, job.split, job.subset, answer)
            else:
                items[places[number]] = answer
    return list(items.values())


def _tell_prompts(jobs: Sequence[Job], listen: Listener) -> None:
    """Each prompt and adapter that will be used, once, with a text that has it."""
    told: dict[tuple[str, str], str] = {}
    for job in jobs:
        for name, texts in job.texts.items():
            if (texts.prompt or texts.route) and len(texts):
                way = (texts.prompt, texts.route)
                told.setdefault(way, f"{name} of {job.task.name}: {texts.items[0][:80]!r}")
    for (prompt, route), text in told.items():
        through = f"adapter {route!r}, " if route else ""
        listen(Event("prompt", "", f"{through}{prompt!r} for {text}"))


def _tell_unused(card: ModelCard, tasks: Sequence[Task], listen: Listener) -> None:
    """The declared prompts that the policy puts in front of no text of this run, in one line."""
    kinds = {task.kind for task in tasks if task.kind != "aggregate"}
    if card.kind == "bi-encoder" and (unused := unused_prompts(card.prompts, card.prompt_policy, kinds)):
        named = ", ".join(f"{key} {card.prompts[key]!r}" for key in unused)
        listen(
            Event(
                "note", "", f"no task of this run gets these prompts (policy {card.prompt_policy}): {named}"
            )
        )


def _failed(run: Run, task: Task, split: str, subset: str, error: HarnessError) -> None:
    """Record a failure; under `keep_going` say it, otherwise let it end the run."""
    card, store = run.card, run.store
    variant = record.variant_of(card, task)
    if store is not None:
        store.fail(card.name, card.revision, variant, task.protocol, task.name, split, subset, str(error))
    if not run.keep_going:
        raise error
    run.listen(Event("failed", task.name, str(error)))
