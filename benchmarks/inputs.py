"""Task data for both sides: the shared real data, parts of them, and corpora grown from them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.process import ROOT, BenchError

SIX = (
    "JSTS", "SciFact", "SciFactReranking", "Banking77Classification", "XQuADRetrieval", "XQuADReranking",
)  # fmt: skip
SMALL = ("JSTS", "Banking77Classification", "XQuADRetrieval", "XQuADReranking")
Rows = list[dict[str, Any]]


def shared_data() -> Path:
    """The folder of real task data.

    Raises:
        BenchError: there is none; says what to set.
    """
    folder = Path(os.environ.get("HARNESS_SHARED", ROOT.parent / "shared")) / "data"
    if not all((folder / task / "manifest.json").is_file() for task in SIX):
        raise BenchError(
            f"no real task data in {folder}\n"
            f"set HARNESS_SHARED to a folder with data/<Task>/ of {', '.join(SIX)}"
        )
    return folder


def six_tasks(source: Path, target: Path) -> Path:
    """`target` with the six tasks of `source`, of XQuADRetrieval the Chinese subset alone."""
    target.mkdir(parents=True, exist_ok=True)
    for task in SIX:
        if task != "XQuADRetrieval":
            (target / task).symlink_to((source / task).resolve())
            continue
        manifest = read_manifest(source / task)
        parts = {
            path.name.removesuffix(".jsonl"): read_rows(path)
            for path in sorted((source / task).glob("validation.zh.*.jsonl"))
        }
        write_task(target / task, manifest["kind"], manifest["main"], parts)
    return target


def fewer_queries(source: Path, target: Path, queries: int) -> Path:
    """A reranking task with its first `queries` queries and the documents that are candidates of theirs."""
    manifest = read_manifest(source)
    name = {part: f"test.{part}" for part in ("queries", "candidates", "qrels", "corpus")}
    parts = {part: read_rows(source / f"{stem}.jsonl") for part, stem in name.items()}
    kept = [row["id"] for row in parts["queries"][:queries]]
    lists = [row for row in parts["candidates"] if row["query_id"] in set(kept)]
    wanted = {doc for row in lists for doc in row["corpus_ids"]}
    cut = {
        "queries": parts["queries"][:queries],
        "candidates": lists,
        "qrels": [row for row in parts["qrels"] if row["query_id"] in set(kept)],
        "corpus": [row for row in parts["corpus"] if row["id"] in wanted],
    }
    return write_task(target, manifest["kind"], manifest["main"], {name[p]: rows for p, rows in cut.items()})


def grown_corpus(documents: Sequence[str], queries: Sequence[str], copies: int, target: Path) -> Path:
    """A retrieval task in which every document stands `copies` times, each time turned by some words.

    All texts differ, and the distribution of their lengths is the same at every size.
    """
    corpus = [
        {"id": f"{i}-{copy}", "title": "", "text": turned(text, copy)}
        for copy in range(copies)
        for i, text in enumerate(documents)
    ]
    parts = {
        "test.corpus": corpus,
        "test.queries": [{"id": f"q{i}", "text": text} for i, text in enumerate(queries)],
        "test.qrels": [
            {"query_id": f"q{i}", "corpus_id": f"{i % len(documents)}-0", "score": 1}
            for i in range(len(queries))
        ],
    }
    return write_task(target, "retrieval", "ndcg_at_10", parts)


def turned(text: str, copy: int) -> str:
    """The text with its first `copy` words moved to the end."""
    words = text.split()
    return " ".join(words[copy % len(words) :] + words[: copy % len(words)]) if words else text


def write_task(folder: Path, kind: str, main: str, parts: Mapping[str, Iterable[Mapping[str, Any]]]) -> Path:
    """A task folder: `<stem>.jsonl` a part, and the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for stem, rows in parts.items():
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        (folder / f"{stem}.jsonl").write_bytes(data)
        hashes[f"{stem}.jsonl"] = hashlib.sha256(data).hexdigest()
    manifest = {"kind": kind, "main": main, "languages": ["eng"], "source": "benchmark", "revision": "1"}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "files": hashes}))
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a task folder."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def read_rows(path: Path) -> Rows:
    """The rows of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def document_texts(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a model is given of corpus rows."""
    return [f"{row.get('title') or ''} {row['text']}".strip() for row in rows]
