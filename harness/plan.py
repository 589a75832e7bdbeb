"""What a run would cost, before it is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.engine.encode import Plan, plan
from harness.engine.vectors import open_vectors, pair_keys, text_keys
from harness.jobs import Job, nobody, prepare, select
from harness.suite import Suite
from harness.types import Texts


def plan_run(
    model: Any,
    suite: Suite,
    *,
    cache: str | Path | None = None,
    no_cache: bool = False,
    offline: bool = False,
) -> list[tuple[Job, Plan]]:
    """What scoring would cost, job by job: texts, distinct texts, and those the vector store lacks.

    Nothing is encoded and nothing is written. Texts that an earlier job already needs count as present.
    """
    store = open_vectors(model.card, cache, no_cache, lambda line: None)
    jobs = [
        job
        for task in select(suite, model.card, nobody)
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
