"""The peer: mteb with its defaults on local task data, one process for all tasks.

python -m benchmarks.mteb_peer MODEL --data DIR --task T [--task T ...] --results DIR

MODEL is a folder. mteb is given a sentence-transformers model, which it wraps itself; batches of 32, results
written. Only its download is replaced: the data come from JSON lines instead of the hub's cache. The main
scores go to stdout as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.inputs import Rows, read_manifest, read_rows


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", action="append", required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--cross", action="store_true", help="MODEL is a cross-encoder")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device")
    args = parser.parse_args()
    import mteb
    import torch
    from mteb.cache import ResultCache
    from sentence_transformers import CrossEncoder, SentenceTransformer

    tasks = [loaded(name, args.data / name) for name in args.task]
    # float32 is what the checkpoint holds and so the default; nothing is passed for it.
    kwargs = {} if args.dtype == "float32" else {"model_kwargs": {"dtype": getattr(torch, args.dtype)}}
    model = (CrossEncoder if args.cross else SentenceTransformer)(args.model, device=args.device, **kwargs)
    found = mteb.evaluate(model, tasks, cache=ResultCache(args.results), overwrite_strategy="always")
    print(json.dumps({key: score for result in found.task_results for key, score in _main(result)}))


def loaded(name: str, folder: Path) -> Any:
    """mteb's task of that name with the data of a folder; a re-ranking task of ours where mteb has none."""
    manifest = read_manifest(folder)
    parts = {path.name.removesuffix(".jsonl"): read_rows(path) for path in folder.glob("*.jsonl")}
    if manifest["kind"] in ("retrieval", "reranking"):
        return _ranking(name, manifest, parts)
    import mteb
    from datasets import Dataset, DatasetDict

    task = mteb.get_task(name)
    task.dataset = DatasetDict({split: Dataset.from_list(rows) for split, rows in parts.items()})
    task.data_loaded = True
    return task


def _ranking(name: str, manifest: dict[str, Any], parts: dict[str, Rows]) -> Any:
    import mteb
    from datasets import Dataset
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData

    splits: dict[str, dict[str, Any]] = {}
    for stem, corpus in parts.items():
        place, _, part = stem.rpartition(".")
        if part != "corpus":
            continue
        split, _, subset = place.partition(".")
        lists = parts.get(f"{place}.candidates")
        judged: dict[str, dict[str, int]] = {}
        for row in parts[f"{place}.qrels"]:
            judged.setdefault(row["query_id"], {})[row["corpus_id"]] = row["score"]
        splits.setdefault(subset or "default", {})[split] = RetrievalSplitData(
            corpus=Dataset.from_list(corpus),
            queries=Dataset.from_list(parts[f"{place}.queries"]),
            relevant_docs=judged,
            top_ranked={row["query_id"]: row["corpus_ids"] for row in lists} if lists else None,
        )
    first = next(iter(splits.values()))
    try:
        task = mteb.get_task(name)
    except KeyError:
        task = _reranking(name, manifest, list(first))
    task.hf_subsets = list(splits)
    task.dataset, task.data_loaded = splits, True
    return task


def _reranking(name: str, manifest: dict[str, Any], splits: list[str]) -> Any:
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    described = TaskMetadata(
        name=name,
        description=name,
        dataset={"path": f"local/{name}", "revision": manifest["revision"]},
        type="Reranking",
        category="t2t",
        modalities=["text"],
        eval_splits=splits,
        eval_langs=["eng-Latn"],
        main_score=manifest["main"],
    )
    return type(name, (AbsTaskRetrieval,), {"metadata": described})()


def _main(result: Any) -> list[tuple[str, float]]:
    return [
        (f"{result.task_name} {split}/{entry['hf_subset']}", float(entry["main_score"]))
        for split, entries in result.scores.items()
        for entry in entries
    ]


if __name__ == "__main__":
    main()
