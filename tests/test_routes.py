"""Adapters by role and task kind: chosen, kept apart, recorded, and shown before and after a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.first_stage import FirstStage
from harness.jobs import Event
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_task
from harness.types import Result, Texts
from tests.cli.test_cli import harness
from tests.models import tiny_rotary
from tests.toys import Toy, ToyCross, retrieval_files, sts_rows, vector, write_task

ROUTES = {"query": "asks", "document": "tells", "sentence": "matches"}


class Routed(Toy):
    """A toy whose vectors depend on the adapter, and which keeps what it was asked by adapter."""

    def __init__(self, routes: dict[str, str] | None = None, **card: object) -> None:
        super().__init__(routes=ROUTES if routes is None else routes, **card)
        self.asked: list[tuple[str, str]] = []

    def encode(self, texts: Texts) -> np.ndarray:
        self.asked += [(texts.route, text) for text in texts.items]
        return np.stack([vector(text + 3 * texts.route) for text in texts.items])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    write_task(root, "One", "sts", "cosine_spearman", test=sts_rows())
    files = retrieval_files()
    files["test__corpus"][0]["text"] = sts_rows()[0]["sentence1"]  # stands in both tasks
    return write_task(root, "Find", "retrieval", "ndcg_at_10", **files)


def run(
    tmp_path: Path, data: Path, model: object, *tasks: str, said: list[Event] | None = None, **options: object
) -> list[Result]:
    listen = (said if said is not None else []).append
    suite, store = load_task(*tasks, data=[data]), Store(tmp_path / "results")
    return list(evaluate(model, suite, store=store, cache=tmp_path / "cache", listen=listen, **options))


def test_texts_go_through_the_adapter_of_their_role_and_kind(tmp_path: Path, data: Path) -> None:
    model, said = Routed(), list[Event]()
    one, find = run(tmp_path, data, model, "One", "Find", said=said)
    shared = sts_rows()[0]["sentence1"]
    assert sorted(route for route, text in model.asked if text == shared) == ["matches", "tells"]
    assert {route for route, text in model.asked if text.endswith("question")} == {"asks"}
    assert len(model.asked) == len(set(model.asked)), "a text is embedded once an adapter"
    assert one.provenance["routes"] == {"sentence1": "matches", "sentence2": "matches"}
    assert find.provenance["routes"] == {"queries": "asks", "documents": "tells"}
    lines = [event.text for event in said if event.what == "prompt"]
    assert [line.split(",")[0] for line in lines] == [
        "adapter 'matches'",
        "adapter 'asks'",
        "adapter 'tells'",
    ]
    again = Routed()
    assert [result.reused for result in run(tmp_path, data, again, "One", "Find")] == [True, True]
    assert not again.asked


def test_another_adapter_is_another_score(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data, Routed(), "One", "Find")
    said = list[Event]()
    model = Routed({**ROUTES, "sentence": "matched"})
    one, find = run(tmp_path, data, model, "One", "Find", said=said)
    assert (one.reused, find.reused) == (False, True)
    assert {route for route, _ in model.asked} == {"matched"}
    assert any(e.what == "stale" and "the adapters of the texts changed" in e.text for e in said)


def test_a_model_without_adapters_says_nothing_of_them(tmp_path: Path, data: Path) -> None:
    said = list[Event]()
    (one,) = run(tmp_path, data, Toy(), "One", said=said)
    assert one.provenance["routes"] is None
    assert not [event for event in said if "adapter" in event.text]
    (path,) = (tmp_path / "results").rglob("One.json")
    document = json.loads(path.read_text())
    del document["harness"]["entries"]["test"]["default"]["provenance"]["routes"]
    path.write_text(json.dumps(document))
    assert run(tmp_path, data, Toy(), "One")[0].reused, "a result from before there were routes still stands"


def test_a_first_stage_searches_through_its_adapters(tmp_path: Path, data: Path) -> None:
    model = Routed()
    (found,) = run(tmp_path, data, ToyCross(), "Find", first_stage=FirstStage(model, 3))
    assert {route for route, _ in model.asked} == {"asks", "tells"}
    assert found.provenance["first_stage"]["routes"] == {"queries": "asks", "documents": "tells"}
    other = FirstStage(Routed({**ROUTES, "query": "asked"}), 3)
    (again,) = run(tmp_path, data, ToyCross(), "Find", first_stage=other)
    assert not again.reused


def test_the_command_shows_adapters(tmp_path: Path, data: Path) -> None:
    """Of a tiny jina-embeddings-v3, from the dry run to the stored result."""
    folder = tiny_rotary.published(tmp_path / "jina-v3")
    catalog = tmp_path / "mine.yaml"
    catalog.write_text(
        "models:\n  tiny-v3:\n    display: me/tiny-v3\n    kind: bi-encoder\n    adapter: dense\n"
        f"    path: {folder}\n    prompts: {{query: 'Q: '}}\n"
        "    routes: {query: retrieval.query, document: retrieval.passage, sentence: text-matching}\n"
    )
    arguments = (
        "eval", "tiny-v3", "--catalog", catalog, "--task", "One", "--task", "Find", "--data", data,
        "--cache", tmp_path / "cache", "--results", tmp_path / "r", "--device", "cpu",
    )  # fmt: skip
    plan = harness(*arguments, "--dry-run")
    assert plan.code == 0, plan.err
    assert "One test/default sentence1 through adapter 'text-matching': 'row 0" in plan.out
    assert "Find test/default queries through adapter 'retrieval.query': 'Q: a question'" in plan.out
    done = harness(*arguments, "--json")
    assert done.code == 0, done.err
    assert "adapter 'retrieval.query', 'Q: ' for queries of Find" in done.err
    (path,) = (tmp_path / "r").rglob("Find.json")
    entry = json.loads(path.read_text())["harness"]["entries"]["test"]["default"]
    assert entry["provenance"]["routes"] == {"queries": "retrieval.query", "documents": "retrieval.passage"}
    shown = harness("show", "tiny-v3", "--catalog", catalog, "--json")
    routed = json.loads(shown.out)["model"]["routed"]
    assert routed["retrieval"] == {"query": "retrieval.query", "document": "retrieval.passage"}
    assert routed["sts"] == {"sentence": "text-matching"}
