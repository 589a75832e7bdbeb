"""Whole runs under JMTEB's protocols, from files to stored results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, ModelError
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_task
from tests.cli.test_cli import Answer, inside  # noqa: F401 - a fixture
from tests.data.test_dev_split import dev_files
from tests.toys import Toy, ToyCross, retrieval_files, sts_rows, write_task

P = "jmteb-1.3.3"
MAIN = {
    "Sim": "spearman",
    "Par": "binary_f1",
    "Cls": "macro_f1",
    "Clu": "v_measure",
    "Ret": "ndcg_at_10",
    "Rer": "ndcg_at_10",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One task of every kind that JMTEB scores."""
    words = ("cat", "money", "rain", "code")

    def labelled(n: int, text: str, label: str) -> list[dict[str, Any]]:
        return [{text: f"{words[i % 4] * 3} {i}", label: i % 4} for i in range(n)]

    def pairs(n: int, offset: int) -> list[dict[str, Any]]:
        rows = sts_rows(n, offset)
        return [{**row, "label": int(i < n / 2)} for i, row in enumerate(rows)]

    root = tmp_path / "data"
    write_task(root, "Sim", "sts", "cosine_spearman", validation=sts_rows(9, 3), test=sts_rows(12))
    write_task(root, "Par", "pair_classification", "max_ap", validation=pairs(8, 3), test=pairs(10, 0))
    rows = {s: labelled(n, "text", "label") for s, n in (("train", 24), ("validation", 8), ("test", 12))}
    write_task(root, "Cls", "classification", "accuracy", **rows)
    sets = {s: labelled(n, "sentences", "labels") for s, n in (("validation", 10), ("test", 12))}
    write_task(root, "Clu", "clustering", "v_measure", **sets)
    write_task(root, "Ret", "retrieval", "ndcg_at_10", **retrieval_files(), **dev_files())
    listed = {
        f"{split}__candidates": [{"query_id": f"{mark}{i}", "corpus_ids": ["d0", "d1", "d2", f"d{i}"]}]
        for split, mark, i in (("test", "q", 0), ("dev", "v", 0))
    }
    for split, mark, n in (("test", "q", 6), ("dev", "v", 3)):
        listed[f"{split}__candidates"] = [
            {"query_id": f"{mark}{i}", "corpus_ids": [f"d{(i + j) % 6}" for j in range(4)]} for i in range(n)
        ]
    return write_task(root, "Rer", "reranking", "map_at_1000", **retrieval_files(), **dev_files(), **listed)


def test_every_kind_end_to_end(
    data: Path,
    tmp_path: Path,
    bi: Path,
    inside: Callable[..., Answer],  # noqa: F811
) -> None:
    results = tmp_path / "results"
    named = [part for name in MAIN for part in ("--task", name)]
    asked = ("eval", bi, *named, "--data", data, "--results", results, "--device", "cpu", "--json")
    first = inside(*asked, "--protocol", P)
    assert first.code == 0, first.err
    found = {row["task"]: row for row in json.loads(first.out)}
    assert {name: row["main_metric"] for name, row in found.items()} == MAIN
    assert all(row["protocol"] == P and not row["reused"] for row in found.values())
    assert found["Cls"]["chosen_on_dev"] in ("knn_cosine_k_2", "logreg")
    files = sorted(path.relative_to(results) for path in results.rglob("*.json") if path.parent.name == P)
    assert [path.name for path in files] == sorted(f"{name}.json" for name in MAIN)
    assert {path.parts[2:] for path in files} == {(P, f"{name}.json") for name in MAIN}
    stored = json.loads((results / files[0]).read_text())["scores"]["test"][0]
    assert stored["chosen_on_dev"] in stored["dev_scores"]

    again = inside(*asked, "--protocol", P)
    assert all(row["reused"] for row in json.loads(again.out))
    mended = inside(*asked, "--protocol", "jmteb")
    assert [row["protocol"] for row in json.loads(mended.out)] == ["jmteb"] * 6


def test_dev_texts_are_embedded_by_the_engine_once(data: Path, tmp_path: Path) -> None:
    model, store = Toy(), Store(tmp_path / "results")
    suite = load_task("Sim", "Ret", protocol=P, data=[data])
    first = list(evaluate(model, suite, store=store, cache=tmp_path / "cache"))
    assert len(model.encoded) == len(set(model.encoded))
    assert any(text == "ask 2" for text in model.encoded)
    model.encoded.clear()
    mended = load_task("Sim", "Ret", protocol="jmteb", data=[data])
    second = list(evaluate(model, mended, store=store, cache=tmp_path / "cache"))
    assert model.encoded == []
    assert [r.protocol for r in (*first, *second)] == [P, P, "jmteb", "jmteb"]
    assert not any(r.reused for r in second)


def test_a_changed_dev_split_scores_again(data: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "results")

    def run() -> bool:
        (result,) = evaluate(Toy(), load_task("Sim", protocol=P, data=[data]), store=store, cache=tmp_path)
        return result.reused

    assert (run(), run()) == (False, True)
    write_task(data, "Sim", "sts", "cosine_spearman", validation=sts_rows(8, 5))
    assert run() is False


def test_prompts_of_dev_are_those_of_test(data: Path, tmp_path: Path) -> None:
    model = Toy(prompts={"query": "ask: ", "document": "doc: "})
    (result,) = evaluate(model, load_task("Ret", protocol=P, data=[data]), cache=tmp_path)
    told = result.provenance["prompts"]
    assert told == {"queries": "ask: ", "dev_queries": "ask: ", "documents": "doc: "}


def test_protocols_never_meet_in_a_table(data: Path, tmp_path: Path) -> None:
    from harness.report import leaderboard

    store = Store(tmp_path / "results")
    for protocol in (P, "mteb"):
        list(evaluate(Toy(), load_task("Cls", protocol=protocol, data=[data]), store=store, cache=tmp_path))
    suite = load_task("Cls", protocol=P, data=[data])
    table = leaderboard(store, suite)
    assert len(table.frame) == 1
    assert "of protocol mteb, not jmteb-1.3.3: left out" in table.to_markdown()


def test_what_cannot_be_scored_is_refused(data: Path, tmp_path: Path) -> None:
    for name in ("Ret", "Rer", "Sim"):
        with pytest.raises(ModelError, match=f"{name} .* is scored with a bi-encoder model"):
            list(evaluate(ToyCross(), load_task(name, protocol=P, data=[data]), cache=tmp_path))
    write_task(data, "NoDev", "retrieval", "ndcg_at_10", **retrieval_files())
    with pytest.raises(DataError, match=r"NoDev .*no dev split"):
        list(evaluate(Toy(), load_task("NoDev", protocol=P, data=[data]), cache=tmp_path))
