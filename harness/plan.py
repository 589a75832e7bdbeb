"""What a run would cost, before it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness.candidates import assumed
from harness.data.presence import check, lacking
from harness.engine.vectors import Keys, VectorStore, open_vectors, pair_keys, text_keys
from harness.first_stage import FirstStage, staged
from harness.jobs import Job, Listener, first_job, nobody, prepare, select
from harness.models.rates import Counter, SecondsFrom, clock, counter
from harness.suite import Suite
from harness.types import Int64, Texts

# Texts and characters that are tokenized to estimate the tokens of all, and texts of a job at least.
SAMPLE_TEXTS, SAMPLE_CHARACTERS, LEAST_TEXTS = 2_000, 4_000_000, 8
# Beyond this many characters for each token that a model keeps, a text is surely cut.
_CHARACTERS_A_TOKEN = 8


@dataclass(frozen=True)
class Cost:
    """What one job, or a whole run, asks of the model.

    Attributes:
        texts: texts (pairs, for a cross-encoder) asked for.
        distinct: different ones among them.
        shared: those of `distinct` that an earlier job of the run needs too; they are its to encode.
        cached: those of `distinct` that the vector store has.
        missing: texts to encode; `missing_characters` in them, both sides of a pair counted.
        tokens: tokens to encode, special ones included, cut to the max length; extrapolated from a sample.
        tokens_from: what counted the sample, the model's own "tokenizer", or its "characters": a quarter of
            the bytes in UTF-8.
        seconds: time to encode them; None where nothing is known.
        seconds_from: "measured" in an earlier run, "estimated" from the size of the model, or None.
        model: who is asked, where it is the first stage and not the model that is scored; else empty.
        charge: what a service takes for the tokens, in the currency of its catalog row; None where the model
            has no price.
    """

    texts: int = 0
    distinct: int = 0
    shared: int = 0
    cached: int = 0
    missing: int = 0
    missing_characters: int = 0
    tokens: int = 0
    tokens_from: Literal["tokenizer", "characters"] = "characters"
    seconds: float | None = 0.0
    seconds_from: SecondsFrom | None = None
    charge: float | None = None
    model: str = ""


@dataclass(frozen=True)
class _Need:
    """A job's counts, and its missing texts: their positions among all it asks for, and characters."""

    job: Job
    texts: int
    distinct: int
    shared: int
    cached: int
    missing: Int64
    lengths: Int64


def plan_run(
    model: Any,
    suite: Suite,
    *,
    cache: str | Path | None = None,
    no_cache: bool = False,
    offline: bool = False,
    first_stage: FirstStage | None = None,
    listen: Listener = nobody,
) -> list[tuple[Job, Cost]]:
    """What scoring would cost, job by job: texts, those the vector store lacks, their tokens, the time.

    Nothing is encoded and nothing is written. Texts that an earlier job already needs are not counted as
    missing again. Where a first stage has not searched yet, other documents stand in for its candidates, and
    what it would encode for its search comes first, with its name as the `model`.
    `listen` hears what is skipped.
    """
    card = staged(model.card, first_stage)
    tasks = select(suite, card, listen, first_stage)
    cut, gone = check(tasks, offline)
    if gone:
        raise lacking(gone, offline, suite.fetching())
    jobs = [
        job
        for task in tasks
        if task.kind != "aggregate"
        for job in prepare(task, card, {}, offline=cut, first=first_stage)
    ]
    if first_stage is None:
        return _costs(model, jobs, cache, no_cache)
    filled = [assumed(first_stage, job, cache, no_cache) if job.first else job for job in jobs]
    waiting = [
        _searching(job, first_stage)
        for job, own in zip(jobs, filled, strict=True)
        if own.first and own.candidates_sha256 is None and first_stage.card.kind == "bi-encoder"
    ]
    before = _costs(first_stage.model, waiting, cache, no_cache) if waiting else []
    named = [(job, replace(cost, model=first_stage.card.name)) for job, cost in before]
    return [*named, *_costs(model, filled, cache, no_cache)]


def _searching(job: Job, first: FirstStage) -> Job:
    own = first_job(job, first.card)
    return replace(own, shown={name: part.items[0] for name, part in own.texts.items() if len(part)})


def _costs(
    model: Any, jobs: Sequence[Job], cache: str | Path | None, no_cache: bool
) -> list[tuple[Job, Cost]]:
    """What jobs ask of one model."""
    store = open_vectors(model.card, cache, no_cache, lambda line: None)
    needs = _needs(jobs, store)
    characters = sum(int(need.lengths.sum()) for need in needs)
    count, timing = counter(model), clock(model, cache) if characters else None
    estimate, price = getattr(model, "estimate", _quarters), getattr(model, "price", None)
    costs = []
    for need in needs:
        missing, own = len(need.missing), int(need.lengths.sum())
        tokens = _tokens(need, count or estimate, model.card.max_length, own / max(characters, 1))
        seconds = 0.0 if model.card.kind != "lexical" else None
        if missing:
            seconds = timing[0](tokens, missing) if timing else None
        costs.append(
            Cost(
                texts=need.texts,
                distinct=need.distinct,
                shared=need.shared,
                cached=need.cached,
                missing=missing,
                missing_characters=own,
                tokens=tokens,
                tokens_from="tokenizer" if count else "characters",
                seconds=seconds,
                seconds_from=timing[1] if timing and missing else None,
                charge=None if price is None else tokens * price / 1e6,
            )
        )
    return list(zip(jobs, costs, strict=True))


def total(costs: Sequence[Cost]) -> Cost:
    """The whole run: texts that several jobs share counted once."""
    distinct = sum(cost.distinct - cost.shared for cost in costs)
    missing = sum(cost.missing for cost in costs)
    known = [cost.seconds for cost in costs if cost.seconds is not None]
    charges = [cost.charge for cost in costs if cost.charge is not None]
    return Cost(
        texts=sum(cost.texts for cost in costs),
        distinct=distinct,
        cached=distinct - missing,
        missing=missing,
        missing_characters=sum(cost.missing_characters for cost in costs),
        tokens=sum(cost.tokens for cost in costs),
        tokens_from=costs[0].tokens_from if costs else "characters",
        seconds=sum(known) if len(known) == len(costs) else None,
        seconds_from=next((cost.seconds_from for cost in costs if cost.seconds_from), None),
        charge=sum(charges) if charges else None,
    )


def _needs(jobs: Sequence[Job], store: VectorStore) -> list[_Need]:
    keys = [_keys(job) for job in jobs]
    every, first, place = np.unique(
        np.concatenate([text_keys(Texts([])), *keys]), return_index=True, return_inverse=True
    )
    stored = store.present(every)
    new = np.zeros(len(place), dtype=bool)
    new[first] = True
    ends = np.cumsum([len(own) for own in keys])
    needs = []
    for job, end, own in zip(jobs, ends.tolist(), keys, strict=True):
        here = slice(end - len(own), end)
        asked = np.unique(place[here])
        missing = np.flatnonzero(new[here] & ~stored[place[here]])
        needs.append(
            _Need(
                job,
                texts=len(own),
                distinct=len(asked),
                shared=len(asked) - int(new[here].sum()),
                cached=int(stored[asked].sum()),
                missing=missing,
                lengths=_lengths(job)[missing],
            )
        )
    return needs


def _keys(job: Job) -> Keys:
    if job.pairs is not None:
        return pair_keys(job.pairs)
    return np.concatenate([text_keys(Texts([])), *(text_keys(part) for part in job.texts.values())])


def _lengths(job: Job) -> Int64:
    """Characters of each text (or pair) that a job asks for, int64 [n]."""
    if job.pairs is not None:
        sides = [np.fromiter(map(len, side), dtype=np.int64) for side in (job.pairs.left, job.pairs.right)]
        return sides[0] + sides[1]
    return np.fromiter((len(item) for part in job.texts.values() for item in part.items), dtype=np.int64)


def _tokens(need: _Need, count: Counter, max_length: int | None, share: float) -> int:
    """Tokens of a job's missing texts, from a sample of the run's sample that is its `share`.

    One text stands for its neighbours by length, scaled by characters; by number where it was cut.
    """
    if not len(need.missing):
        return 0
    cut = _CHARACTERS_A_TOKEN * max_length if max_length else None
    mean = float(np.minimum(need.lengths, cut or need.lengths.max()).mean())
    wanted = share * min(SAMPLE_TEXTS, SAMPLE_CHARACTERS / max(mean, 1.0))
    size = min(len(need.missing), max(LEAST_TEXTS, round(wanted)))
    order = np.argsort(need.lengths, kind="stable")
    starts = np.arange(size) * len(order) // size
    counts = np.diff(np.append(starts, len(order)))
    middle = order[starts + counts // 2]
    texts = _picked(need.job, need.missing[middle], cut)
    found = np.minimum(count(*texts), max_length or np.iinfo(np.int64).max)
    lengths = np.maximum(need.lengths, 1)
    by_characters = np.add.reduceat(lengths[order], starts) / lengths[middle]
    full = found >= (max_length or np.inf)
    return round(float((found * np.where(full, counts, by_characters)).sum()))


def _picked(job: Job, positions: Int64, cut: int | None) -> tuple[list[str], list[str] | None]:
    """The texts at `positions` among all of a job, or the left and right texts of its pairs."""
    if job.pairs is not None:
        left, right = job.pairs.left, job.pairs.right
        return [left[at][:cut] for at in positions.tolist()], [right[at][:cut] for at in positions.tolist()]
    parts = [part.items for part in job.texts.values()]
    ends = np.cumsum([len(part) for part in parts])
    which = np.searchsorted(ends, positions, side="right")
    within = positions - (ends - [len(part) for part in parts])[which]
    return [parts[part][at][:cut] for part, at in zip(which.tolist(), within.tolist(), strict=True)], None


def _quarters(left: Sequence[str], right: Sequence[str] | None) -> Int64:
    """A quarter of the bytes in UTF-8: near the truth for English, and not far from it for Chinese."""
    sizes = np.fromiter((len(text.encode("utf-8", "surrogatepass")) for text in left), dtype=np.int64)
    return -(-sizes // 4) + (0 if right is None else _quarters(right, None))
