"""The texts of many jobs through the model in one order, and each job handed on once it has everything."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.engine.encode import Step, encoding, open_model
from harness.engine.work import Request, Work, by_left, find_work, pair_request, text_request
from harness.errors import HarnessError
from harness.jobs import Event, Job
from harness.models import rates
from harness.scoring import Encoded, Run

# Jobs are encoded together, longest text first over all of them, until they hold this many characters:
# enough for full batches at every length, and scores do not have to wait for the end of a long run.
TOGETHER = 8_000_000
_TELLING = 2.0  # seconds of encoding from which a rate is worth remembering


def encoded_jobs(
    run: Run, jobs: Sequence[Job], cache: str | Path | None
) -> Generator[tuple[int, Encoded | HarnessError], None, None]:
    """The number of each job once its texts are encoded, with what that cost, or the error it met.

    Where the model fails on a text, the jobs that were encoded together go on one by one, so that only
    those that need the text fail.
    """
    if run.card.kind == "lexical":
        yield from ((number, Encoded()) for number in range(len(jobs)))
        return
    requests = [_request(job) for job in jobs]
    whole = find_work(requests, run.vectors, by_left=by_left(run.card))
    meter = _Meter(len(whole), int(whole.characters.sum()))
    try:
        for numbers in _together(requests):
            left = list(numbers)
            known = whole if len(numbers) == len(requests) else None
            try:
                for number, encoded in _encode(run, jobs, requests, numbers, meter, known):
                    left.remove(number)
                    yield number, encoded
            except HarnessError:
                for number in left:
                    try:
                        yield from list(_encode(run, jobs, requests, [number], meter))
                    except HarnessError as error:
                        yield number, error
    finally:  # whoever has the last job asks for no more
        if meter.tokens and meter.seconds >= _TELLING:
            rates.remember(cache, run.card, run.card.device, meter.tokens / meter.seconds)


def _request(job: Job) -> Request:
    return pair_request(job.pairs) if job.pairs is not None else text_request(list(job.texts.values()))


def _together(requests: Sequence[Request]) -> Iterator[list[int]]:
    group: list[int] = []
    characters = 0
    for number, request in enumerate(requests):
        group.append(number)
        characters += request.characters()
        if characters >= TOGETHER:
            yield group
            group, characters = [], 0
    if group:
        yield group


def _encode(
    run: Run,
    jobs: Sequence[Job],
    requests: Sequence[Request],
    numbers: Sequence[int],
    meter: _Meter,
    known: Work | None = None,
) -> Iterator[tuple[int, Encoded]]:
    work = known
    if work is None:
        work = find_work([requests[n] for n in numbers], run.vectors, by_left=by_left(run.card))
    waiting = dict(enumerate(numbers))
    names = [f"{jobs[n].task.name} {jobs[n].split}/{jobs[n].subset}" for n in numbers]
    cost, before, since = 0.0, Step(0, 0, 0, 0), time.perf_counter()
    for step in _steps(run, work):
        took = time.perf_counter() - since
        cost += took
        if step.done:  # reading the weights says nothing of the pace
            meter.add(before, step, took)
        run.listen(meter.event(work, names, step))
        for own, number in list(waiting.items()):
            if work.finished(own, step.whole):
                del waiting[own]
                share = int(work.first[own]) / max(1, len(work))
                yield number, Encoded(requests[number], int(work.first[own]), cost * share)
        before, since = step, time.perf_counter()  # what the receiver did meanwhile does not count


def _steps(run: Run, work: Work) -> Iterator[Step]:
    """Nothing done but the weights read, then the steps of the encoding."""
    if len(work):
        open_model(run.model, work)
    yield Step(0, 0, 0, 0)
    if len(work):
        yield from encoding(run.model, work, run.vectors, lambda line: run.listen(Event("warning", "", line)))


@dataclass
class _Meter:
    """What is done of a whole run's encoding: items, tokens, characters, and the seconds it took."""

    total: int
    total_characters: int
    items: int = 0
    characters: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def add(self, before: Step, step: Step, seconds: float) -> None:
        """Take in one step."""
        self.items += step.done - before.done
        self.tokens += step.tokens - before.tokens
        self.characters += step.characters - before.characters
        self.seconds += seconds

    def event(self, work: Work, names: Sequence[str], step: Step) -> Event:
        """What a screen shows of it."""
        parts = tuple(
            (name, int(np.searchsorted(needs, step.done)), len(needs))
            for name, needs in zip(names, work.needs, strict=True)
            if len(needs)
        )
        return Event(
            "encode",
            done=min(self.items, self.total),
            total=self.total,
            tokens=self.tokens,
            fraction=min(1.0, self.characters / max(1, self.total_characters)),
            parts=parts,
        )
