"""Anonymous memory of a whole run over a large corpus, and the law it follows.

    python -m benchmarks.corpus_memory --docs 2000000 --format parquet

Makes corpora of a quarter, half and all of `--docs` documents of 384 dimensions (titles, texts of 100 to 300
characters), scores each end to end with `harness eval` and a cheap deterministic model in a process of its
own, and prints the peak of anonymous memory (RssAnon), the bytes a document takes, and what 7 million
documents of 1,024 dimensions would take.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import process
from benchmarks.table import markdown

TASK, MODEL, DIM = "LargeCorpus", "letter-pairs", 384
LIMIT = 4e9
FAR = (7_000_000, 1024)
_BUCKETS = 1024
_ROWS = 50_000


def main() -> None:
    """Print one Markdown table and the law; the exit code says whether the largest corpus kept the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--docs", type=int, default=2_000_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--format", choices=("parquet", "jsonl"), default="parquet")
    parser.add_argument("--memory", help="passed on to `harness eval`")
    parser.add_argument("--once", action="store_true", help="the largest size alone, without the law")
    parser.add_argument("--folder", type=Path, help="where corpora and vectors lie (default: temporary)")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child is not None:
        _child(args.dim, args.child)
        return
    sizes = [args.docs] if args.once else [args.docs // 4, args.docs // 2, args.docs]
    rows = []
    for docs in sizes:
        with tempfile.TemporaryDirectory(dir=args.folder, prefix="corpus-") as folder:
            rows.append(_measured(Path(folder), docs, args))
    print("\n".join(_report(rows, args)))
    if rows[-1]["memory"] > LIMIT:
        raise SystemExit(1)


def _measured(folder: Path, docs: int, args: argparse.Namespace) -> dict[str, Any]:
    write_corpus(folder / "data" / TASK, docs, args.queries, args.format)
    evaluated = ["eval", MODEL, "--task", TASK, "--data", folder / "data", "--json"]
    evaluated += ["--results", folder / "results", "--cache", folder / "cache"]
    evaluated += ["--memory", args.memory] if args.memory else []
    name = "benchmarks.corpus_memory"
    found = process.run(process.module(name, f"--dim={args.dim}", "--child", *evaluated))
    (score,) = json.loads(found.stdout)
    return {
        "docs": docs,
        "memory": found.memory,
        "seconds": found.seconds,
        "score": score["main_score"],
        "metric": score["main_metric"],
    }


def _report(rows: list[dict[str, Any]], args: argparse.Namespace) -> list[str]:
    head = ("documents", "queries", "dim", "format", "seconds", "peak RssAnon MB", "main score")
    body = [
        (f"{r['docs']:,}", f"{args.queries:,}", str(args.dim), args.format, f"{r['seconds']:.1f}",
         f"{r['memory'] / 1e6:,.0f}", f"{r['metric']} {100 * r['score']:.2f}")
        for r in rows
    ]  # fmt: skip
    lines = [markdown(head, body), ""]
    lines.append(f"Bound: {LIMIT / 1e9:.0f} GB; the largest took {rows[-1]['memory'] / 1e9:.2f} GB.")
    if len(rows) > 1:
        # Of the two largest: in small corpora another step of the run holds the most.
        each, always = np.polyfit([r["docs"] for r in rows[-2:]], [r["memory"] for r in rows[-2:]], 1)
        docs, dim = FAR
        taken = f"{(always + each * docs) / 1e9:.1f} GB of anonymous memory"
        lines.append(f"Law: {always / 1e6:.0f} MB + {each:.0f} bytes a document; vectors are mapped files.")
        lines.append(
            f"{docs:,} such documents, {dim:,} dimensions: {taken}, {docs * dim * 4 / 1e9:.0f} GB of disk."
        )
    return lines


def write_corpus(folder: Path, docs: int, queries: int, suffix: str) -> None:
    """A retrieval task: documents of random words, each query a stretch of a document's text."""
    rng = np.random.default_rng(0)
    vocabulary = [
        "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), n)) for n in rng.integers(2, 10, 5000)
    ]
    pool = " ".join(vocabulary[i] for i in rng.zipf(1.3, 4_000_000) % len(vocabulary))
    folder.mkdir(parents=True)
    asked: list[dict[str, str]] = []
    every = max(1, docs // queries)
    with _writer(folder / f"test.corpus.{suffix}") as write:
        for start in range(0, docs, _ROWS):
            count = min(_ROWS, docs - start)
            at, length = rng.integers(0, len(pool) - 400, count), rng.integers(100, 301, count)
            texts = [pool[a : a + n] for a, n in zip(at.tolist(), length.tolist(), strict=True)]
            ids = [f"d{start + i:07d}" for i in range(count)]
            titles = [text[5:25].strip() for text in texts]
            write([{"id": i, "title": t, "text": x} for i, t, x in zip(ids, titles, texts, strict=True)])
            for i in range(-start % every, count, every):
                if len(asked) < queries:
                    asked.append({"id": f"q{len(asked)}", "text": texts[i][10:70], "doc": ids[i]})
    with _writer(folder / f"test.queries.{suffix}") as write:
        write([{"id": row["id"], "text": row["text"]} for row in asked])
    with _writer(folder / f"test.qrels.{suffix}") as write:
        write([{"query_id": row["id"], "corpus_id": row["doc"], "score": 1} for row in asked])
    manifest = {"kind": "retrieval", "main": "ndcg_at_10", "languages": ["eng-Latn"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


class _writer:  # noqa: N801
    """Rows into a .jsonl or .parquet file, block by block."""

    def __init__(self, path: Path) -> None:
        self.path, self._out = path, None

    def __enter__(self) -> Any:
        return self._write

    def _write(self, rows: list[dict[str, Any]]) -> None:
        if self.path.suffix == ".jsonl":
            self._out = self._out or self.path.open("w", encoding="utf-8")
            self._out.writelines(json.dumps(row) + "\n" for row in rows)
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        block = pa.Table.from_pylist(rows)
        self._out = self._out or pq.ParquetWriter(self.path, block.schema)
        self._out.write_table(block)

    def __exit__(self, *error: object) -> None:
        if self._out is not None:
            self._out.close()


def _child(dim: int, arguments: list[str]) -> None:
    """`harness eval` with the stand-in registered."""
    import harness
    from harness.cli import main as harness_main

    harness.models.register(MODEL)(lambda **options: LetterPairs(dim))
    sys.argv = ["harness", *arguments]
    harness_main()


class LetterPairs:
    """A bi-encoder: how often each pair of letters stands in a text, turned at random. Cheap, not blind."""

    def __init__(self, dim: int) -> None:
        from harness import ModelCard

        self.card = ModelCard(
            f"benchmark/{MODEL}", "1", fingerprint=f"{MODEL}-{dim}", dim=dim, backend="numpy", device="cpu"
        )
        rng = np.random.default_rng(1)
        self._turned = rng.standard_normal((_BUCKETS, dim), dtype=np.float32)

    def encode(self, texts: Any) -> Any:
        """Vectors float32 [n, dim]."""
        raw = [text.encode() for text in texts.items]
        owner = np.repeat(np.arange(len(raw)), [len(each) for each in raw])
        letters = np.frombuffer(b"".join(raw), dtype=np.uint8).astype(np.int64)
        pair = (letters[:-1] * 31 + letters[1:]) % _BUCKETS
        inside = owner[1:] == owner[:-1]
        counts = np.bincount(owner[:-1][inside] * _BUCKETS + pair[inside], minlength=len(raw) * _BUCKETS)
        return np.sqrt(counts.reshape(len(raw), _BUCKETS).astype(np.float32)) @ self._turned


if __name__ == "__main__":
    main()
