"""What a first stage proposes on each job: searched once, kept by content, handed to the cross-encoder.

`<cache>/candidates/<key>.jsonl`: a line that says whose lists these are and their SHA-256, then one line a
query. The key is the SHA-256 over everything that decides the lists: the first stage's fingerprint and
prompts, the data, how many documents are asked for.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.data.examples import RankingExamples
from harness.encoding import encoded_jobs
from harness.engine.lists import FOLDER, Lists, read_lists, write_lists
from harness.engine.vectors import open_vectors
from harness.errors import HarnessError, StoreError
from harness.first_stage import FirstStage
from harness.jobs import Event, Job, first_job, with_candidates
from harness.kinds import first_stage as search
from harness.models.identity import fingerprint
from harness.paths import cache_folder
from harness.scoring import Encoded, Run, blaming, placed, vectors_of

SCHEMA = 1


@dataclass(frozen=True)
class Shelf:
    """Where lists are kept; a folder of None keeps none."""

    folder: Path | None

    @classmethod
    def of(cls, first: FirstStage, cache: str | Path | None, no_cache: bool) -> Shelf:
        """The cache's, unless nothing may be kept or nothing tells whether the first stage changed."""
        keeps = not no_cache and first.card.fingerprint is not None
        return cls(cache_folder(cache) / FOLDER if keeps else None)

    def read(self, job: Job) -> tuple[Lists, str] | None:
        """The lists kept for a job and their SHA-256; None where there are none.

        Raises:
            StoreError: the file is damaged, or belongs to something else.
        """
        path = self._path(job)
        if path is None or not path.is_file():
            return None
        facts, lists, digest = read_lists(path)
        facts.pop("model", None)
        if facts != _ingredients(job):
            raise StoreError(f"{path} is damaged: it is not what its first line says")
        with contextlib.suppress(OSError):
            os.utime(path)  # when it was last used
        return lists, digest

    def write(self, job: Job, lists: Lists) -> str:
        """Keep the lists of a job; their SHA-256.

        Raises:
            StoreError: the folder cannot be written.
        """
        facts = {**_ingredients(job), "model": (job.first or {}).get("name")}
        return write_lists(self._path(job), facts, lists)

    def _path(self, job: Job) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / f"{fingerprint(_ingredients(job))}.jsonl"


def proposed(
    run: Run, jobs: Sequence[Job], cache: str | Path | None, no_cache: bool
) -> Iterator[tuple[int, Job | HarnessError]]:
    """The number of each job with its candidates in, or the error it met.

    Kept lists are taken as they are; for the others the first stage searches, its vectors read from and
    kept in the vector store like those of any run.
    """
    assert run.first is not None
    shelf = Shelf.of(run.first, cache, no_cache)
    left = []
    for number, job in enumerate(jobs):
        try:
            kept = shelf.read(job)
        except StoreError as error:
            run.listen(Event("warning", job.task.name, f"{error}; the first stage searches again"))
            kept = None
        if kept is None:
            left.append(number)
        else:
            yield number, with_candidates(job, *kept)
    if left:
        for at, answer in _searched(run, run.first, [jobs[n] for n in left], cache, no_cache):
            job = jobs[left[at]]
            filled: Job | HarnessError
            try:
                filled = answer if isinstance(answer, HarnessError) else _kept(shelf, job, answer)
            except HarnessError as error:
                filled = error
            if isinstance(filled, HarnessError):
                filled = placed(filled, job.task.name, job.split, job.subset)
            yield left[at], filled


def assumed(first: FirstStage, job: Job, cache: str | Path | None, no_cache: bool) -> Job:
    """The job with the lists that are kept, else with as many documents from all over the corpus.

    For a plan, which searches nothing: such a job says no hash of its candidates.
    """
    try:
        kept = Shelf.of(first, cache, no_cache).read(job)
    except StoreError:
        kept = None
    return with_candidates(job, *(kept or (search.spread(_ranking(job), first.depth), None)))


def _kept(shelf: Shelf, job: Job, lists: Lists) -> Job:
    return with_candidates(job, lists, shelf.write(job, lists))


def _searched(
    run: Run, first: FirstStage, jobs: Sequence[Job], cache: str | Path | None, no_cache: bool
) -> Iterator[tuple[int, Lists | HarnessError]]:
    """The first stage through the machinery of a run of its own, which scores nothing and stores nothing."""
    vectors = open_vectors(first.card, cache, no_cache, lambda line: run.listen(Event("warning", "", line)))
    own = replace(run, model=first.model, first=None, store=None, vectors=vectors)
    wanted = [first_job(job, first.card) for job in jobs]
    for number, encoded in encoded_jobs(own, wanted, cache):
        answer: Lists | HarnessError
        try:
            answer = _found(own, first, wanted[number], encoded)
        except HarnessError as error:
            answer = error
        yield number, answer


def _found(run: Run, first: FirstStage, job: Job, encoded: Encoded | HarnessError) -> Lists:
    if isinstance(encoded, HarnessError):
        raise encoded
    started = time.perf_counter()
    settings = {**job.settings, "memory": run.memory}
    examples = _ranking(job)
    if encoded.request is None:
        lists = search.found_by_search(examples, blaming(run.model), settings, first.depth)
    else:
        vectors = vectors_of(run, job, encoded.request)
        lists = search.found_by_vectors(examples, vectors, settings, first.depth)
    share = float(search.recall(examples, lists).mean())
    took = encoded.seconds + time.perf_counter() - started
    place = f"{job.task.name} ({job.split}, {job.subset})"
    words = f"the best {first.depth} of {first.card.name} hold {share:.1%} of what is relevant, {took:.1f} s"
    run.listen(Event("note", job.task.name, f"{place}: {words}"))
    return lists


def _ranking(job: Job) -> RankingExamples:
    assert isinstance(job.examples, RankingExamples)  # no other job names a first stage
    return job.examples


def _ingredients(job: Job) -> dict[str, Any]:
    """All that decides the lists of a job, JSON-ready."""
    first = {name: value for name, value in (job.first or {}).items() if name not in ("name", "revision")}
    own = bool(job.settings["ignore_identical_ids"])
    return {"schema": SCHEMA, **first, "data": job.data_fingerprint, "ignore_identical_ids": own}
