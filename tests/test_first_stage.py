"""Two stages: what the first proposes, what the second makes of it, what is kept, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ConfigError, ModelError, NonFiniteError, StoreError
from harness.first_stage import FirstStage, load_first_stage, split_first
from harness.jobs import Event
from harness.models import load_model
from harness.models.base import ModelCard
from harness.plan import plan_run, total
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_task
from harness.types import Pairs, Result
from tests.models import tiny, tiny_rotary
from tests.toys import Toy, retrieval_files, vector, write_task

# Six words each, so that BM25 ranks by the number of apples: d2, then d6 and d3 (equal, the higher id first),
# then d1, then d5 and d4 without any.
TEXTS = {
    "d1": "apple x x x x x",
    "d2": "apple apple apple x x x",
    "d3": "apple apple x x x x",
    "d4": "x x x x x x",
    "d5": "x x x x x x",
    "d6": "apple apple x x x x",
}


class Known:
    """A cross-encoder whose score of a document is its place in a list, and which keeps what it is asked."""

    def __init__(self, order: Sequence[str] = ()) -> None:
        self.card = ModelCard(name="test/known", revision="1", kind="cross-encoder", fingerprint="known-1")
        self.order = list(order)
        self.asked: list[tuple[str, str]] = []

    def score(self, pairs: Pairs) -> np.ndarray:
        self.asked += list(zip(pairs.left, pairs.right, strict=True))
        places = [self.order.index(text) if text in self.order else 99 for text in pairs.right]
        return -np.array(places, dtype=np.float32)


class Counting:
    """A searcher that counts its queries and answers the corpus as it stands."""

    def __init__(self, fingerprint: str | None = "search-1", scores: float = 1.0) -> None:
        self.card = ModelCard(name="test/search", revision="7", kind="lexical", fingerprint=fingerprint)
        self.searched, self.scores = 0, scores

    def search(self, queries: Sequence[str], corpus: Sequence[str], k: int) -> tuple[Any, Any]:
        self.searched += len(queries)
        width = min(k, len(corpus))
        ids = np.tile(np.arange(width), (len(queries), 1))
        return ids, np.full(ids.shape, self.scores, dtype=np.float32)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    qrels = [{"query_id": "q", "corpus_id": doc, "score": 1} for doc in ("d3", "d1")]
    root = write_task(
        tmp_path / "data",
        "Apples",
        "retrieval",
        "ndcg_at_10",
        test__corpus=[{"id": name, "title": "", "text": text} for name, text in TEXTS.items()],
        test__queries=[{"id": "q", "text": "apple"}],
        test__qrels=qrels,
    )
    listed = [{"query_id": f"q{i}", "corpus_ids": ["d0", "d1"]} for i in range(3)]
    write_task(root, "Rank", "reranking", "map_at_1000", **retrieval_files(3), test__candidates=listed)
    write_task(root, "Listed", "retrieval", "ndcg_at_10", **retrieval_files(3), test__candidates=listed)
    return write_task(root, "Find", "retrieval", "ndcg_at_10", **retrieval_files())


def run(
    tmp_path: Path, data: Path, model: Any, first: FirstStage | None, *tasks: str, **more: Any
) -> list[Result]:
    options = {"store": Store(tmp_path / "results"), "cache": tmp_path / "cache", **more}
    suite = load_task(*tasks, data=[data], cache=tmp_path / "cache")
    return list(evaluate(model, suite, first_stage=first, **options))


def candidate_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "candidates").glob("*"))


def test_the_best_of_bm25_are_reranked_and_a_missed_document_counts(tmp_path: Path, data: Path) -> None:
    cross = Known([TEXTS["d2"], TEXTS["d3"]])
    first = FirstStage(load_model("bm25"), 2)
    (result,) = run(tmp_path, data, cross, first, "Apples")
    assert cross.asked == [("apple", TEXTS["d2"]), ("apple", TEXTS["d6"])], "d6 before d3: the higher id"
    assert result.variant == ("first-bm25-2",)
    # d3 and d6 have one text: their scores are equal, too. d3 was cut, d1 never reached.
    assert result.exact["ndcg_at_10"] == 0
    assert result.exact["first_stage_recall_at_2"] == 0
    (result,) = run(tmp_path, data, cross, FirstStage(load_model("bm25"), 3), "Apples")
    # Reranked: d2, then d6 and d3 with equal scores, the higher id first: d3 is third, d1 is missing.
    assert result.exact["ndcg_at_10"] == pytest.approx((1 / log2(4)) / (1 / log2(2) + 1 / log2(3)))
    assert result.exact["first_stage_recall_at_3"] == result.metrics["first_stage_recall_at_3"] == 0.5
    assert result.exact["recall_at_10"] == 0.5
    provenance = result.provenance["first_stage"]
    assert (provenance["name"], provenance["depth"]) == ("harness/bm25", 3)
    assert provenance["fingerprint"] == first.card.fingerprint
    files = candidate_files(tmp_path)
    assert len(files) == 2, "one for each depth"
    head, row = next(f.read_text().splitlines() for f in files if '"depth": 3' in f.read_text())
    assert json.loads(row) == {"query_id": "q", "corpus_ids": ["d2", "d6", "d3"]}
    assert json.loads(head)["sha256"] == result.provenance["candidates_sha256"]


def test_the_ceiling_is_the_first_stages_own_recall(tmp_path: Path, data: Path) -> None:
    """Over the smoke suite's real texts: BM25's recall as a model of its own, and as a first stage."""
    bm25 = load_model("bm25")
    suite = load_task("SmokeRetrievalMean", cache=tmp_path)
    alone = {r.task: r for r in evaluate(bm25, suite, cache=tmp_path)}
    staged = list(evaluate(Known(), suite, cache=tmp_path, first_stage=FirstStage(bm25, 5)))
    *members, mean = staged
    assert [r.task for r in members] == ["SmokeRetrieval", "SmokeRetrievalZh"]
    assert [r.variant for r in staged] == [("first-bm25-5",)] * 3
    assert mean.main_score == pytest.approx(sum(r.main_score for r in members) / 2)
    for result in members:
        ceiling = result.exact["first_stage_recall_at_5"]
        assert ceiling == pytest.approx(alone[result.task].exact["recall_at_5"])
        assert 0 < ceiling <= 1


def test_a_bi_encoder_proposes_what_its_vectors_say_and_keeps_them(tmp_path: Path, data: Path) -> None:
    prompts = {"query": "find: ", "document": "text: "}
    toy = Toy(prompts=prompts)
    cross = Known()
    (result,) = run(tmp_path, data, cross, FirstStage(toy, 4), "Find")
    files = retrieval_files()
    documents = {d["id"]: d["text"] for d in files["test__corpus"]}
    due = []
    for query in files["test__queries"]:
        left = vector(f"find: {query['text']}")
        scores = {}
        for name, text in documents.items():
            right = vector(f"text: {text}")
            scores[name] = float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
        best = sorted(scores, key=lambda name: (round(scores[name], 6), name), reverse=True)[:4]
        due += [(query["text"], documents[name]) for name in best]
    assert sorted(cross.asked) == sorted(due)
    assert result.variant == ("first-test__toy-4",)
    assert result.provenance["first_stage"]["prompts"] == {"queries": "find: ", "documents": "text: "}
    assert len(toy.encoded) == 12
    again = Toy(prompts=prompts)
    run(tmp_path, data, Known(), FirstStage(again, 3), "Find")
    run(tmp_path, data, again, None, "Find")
    assert again.encoded == [], "another depth, and the model's own run, find its vectors"
    other = Toy(prompts={"query": "search: "})
    run(tmp_path, data, Known(), FirstStage(other, 4), "Find")
    assert other.encoded, "other prompts are other vectors"
    assert len(candidate_files(tmp_path)) == 3


def test_candidates_are_found_once(tmp_path: Path, data: Path) -> None:
    first = Counting()
    (before,) = run(tmp_path, data, Known(), FirstStage(first, 2), "Find")
    assert first.searched == 6
    (again,) = run(tmp_path, data, Known(), FirstStage(first, 2), "Find")
    (forced,) = run(tmp_path, data, Known(), FirstStage(first, 2), "Find", force=True)
    assert (again.reused, forced.reused, first.searched) == (True, False, 6)
    assert forced.exact == before.exact
    assert forced.provenance["candidates_sha256"] == before.provenance["candidates_sha256"]
    for path in candidate_files(tmp_path):
        path.unlink()
    (stored,) = run(tmp_path, data, Known(), FirstStage(first, 2), "Find")
    assert (stored.reused, first.searched) == (True, 6), "a result that stands needs no candidates"
    run(tmp_path, data, Known(), FirstStage(first, 2), "Find", force=True, no_cache=True)
    assert (first.searched, candidate_files(tmp_path)) == (12, [])


@pytest.mark.parametrize("damage", ["cut", "swap", "empty", "binary"])
def test_a_damaged_file_is_reported_and_made_again(tmp_path: Path, data: Path, damage: str) -> None:
    first = Counting()
    (before,) = run(tmp_path, data, Known(), FirstStage(first, 2), "Find")
    (path,) = candidate_files(tmp_path)
    whole = path.read_bytes()
    broken = {"cut": whole[:-20], "swap": whole.replace(b"d5", b"d0"), "empty": b"", "binary": b"\xff\n\xff"}
    assert broken[damage] != whole
    path.write_bytes(broken[damage])
    events: list[Event] = []
    (after,) = run(tmp_path, data, Known(), FirstStage(first, 2), "Find", force=True, listen=events.append)
    assert first.searched == 12
    assert [path.name in e.text for e in events if e.what == "warning"] == [True]
    assert path.read_bytes() == whole
    assert after.exact == before.exact


def test_another_first_stage_is_another_result(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data, Known(), FirstStage(Counting(), 2), "Find")
    events: list[Event] = []
    changed = Counting("search-2")
    (result,) = run(tmp_path, data, Known(), FirstStage(changed, 2), "Find", listen=events.append)
    assert (result.reused, changed.searched) == (False, 6)
    assert any("the first stage changed" in e.text for e in events if e.what == "stale")
    nameless = Counting(None)
    for count in (6, 12):
        (result,) = run(tmp_path, data, Known(), FirstStage(nameless, 2), "Find")
        assert (result.reused, nameless.searched) == (False, count)
    assert len(candidate_files(tmp_path)) == 2, "without a fingerprint nothing is kept"


def test_the_address_names_it_where_it_has_a_part(tmp_path: Path, data: Path) -> None:
    from mteb.results import TaskResult

    events: list[Event] = []
    tasks = ("Rank", "Listed", "Find")
    first = FirstStage(Counting(), 2)
    results = run(tmp_path, data, Known(), first, *tasks, listen=events.append)
    assert [r.variant for r in results] == [(), (), ("first-test__search-2",)]
    assert [r.provenance["first_stage"] is None for r in results] == [True, True, False]
    assert first.model.searched == 6
    (note,) = [e.text for e in events if "address" in e.text]
    assert "Rank, Listed" in note
    assert "Find" not in note
    place = tmp_path / "results" / "test__known"
    assert (place / "1" / "Rank.json").is_file()
    assert (place / "1+first-test__search-2" / "Find.json").is_file()
    store = Store(tmp_path / "results")
    read = TaskResult.from_disk(place / "1+first-test__search-2" / "Find.json")
    assert read.scores["test"][0]["first_stage_recall_at_2"] == results[-1].metrics["first_stage_recall_at_2"]
    found = store.get("test/known", "1", ("first-test__search-2",), "mteb", "Find", "test", "default")
    assert found is not None
    (task,) = load_task("Find", data=[data], cache=tmp_path).tasks
    exact, _ = task.scorer.load().metrics_from(store.samples(found), {**task.settings, "main": task.main})
    assert exact == pytest.approx(dict(results[-1].exact), abs=1e-12)
    assert "first_stage_recall_at_2" in exact


def test_a_querys_own_document_is_no_candidate(tmp_path: Path) -> None:
    from harness.data.examples import RankingExamples
    from harness.kinds.first_stage import found_by_search, found_by_vectors
    from harness.types import Vectors

    ids = ["a", "b", "c", "d"]
    examples = RankingExamples(
        ["a", "x"], ["A", "X"], ids, ["A", "B", "C", "D"], {"a": {"b": 1}, "x": {"a": 1}}
    )
    same = np.ones((4, 2), dtype=np.float32)
    vectors = {"queries": Vectors.of(same[:2]), "documents": Vectors.of(same)}
    for own, due in (
        (True, {"a": ["d", "c", "b"], "x": ["d", "c", "b"]}),
        (False, {"a": ["d", "c"], "x": ["d", "c"]}),
    ):
        settings = {"ignore_identical_ids": own, "similarity": "cosine"}
        depth = 3 if own else 2
        assert found_by_vectors(examples, vectors, settings, depth) == due
        assert found_by_search(examples, Counting().search, settings, depth) == due
    everything = {"ignore_identical_ids": True, "similarity": "cosine"}
    found = found_by_vectors(examples, vectors, everything, 9)
    assert found == {"a": ["d", "c", "b"], "x": ["d", "c", "b", "a"]}


def test_what_makes_no_sense_is_refused(tmp_path: Path, data: Path) -> None:
    bm25 = load_model("bm25")
    for model in (Toy(), bm25):
        with pytest.raises(ConfigError, match=f"{model.card.name} is of kind {model.card.kind}.*by itself"):
            run(tmp_path, data, model, FirstStage(bm25), "Find")
    with pytest.raises(ConfigError, match="test/known is a cross-encoder and cannot search"):
        FirstStage(Known())
    with pytest.raises(ConfigError, match="at least 1"):
        FirstStage(bm25, 0)
    with pytest.raises(ModelError, match=r"Find .*--first-stage bm25"):
        run(tmp_path, data, Known(), None, "Find")
    with pytest.raises(NonFiniteError, match=r"Find \(test, default\): .*not finite"):
        run(tmp_path, data, Known(), FirstStage(Counting(scores=np.nan)), "Find")
    assert not candidate_files(tmp_path)


def test_a_first_stage_that_fails_does_not_end_a_run_that_goes_on(tmp_path: Path, data: Path) -> None:
    events: list[Event] = []
    first = FirstStage(Counting(scores=np.inf), 2)
    results = run(tmp_path, data, Known(), first, "Find", "Rank", keep_going=True, listen=events.append)
    assert [r.task for r in results] == ["Rank"]
    assert [e.task for e in events if e.what == "failed"] == ["Find"]
    folder = tmp_path / "results" / "test__known" / "1+first-test__search-2"
    assert (folder / "Find.failed.json").is_file()


def test_lists_that_cannot_be_kept_fail_their_task_alone(tmp_path: Path, data: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "candidates").write_text("")
    events: list[Event] = []
    first = FirstStage(Counting(), 2)
    results = run(tmp_path, data, Known(), first, "Find", "Rank", keep_going=True, listen=events.append)
    assert [r.task for r in results] == ["Rank"]
    (failure,) = [e.text for e in events if e.what == "failed"]
    assert "cannot be written" in failure
    with pytest.raises(StoreError, match=r"candidates.*cannot be written"):
        run(tmp_path, data, Known(), first, "Find", "Rank")


def test_names_and_depths(tmp_path: Path) -> None:
    def named(text: str) -> tuple[str, tuple[str, ...], int]:
        first = load_first_stage(text, cache=tmp_path)
        return first.card.name, first.card.variant, first.depth

    assert named("bm25") == ("harness/bm25", (), 100)
    assert named("bm25-50") == ("harness/bm25", (), 50)
    assert named("char-ngram-7") == ("harness/char-ngram", (), 7)
    with pytest.raises(ConfigError, match="cannot search"):
        named("fake-cross-10")
    folder = tiny.bi_encoder(tmp_path / "step-40")
    assert named(str(folder)) == ("local/step-40", (), 100), "what exists is a name as it stands"
    assert named(f"{folder}-9") == ("local/step-40", (), 9)
    assert named(f"{folder}+bf16-9") == ("local/step-40", ("bf16",), 9)


def test_a_first_stage_in_a_models_name() -> None:
    assert split_first("x+first-bm25-50+bf16") == ("x+bf16", "bm25-50")
    assert split_first("o/x@abc+first-org__some-model--bf16-20") == ("o/x@abc", "org/some-model+bf16-20")
    assert split_first("o/x+len9") == ("o/x+len9", None)


def test_the_plan_counts_pairs_without_a_search(tmp_path: Path, data: Path) -> None:
    first = Counting()
    suite = load_task("Find", "Rank", data=[data], cache=tmp_path)
    options = {"cache": tmp_path / "cache", "first_stage": FirstStage(first, 4)}
    (guessed, cost), (_, rank) = plan_run(Known(), suite, **options)
    assert (cost.texts, cost.missing, first.searched) == (24, 24, 0)
    assert guessed.candidates_sha256 is None
    assert rank.texts == 6
    assert not (tmp_path / "cache").exists()
    list(evaluate(Known(), suite, **options))
    (known, cost), _ = plan_run(Known(), suite, **options)
    assert (cost.texts, cost.missing, first.searched) == (24, 0, 6)
    assert known.candidates_sha256


def test_the_plan_counts_what_a_bi_encoder_encodes_for_its_search(tmp_path: Path, data: Path) -> None:
    first = FirstStage(Toy(prompts={"query": "find: "}), 4)
    suite = load_task("Find", "Rank", data=[data], cache=tmp_path)
    options = {"cache": tmp_path / "cache", "first_stage": first}
    (search, before), (_, pairs), (_, rank) = plan_run(Known(), suite, **options)
    assert (before.model, before.texts, before.missing) == ("test/toy", 12, 12)
    assert search.shown["queries"].startswith("find: ")
    assert (pairs.model, pairs.texts, rank.texts) == ("", 24, 6)
    assert total([before, pairs, rank]).missing == 12 + pairs.missing + rank.missing
    assert not (tmp_path / "cache").exists()
    list(evaluate(Known(), suite, **options))
    assert [cost.model for _, cost in plan_run(Known(), suite, **options)] == ["", ""], "its lists are kept"
    deeper = {**options, "first_stage": FirstStage(first.model, 5)}
    (_, before), *_ = plan_run(Known(), suite, **deeper)
    assert (before.texts, before.cached, before.missing) == (12, 12, 0)


def test_options_reach_a_first_stage_that_can_take_them(bi: Path, tmp_path: Path) -> None:
    def loaded(name: str, **options: Any) -> ModelCard:
        return load_first_stage(
            name, cache=tmp_path, **{"dtype": "bfloat16", "device": "cpu", **options}
        ).card

    assert (loaded(str(bi)).dtype, loaded(str(bi)).variant) == ("bfloat16", ("bf16",))
    assert loaded(f"{bi}+fp16-20").dtype == "float16", "the name's own"
    assert loaded(str(bi), dtype="float32").variant == ()
    assert loaded(str(tiny_rotary.published(tmp_path / "rotary"))).dtype == "bfloat16"
    assert loaded("bm25-7").name == "harness/bm25"
    assert loaded("char-ngram").dtype == "float32"
    folder = tiny.copied(bi, tmp_path / "pickled")
    import torch

    torch.save(tiny.tensors(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="--allow-pickle"):
        loaded(str(folder))
    assert loaded(str(folder), allow_pickle=True).kind == "bi-encoder"
    with pytest.raises(ConfigError, match=r"pinned revision: some/model@"):
        loaded("some/model", trust_remote_code=True, offline=True)
    rows = tmp_path / "models.yaml"
    row = {
        "display": "me/served", "kind": "bi-encoder", "adapter": "remote",
        "base_url": "http://localhost:1/v1", "api_model": "served",
    }  # fmt: skip
    rows.write_text(json.dumps({"models": {"served": row}}))
    assert loaded("served-5", catalog=rows).device == "service"
