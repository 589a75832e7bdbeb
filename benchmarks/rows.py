"""What is measured under which name, and how each measure is made of its parts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import checkpoints, contest, forward, growth, inputs
from benchmarks.process import module, run
from benchmarks.table import Row

SINGLE = {
    "scifact": "SciFact",
    "scifact-reranking": "SciFactReranking",
    "jsts": "JSTS",
    "banking77": "Banking77Classification",
    "xquad-retrieval": "XQuADRetrieval",
    "xquad-reranking": "XQuADReranking",
}
TARGETS = {"eval-cold": "2.0x", "bf16": "5x, scores within 1e-3", "warm": "25x", "scifact": "1.35x"}
SIDES = {"eval-cold": "float32", "warm": "warm", "bf16": "bfloat16"}
OTHERS = {
    "scoring": ("benchmarks.scoring", "Retrieval scoring alone"),
    "corpus-memory": ("benchmarks.corpus_memory", "Memory of a large corpus"),
    "store-keys": ("benchmarks.store_keys", "Keys of the vector store"),
    "leaderboard": ("benchmarks.leaderboard", "Leaderboards over published results"),
}
NAMES = (*SIDES, *SINGLE, "forward", "forward-bf16", "rerank", "growth", *OTHERS)
# Long, and said by the rows around it: only where it is named.
LEFT_OUT = ("scifact-reranking",)
# One forward pass over SciFact takes minutes in float32, and so does the largest of the growing corpora.
ONCE = ("forward", "growth")


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        names: rows, of NAMES.
        runs: runs of each side; None: 3, for the rows of ONCE 1.
        tasks: of the rows that run tasks together.
        documents: texts of the forward pass; None: all of SciFact.
        queries: of the cross-encoder's task, on both sides.
        base: documents of the growing corpus at 1x.
        others: further arguments of a measure that is a program of its own.
    """

    names: Sequence[str]
    runs: int | None = None
    tasks: Sequence[str] = inputs.SIX
    documents: int | None = None
    queries: int = 100
    base: int = 600
    others: dict[str, list[str]] = field(default_factory=dict)

    def runs_of(self, name: str) -> int:
        """Runs of a row."""
        return self.runs or (1 if name in ONCE else 3)


Sections = list[tuple[str, str]]
Found = Iterator[tuple[list[Row], Sections]]


def measure(plan: Plan, work: Path) -> Found:
    """Measure one row after another; yields each as it is done, with the sections that go below the table.

    Args:
        work: an empty folder.

    Raises:
        BenchError: data or weights are missing, or a measured process failed.
    """
    wanted = set(plan.names)
    if wanted - set(OTHERS):
        yield from _against_mteb(plan, wanted, work)
    for name, (program, heading) in OTHERS.items():
        if name in wanted:
            text = run(module(program, *plan.others.get(name, []))).stdout
            contest.say(f"{name}: done")
            yield [], [(heading, text)]


def _against_mteb(plan: Plan, wanted: set[str], work: Path) -> Found:
    folder = checkpoints.minilm_folder()
    data = inputs.six_tasks(inputs.shared_data(), work / "data")
    # Libraries into the page cache and bytecode onto the disk, for both sides; not counted.
    run([sys.executable, "-c", "import datasets, mteb, sentence_transformers, harness.run, harness.store"])

    def setup(name: str) -> contest.Setup:
        return contest.Setup(checkpoints.MINILM, folder, data, work / name, plan.runs_of(name))

    if together := [name for name in SIDES if name in wanted]:
        yield _together(setup(together[0]), plan.tasks, together), []
    for name, task in SINGLE.items():
        if name in wanted:
            found = contest.contest(setup(name), [task], ["float32", "mteb"])
            title = f"{task} alone, cold store, float32"
            yield [contest.row(title, found, "float32", TARGETS.get(name, ""))], []
    for name, dtype in (("forward", "float32"), ("forward-bf16", "bfloat16")):
        if name in wanted:
            corpus = data / "SciFact" / "test.corpus.jsonl"
            options = {"dtype": dtype, "device": "cpu", "runs": plan.runs_of(name), "limit": plan.documents}
            yield [forward.measured(checkpoints.MINILM, folder, corpus, **options)], []
            contest.say(f"{name}: done")
    if "rerank" in wanted:
        cross = checkpoints.random_bert(work / "cross", folder, layers=6, hidden=384, heads=12, labels=1)
        given = replace(setup("rerank"), model=str(cross), folder=cross, cross=True)
        yield [reranking(given, work / "rerank-data", plan.queries, "6 x 384", "float32", "2.5x")], []
    if "growth" in wanted:
        row, table = growth.measured(setup("growth"), data / "SciFact", plan.base)
        yield [row], [("Growth", table)]


def reranking(
    setup: contest.Setup, folder: Path, queries: int, size: str, dtype: str, target: str = ""
) -> Row:
    """The row of a cross-encoder on the first queries of SciFactReranking."""
    task = "SciFactReranking"
    inputs.fewer_queries(setup.data / task, folder / task, queries)
    found = contest.contest(replace(setup, data=folder), [task], [dtype, "mteb"])
    name = f"cross-encoder {size}, random weights, {dtype}: {task}, {queries} queries x 20"
    return contest.row(name, found, dtype, target)


def _together(setup: contest.Setup, tasks: Sequence[str], names: Sequence[str]) -> list[Row]:
    sides = [SIDES[name] for name in names]
    if "warm" in sides and "float32" not in sides:
        sides.insert(sides.index("warm"), "float32")
    found = contest.contest(setup, tasks, [*sides, "mteb"])
    what = "six tasks" if len(tasks) == len(inputs.SIX) else f"{len(tasks)} of the six tasks"
    said = {
        "eval-cold": f"{what}, cold store, float32",
        "warm": f"{what}, warm store, float32",
        "bf16": f"{what}, cold store, bfloat16 against float32",
    }
    return [contest.row(said[name], found, SIDES[name], TARGETS[name]) for name in names]
