"""Retrieval scoring alone, vectors given: this program's against mteb's, one fresh process a run.

    python -m benchmarks.scoring --queries 2000 --docs 20000 --dim 768 --runs 3

Timed is the scoring call: the search for the best 1,000 documents of each query and every metric. Imports,
the making of the data and mteb's data loaders (nothing is encoded) stay outside. Extra memory is the growth
of anonymous memory (RssAnon) over what the process held before the call, watched from the outside.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import math
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

SIZES = ((2_000, 20_000, 768, 3), (20_000, 100_000, 768, 1))
SIDES = ("mteb", "ours")
MIB = 2**20


def main() -> None:
    """Print one Markdown table; without sizes, of both standard sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--queries", type=int)
    parser.add_argument("--docs", type=int)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        child(args.side, args.queries, args.docs, args.dim)
        return
    sizes = SIZES
    if args.queries and args.docs:
        sizes = ((args.queries, args.docs, args.dim, args.runs or (3 if args.docs < 50_000 else 1)),)
    print("\n".join(table([row for size in sizes for row in compare(*size)])))


def compare(queries: int, docs: int, dim: int, runs: int) -> list[dict[str, Any]]:
    """Alternating runs of both sides: a row a side with medians, and how far the metrics are apart."""
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(runs):
        for side in SIDES:
            found[side].append(watched(side, queries, docs, dim))
    theirs, ours = (found[side][0]["metrics"] for side in SIDES)
    apart = max(abs(ours[name] - theirs[name]) for name in ours)
    return [
        {
            "size": f"{queries:,} x {docs:,} x {dim}",
            "side": side,
            "seconds": statistics.median(run["seconds"] for run in found[side]),
            "memory": statistics.median(run["memory"] for run in found[side]),
            "ndcg": found[side][0]["metrics"]["ndcg_at_10"],
            "apart": apart,
            "metrics": len(ours),
        }
        for side in SIDES
    ]


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown lines: a row a side, ratios in the rows of ours."""
    lines = [
        "| queries x documents x dim | by | median s | ratio | extra MiB | share | ndcg_at_10 | differ by |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for theirs, ours in zip(rows[::2], rows[1::2], strict=True):
        for row in (theirs, ours):
            ratio = f"{theirs['seconds'] / row['seconds']:.1f}x" if row is ours else ""
            share = f"{row['memory'] / theirs['memory']:.1%}" if row is ours else ""
            apart = f"{row['apart']:.1e} over {row['metrics']}" if row is ours else ""
            lines.append(
                f"| {row['size']} | {row['side']} | {row['seconds']:.2f} | {ratio} "
                f"| {row['memory'] / MIB:.0f} | {share} | {row['ndcg']:.5f} | {apart} |"
            )
    return lines


def watched(side: str, queries: int, docs: int, dim: int) -> dict[str, Any]:
    """One run in a process of its own, its anonymous memory sampled every 10 ms."""
    size = [f"--queries={queries}", f"--docs={docs}", f"--dim={dim}", f"--side={side}"]
    command = [sys.executable, "-m", "benchmarks.scoring", *size]
    root = Path(__file__).parent.parent
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root
    ) as process:
        assert process.stdin
        assert process.stdout
        if process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{side}: the run ended before it began")
        before = peak = anonymous(process.pid)
        over = threading.Event()

        def sample() -> None:
            nonlocal peak
            while not over.wait(0.01):
                peak = max(peak, anonymous(process.pid))

        thread = threading.Thread(target=sample)
        thread.start()
        process.stdin.write("go\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        over.set()
        thread.join()
    if not answer:
        raise SystemExit(f"{side}: the run failed")
    return {**json.loads(answer), "memory": peak - before}


def anonymous(pid: int) -> int:
    """RssAnon of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def child(side: str, queries: int, docs: int, dim: int) -> None:
    """Make the data, say "ready", wait for a line, score, and answer with seconds and metrics."""
    made = data(queries, docs, dim)
    score = {"ours": ours, "mteb": mteb}[side](made)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    metrics = score()
    seconds = time.perf_counter() - started
    flat = {n: float(v) for n, v in metrics.items() if isinstance(v, int | float) and not math.isnan(v)}
    print(json.dumps({"seconds": seconds, "metrics": flat}), flush=True)


def data(queries: int, docs: int, dim: int) -> SimpleNamespace:
    """Random unit-free vectors; each query lies near three documents, two of which are judged relevant."""
    rng = np.random.default_rng(0)
    documents = rng.standard_normal((docs, dim), dtype=np.float32)
    near = rng.integers(0, docs, (queries, 3))
    asked = documents[near].mean(axis=1) + 2.4 * rng.standard_normal((queries, dim), dtype=np.float32)
    doc_ids = [f"d{i:07d}" for i in rng.permutation(docs)]
    query_ids = [f"q{i}" for i in range(queries)]
    judged = zip(query_ids, near.tolist(), rng.integers(0, docs, queries).tolist(), strict=True)
    qrels = {name: {doc_ids[a]: 2, doc_ids[b]: 1, doc_ids[other]: 0} for name, (a, b, _), other in judged}
    return SimpleNamespace(
        queries=asked.astype(np.float32),
        documents=documents,
        doc_ids=doc_ids,
        query_ids=query_ids,
        qrels=qrels,
    )


def ours(made: SimpleNamespace) -> Any:
    """The scoring call of this program."""
    import pandas  # noqa: F401  # pyarrow imports it with the first array that it makes
    import pyarrow.compute  # noqa: F401
    import torch  # noqa: F401

    from harness.data.examples import RankingExamples
    from harness.kinds import ranking, scorer
    from harness.types import Vectors

    examples = RankingExamples(made.query_ids, made.query_ids, made.doc_ids, made.doc_ids, made.qrels)
    settings = {**scorer("retrieval").defaults, "similarity": "cosine", "main": "ndcg_at_10"}
    vectors = {"queries": Vectors.of(made.queries), "documents": Vectors.of(made.documents)}
    return lambda: ranking.score(examples, vectors, settings).metrics


def mteb(made: SimpleNamespace) -> Any:
    """The scoring call of mteb: its own retrieval task, its search wrapper, its metrics."""
    from datasets import Dataset
    from mteb import similarity_functions
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.mocks.mock_tasks import MockRetrievalTask
    from mteb.models import search_wrappers
    from mteb.types import PromptType

    class Given:
        mteb_model_meta = SimpleNamespace(name="given", revision="1")
        at = 0

        def encode(self, inputs: int, *, prompt_type: Any = None, **kwargs: Any) -> Any:
            if prompt_type == PromptType.query:
                return made.queries
            self.at += inputs
            return made.documents[self.at - inputs : self.at]

        def similarity(self, a: Any, b: Any) -> Any:
            return similarity_functions.cos_sim(a, b)

        def similarity_pairwise(self, a: Any, b: Any) -> Any:
            raise NotImplementedError

    class Task(MockRetrievalTask):
        def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
            corpus = {"id": made.doc_ids, "title": [""] * len(made.doc_ids), "text": made.doc_ids}
            split = RetrievalSplitData(
                queries=Dataset.from_dict({"id": made.query_ids, "text": made.query_ids}),
                corpus=Dataset.from_dict(corpus),
                relevant_docs=made.qrels,
                top_ranked=None,
            )
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    # Nothing is encoded, so nobody has to lay out texts in batches: mteb is not charged for that.
    search_wrappers.create_dataloader = lambda dataset, *args, **kwargs: len(dataset)
    task = Task()
    task.load_data()
    quiet = {"batch_size": 64, "show_progress_bar": False}
    return lambda: task.evaluate(Given(), split="test", encode_kwargs=quiet)["default"]


if __name__ == "__main__":
    main()
