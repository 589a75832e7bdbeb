"""Growth: `harness eval` on 1, 2, 4 and 8 times a corpus; time a document should not change."""

from __future__ import annotations

import random
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.contest import Setup, hidden, ours, say
from benchmarks.inputs import document_texts, grown_corpus, read_rows
from benchmarks.process import run
from benchmarks.table import Row, markdown, number

SIZES = (1, 2, 4, 8)
TASK = "Growth"
QUERIES = 20
NONE = 8  # documents of the run that stands for start-up


def measured(setup: Setup, source: Path, base: int) -> tuple[Row, str]:
    """The row, and the table of every size.

    Args:
        source: task folder whose documents and queries are taken.
        base: documents at 1x.
    """
    texts = document_texts(read_rows(source / "test.corpus.jsonl"))
    documents = random.Random(0).sample(sorted(set(texts)), base)
    queries = [row["text"] for row in read_rows(source / "test.queries.jsonl")[:QUERIES]]
    data = {size: setup.work / f"data-{size}" for size in (0, *SIZES)}
    grown_corpus(documents[:NONE], queries, 1, data[0] / TASK)
    for size in SIZES:
        grown_corpus(documents, queries, size, data[size] / TASK)
    seconds: dict[int, list[float]] = {size: [] for size in data}
    memory: dict[int, list[int]] = {size: [] for size in data}
    for turn in range(setup.runs):
        order = [0, *SIZES, 0]  # start-up counts against every size, so it is measured twice as often
        for size in order if turn % 2 == 0 else reversed(order):
            home = setup.work / "run"
            shutil.rmtree(home, ignore_errors=True)
            done = run(ours(replace(setup, data=data[size]), [TASK], home, "float32"), hidden(setup.device))
            seconds[size].append(done.seconds)
            memory[size].append(done.memory)
            say(f"growth {size}x {turn + 1}/{setup.runs}: {done.seconds:.1f} s")
    shutil.rmtree(setup.work, ignore_errors=True)
    each = per_document(seconds, base)
    row = Row(
        f"growth: a document at {SIZES[-1]} x {base}; peer: ours at 1 x {base}",
        each[SIZES[-1]],
        each[SIZES[0]],
        unit="ms",
        target="0.9 to 1.1",
        memory=memory[SIZES[-1]],
        peer_memory=memory[SIZES[0]],
    )
    return row, _table(each, seconds, base)


def per_document(seconds: Mapping[int, Sequence[float]], base: int) -> dict[int, list[float]]:
    """Milliseconds a document at each size, the median time of the run of size 0 subtracted."""
    start = statistics.median(seconds[0])
    return {
        size: [1000 * (own - start) / (size * base - NONE) for own in times]
        for size, times in seconds.items()
        if size
    }


def _table(each: Mapping[int, Sequence[float]], seconds: Mapping[int, Sequence[float]], base: int) -> str:
    first = statistics.median(each[SIZES[0]])
    rows = [
        [
            f"{size}x",
            f"{size * base:,}",
            f"{statistics.median(seconds[size]):.2f}",
            number(statistics.median(each[size])),
            f"{statistics.median(each[size]) / first:.3f}",
        ]
        for size in SIZES
    ]
    start = f"Start-up, subtracted: {statistics.median(seconds[0]):.2f} s (a run on {NONE} documents)."
    head = ("size", "documents", "seconds, start-up included", "ms a document", "against 1x")
    return f"{start}\n\n{markdown(head, rows)}"
