"""evaluate(): every text once, stored results reused while valid, failures recorded, kills survived."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness import encoding
from harness.errors import DataError, ModelError, NonFiniteError
from harness.jobs import Event
from harness.kinds import sts
from harness.plan import plan_run
from harness.run import evaluate
from harness.scorers import SCORERS
from harness.store import Store
from harness.suite import load_suite, load_task
from harness.types import Result, Texts
from tests.toys import Toy, ToyCross, retrieval_files, sts_rows, write_task


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    write_task(root, "One", "sts", "cosine_spearman", test=sts_rows())
    write_task(root, "Two", "sts", "cosine_spearman", test=sts_rows()[:10])
    write_task(root, "Find", "retrieval", "ndcg_at_10", **retrieval_files())
    return root


def run(
    tmp_path: Path, data: Path, model: object = None, tasks: tuple[str, ...] = ("One",), **options
) -> list[Result]:
    suite = load_task(*tasks, data=[data])
    store = options.pop("store", Store(tmp_path / "results"))
    return list(evaluate(model or Toy(), suite, store=store, cache=tmp_path / "cache", **options))


def test_a_text_that_two_tasks_need_is_encoded_once(tmp_path: Path, data: Path) -> None:
    model = Toy()
    results = run(tmp_path, data, model, ("One", "Two", "Find"))
    assert [r.task for r in results] == ["One", "Two", "Find"]
    assert len(model.encoded) == len(set(model.encoded))


def test_a_second_run_reuses_results_and_encodes_nothing(tmp_path: Path, data: Path) -> None:
    first = run(tmp_path, data)
    model = Toy()
    second = run(tmp_path, data, model)
    assert not model.encoded
    assert [r.reused for r in first] == [False]
    assert [r.reused for r in second] == [True]
    assert second[0].metrics == {k: pytest.approx(v, abs=5e-7) for k, v in first[0].metrics.items()}
    assert second[0].exact == first[0].exact


def test_force_scores_again_with_stored_vectors(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data)
    (path,) = (tmp_path / "results").rglob("One.json")
    before = json.loads(path.read_text())
    model = Toy()
    (result,) = run(tmp_path, data, model, force=True)
    assert not result.reused
    assert not model.encoded
    after = json.loads(path.read_text())
    assert after["scores"] == before["scores"]
    entry = ("harness", "entries", "test", "default")
    for document in (before, after):
        for key in entry:
            document = document[key]
        document["provenance"] = None
    old, new = (d["harness"]["entries"]["test"]["default"] for d in (before, after))
    assert old == new


def test_no_cache_encodes_again_and_keeps_nothing(tmp_path: Path, data: Path) -> None:
    model = Toy()
    run(tmp_path, data, model, no_cache=True)
    assert model.encoded
    assert not (tmp_path / "cache" / "vectors").exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fingerprint": "toy-2"}, "the model changed"),
        ({"prompts": {"sentence": "p: "}}, "the prompts changed"),
        ({"similarity": "dot"}, "the similarity changed"),
    ],
)
def test_a_changed_model_is_scored_again_and_says_why(
    tmp_path: Path, data: Path, change: dict, why: str
) -> None:
    run(tmp_path, data)
    said: list[Event] = []
    (result,) = run(tmp_path, data, Toy(**change), listen=said.append)
    assert not result.reused
    assert any(e.what == "stale" and why in e.text for e in said)


def test_changed_data_settings_and_scorer_are_scored_again(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, data)
    said: list[Event] = []
    write_task(data, "One", "sts", "cosine_spearman", test=sts_rows(11))
    assert not run(tmp_path, data, listen=said.append)[0].reused
    assert "the data changed" in said[0].text
    newer = replace(SCORERS["sts", "correlation"], version=99)
    monkeypatch.setitem(SCORERS, ("sts", "correlation"), newer)
    said.clear()
    assert not run(tmp_path, data, listen=said.append)[0].reused
    assert any("the scorer changed" in e.text for e in said)


def test_a_model_without_a_fingerprint_is_never_reused(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data, Toy(fingerprint=None))
    said: list[Event] = []
    model = Toy(fingerprint=None)
    (result,) = run(tmp_path, data, model, listen=said.append)
    assert not result.reused
    assert model.encoded
    assert any("no fingerprint" in e.text for e in said)
    assert not (tmp_path / "cache" / "vectors").exists()


def test_prompts_are_rendered_recorded_and_part_of_the_text(tmp_path: Path, data: Path) -> None:
    model = Toy(prompts={"query": "Q: ", "document": "D: "})
    (result,) = run(tmp_path, data, model, ("Find",))
    assert {text[:3] for text in model.encoded} == {"Q: ", "D: "}
    assert result.provenance["prompts"] == {"queries": "Q: ", "documents": "D: "}
    assert result.provenance["first_texts"]["queries"].startswith("Q: ")


def test_prompts_that_no_task_of_the_run_gets_are_said_once(tmp_path: Path, data: Path) -> None:
    said: list[Event] = []
    model = Toy(prompts={"query": "Q: ", "document": "D: ", "sentence": "S: "}, prompt_policy="mteb")
    run(tmp_path, data, model, ("Find", "One", "Two"), listen=said.append)
    found = [e.text for e in said if "no task of this run" in e.text]
    assert found == ["no task of this run gets these prompts (policy mteb): sentence 'S: '"]
    said.clear()
    run(tmp_path, data, Toy(prompts={"sentence": "S: "}), ("One",), listen=said.append)
    assert not [e for e in said if "no task of this run" in e.text]


def test_nan_from_a_model_names_the_text_and_leaves_earlier_results(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data, tasks=("Two",))
    before = {p: p.read_bytes() for p in (tmp_path / "results").rglob("*.json")}

    class Breaks(Toy):
        def encode(self, texts):
            return np.full((len(texts), 8), np.nan, dtype=np.float32)

    with pytest.raises(NonFiniteError, match=r"topic|question"):
        run(tmp_path, data, Breaks(), ("Two", "Find"))
    for path, raw in before.items():
        assert path.read_bytes() == raw
    (failure,) = Store(tmp_path / "results").failures()
    assert failure.task == "Find"
    assert "NaN" in failure.error


def test_keep_going_records_the_failure_and_goes_on(tmp_path: Path, data: Path) -> None:
    write_task(data, "Flat", "sts", "cosine_spearman", test=[{**row, "score": 1} for row in sts_rows()])
    said: list[Event] = []
    results = run(tmp_path, data, tasks=("Flat", "One"), keep_going=True, listen=said.append)
    assert [r.task for r in results] == ["One"]
    assert [e.task for e in said if e.what == "failed"] == ["Flat"]
    write_task(data, "Flat", "sts", "cosine_spearman", test=sts_rows())
    run(tmp_path, data, tasks=("Flat",))
    assert not list(Store(tmp_path / "results").failures()), "success takes the failure away"


def test_all_data_problems_are_said_before_any_encoding(tmp_path: Path, data: Path) -> None:
    (data / "Find" / "test.qrels.jsonl").unlink()
    write_task(data, "Bad", "sts", "cosine_spearman", test=[{"sentence1": "a", "score": 1}])
    model = Toy()
    with pytest.raises(DataError) as caught:
        run(tmp_path, data, model, ("One", "Find", "Bad"))
    assert "test.qrels.jsonl" in str(caught.value)
    assert "no field 'sentence2'" in str(caught.value)
    assert not model.encoded


def test_a_model_of_the_wrong_kind_is_refused_by_task_and_skipped_by_suite(
    tmp_path: Path, data: Path
) -> None:
    write_task(
        data,
        "Sort",
        "classification",
        "accuracy",
        train=[{"text": "a", "label": 0}],
        test=[{"text": "b", "label": 0}],
    )
    cross = ToyCross()
    with pytest.raises(
        ModelError,
        match=r"Sort .classification. is scored with a bi-encoder model; test/cross is of",
    ):
        run(tmp_path, data, cross, ("Sort",))
    with pytest.raises(ModelError, match="reranks what a first stage found"):
        run(tmp_path, data, cross, ("Find",))
    assert cross.scored == 0


def test_a_cross_encoder_scores_pairs_and_keeps_them(tmp_path: Path, data: Path) -> None:
    candidates = [{"query_id": f"q{i}", "corpus_ids": ["d0", "d1", "d2"]} for i in range(3)]
    write_task(data, "Rank", "reranking", "map_at_1000", **retrieval_files(3), test__candidates=candidates)
    cross = ToyCross()
    results = run(tmp_path, data, cross, ("Rank", "One"))
    assert [r.main_metric for r in results] == ["map_at_1000", "spearman"]
    assert cross.scored == 9 + 12
    again = ToyCross()
    run(tmp_path, data, again, ("Rank", "One"), force=True)
    assert again.scored == 0


def test_smoke_runs_with_a_cross_encoder_and_with_bm25(tmp_path: Path) -> None:
    from harness.models import load_model

    suite = load_suite("smoke")
    kinds = {r.kind for r in evaluate(ToyCross(), suite, cache=tmp_path)}
    assert kinds == {"sts", "pair_classification", "reranking", "instruction_reranking", "triplet"}
    found = list(evaluate(load_model("bm25"), suite, cache=tmp_path))
    assert {r.kind for r in found} == {"retrieval", "reranking", "instruction_reranking", "aggregate"}
    assert all(0 <= r.main_score <= 1 or r.main_metric == "p-MRR" for r in found)


def test_every_stored_metric_comes_out_of_the_stored_samples(tmp_path: Path) -> None:
    suite = load_suite("smoke")
    store = Store(tmp_path / "results")
    tasks = {task.name: task for task in suite.tasks}
    for result in evaluate(Toy(), suite, store=store, cache=tmp_path / "cache"):
        task = tasks[result.task]
        settings = {**task.settings, "similarity": "cosine", "main": task.main}
        stored = store.get("test/toy", "1", (), "mteb", result.task, result.split, result.subset)
        assert stored is not None
        samples = store.samples(stored)
        assert isinstance(samples, pa.Table)
        exact, undefined = task.scorer.load().metrics_from(samples, settings)
        assert dict(exact) == pytest.approx(dict(result.exact), abs=1e-12), result.task
        assert set(undefined) == set(result.undefined), result.task


def test_an_aggregate_is_the_mean_of_its_members(tmp_path: Path) -> None:
    results = {r.task: r for r in evaluate(Toy(), load_suite("smoke"), cache=tmp_path)}
    members = [results[name].main_score for name in ("SmokeRetrieval", "SmokeRetrievalZh")]
    assert results["SmokeRetrievalMean"].main_score == pytest.approx(sum(members) / 2)


def test_the_plan_counts_and_writes_nothing(tmp_path: Path, data: Path) -> None:
    planned = plan_run(Toy(), load_task("One", "Two", data=[data]), cache=tmp_path / "cache")
    assert [(p.texts, p.missing) for _, p in planned] == [(24, 24), (20, 0)], "Two's texts all stand in One"
    assert not (tmp_path / "cache").exists()
    run(tmp_path, data)
    planned = plan_run(Toy(), load_task("One", data=[data]), cache=tmp_path / "cache")
    assert planned[0][1].missing == 0


def test_another_order_of_tasks_gives_the_same_scores(tmp_path: Path, data: Path) -> None:
    one = {r.task: r.exact for r in run(tmp_path / "a", data, tasks=("One", "Two", "Find"))}
    two = {r.task: r.exact for r in run(tmp_path / "b", data, tasks=("Find", "Two", "One"))}
    assert one == two


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from harness import encoding
from harness.engine import encode
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_task
from tests.toys import Toy
encode.SHARD_TEXTS, encoding.TOGETHER = 4, int(sys.argv[2])
class Slow(Toy):
    def encode(self, texts):
        time.sleep(0.05)
        return super().encode(texts)
root = Path(sys.argv[1])
suite = load_task("One", "Two", "Big", data=[root / "data"])
for result in evaluate(Slow(), suite, store=Store(root / "results"), cache=root / "cache"):
    print(result.task, flush=True)
"""


@pytest.mark.parametrize("together", [0, 10**9])
def test_kill_minus_nine_then_again(tmp_path: Path, data: Path, together: int) -> None:
    write_task(data, "Big", "sts", "cosine_spearman", test=sts_rows(60, offset=100))
    reference = {r.task: dict(r.exact) for r in run(tmp_path / "other", data, tasks=("One", "Two", "Big"))}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(together)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    if not together:
        assert process.stdout.readline().strip() == "One"
    folder = tmp_path / "cache" / "vectors" / "toy-1"
    while len(list(folder.glob("*.safetensors"))) < 12 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    kept = len(list(folder.glob("*.safetensors"))) * 4
    model = Toy()
    results = run(tmp_path, data, model, ("One", "Two", "Big"))
    assert results[0].reused == (not together), "finished work is not done again"
    assert {r.task: dict(r.exact) for r in results} == reference
    assert 0 < len(model.encoded) <= 24 + 120 - kept + 4, "at most the unfinished shard is encoded again"


class Elsewhere(Toy):
    """A model that computes on another device, slowly, and says when it was asked."""

    def __init__(self) -> None:
        super().__init__(device="cuda")
        self.asked: list[float] = []

    def encode(self, texts: Texts) -> np.ndarray:
        self.asked.append(time.perf_counter())
        time.sleep(0.2)
        return super().encode(texts)


def test_scoring_runs_beside_encoding_where_the_model_is_elsewhere(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "TOGETHER", 0)
    order: list[tuple[str, float]] = []
    score = sts.score

    def slow(*args: object) -> object:
        time.sleep(0.1)
        order.append((threading.current_thread().name, time.perf_counter()))
        return score(*args)

    monkeypatch.setattr(sts, "score", slow)
    write_task(data, "Three", "sts", "cosine_spearman", test=sts_rows(offset=50))
    model = Elsewhere()
    events: list[Event] = []
    results = run(tmp_path, data, model, ("One", "Three", "Find"), listen=events.append)
    assert [r.task for r in results] == ["One", "Three", "Find"]
    assert all(name.startswith("score") for name, _ in order)
    assert model.asked[1] < order[0][1], "the second task is encoded while the first is scored"
    whats = [(e.what, e.task) for e in events]
    assert whats.index(("done", "One")) > whats.index(("start", "One"))
    on_cpu = run(tmp_path / "cpu", data, Toy(), ("One", "Three", "Find"))
    assert [dict(r.exact) for r in on_cpu] == [dict(r.exact) for r in results]


def test_texts_of_all_tasks_are_encoded_longest_first(tmp_path: Path, data: Path) -> None:
    model = Toy()
    run(tmp_path, data, model, ("One", "Find", "Two"))
    lengths = [len(text) for text in model.encoded]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(model.encoded)) == len(model.encoded)


def test_a_bad_text_fails_only_the_tasks_that_need_it(tmp_path: Path, data: Path) -> None:
    write_task(data, "Clean", "sts", "cosine_spearman", test=sts_rows(offset=300))

    class Bad(Toy):
        def encode(self, texts: Texts) -> np.ndarray:
            rows = super().encode(texts)
            rows[[text.startswith("row 11 ") for text in texts.items]] = np.nan
            return rows

    events: list[Event] = []
    results = run(tmp_path, data, Bad(), ("One", "Two", "Clean"), keep_going=True, listen=events.append)
    assert [r.task for r in results] == ["Two", "Clean"]
    assert [(e.what, e.task) for e in events if e.what == "failed"] == [("failed", "One")]
    with pytest.raises(NonFiniteError, match="One"):
        run(tmp_path / "again", data, Bad(), ("Two", "One", "Clean"))
    assert [r.task for r in Store(tmp_path / "again" / "results").results()] == ["Two"]


def test_progress_counts_the_whole_run_and_each_task(tmp_path: Path, data: Path) -> None:
    events: list[Event] = []
    run(tmp_path, data, Toy(), ("One", "Two", "Find"), listen=events.append)
    steps = [e for e in events if e.what == "encode"]
    assert (steps[0].done, steps[0].fraction) == (0, 0.0)
    assert steps[-1].done == steps[-1].total > 0
    assert steps[-1].fraction == 1.0
    assert [name for name, _, _ in steps[-1].parts] == [
        "One test/default", "Two test/default", "Find test/default",
    ]  # fmt: skip
    assert all(done == due for _, done, due in steps[-1].parts)
    assert [e.done for e in steps] == sorted(e.done for e in steps)


def test_an_aggregate_is_written_where_only_its_members_were_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    for name in ("SmokeRetrieval", "SmokeRetrievalZh"):
        list(evaluate(Toy(), load_task(name), store=store, cache=tmp_path))
    results = list(evaluate(Toy(), load_task("SmokeRetrievalMean"), store=store, cache=tmp_path))
    assert [r.reused for r in results] == [True, True, False]
    assert store.get("test/toy", "1", (), "mteb", "SmokeRetrievalMean", "test", "default") is not None
    again = list(evaluate(Toy(), load_task("SmokeRetrievalMean"), store=store, cache=tmp_path))
    assert [r.reused for r in again] == [True, True, True]


def test_lost_samples_are_made_again(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data)
    (samples,) = (tmp_path / "results").rglob("One.*.parquet")
    samples.write_bytes(b"xx")
    said: list[Event] = []
    assert not run(tmp_path, data, listen=said.append)[0].reused
    assert "per-example values" in said[0].text
    assert run(tmp_path, data)[0].reused


def test_a_suite_selects_a_metric_and_what_is_stored_stays(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data)
    path = tmp_path / "mine.yaml"
    path.write_text("suite: mine\ntitle: Mine\ntasks:\n  - {name: One, main: cosine_pearson}\n")
    suite = load_suite(str(path), data=[data])
    store = Store(tmp_path / "results")
    (result,) = evaluate(Toy(), suite, store=store, cache=tmp_path / "cache")
    assert result.reused
    assert result.main_metric == "cosine_pearson"
    assert next(store.results()).main_metric == "cosine_spearman"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda n: (_ for _ in range(n)), "generator"),
        (lambda n: [["a"]] * n, "no array of floats"),
        (lambda n: [[1.0], [1.0, 2.0]] * (n // 2), "no array of floats"),
        (lambda n: np.full((n, 2), 1j), "complex"),
        (lambda n: {}["missing"], "encode failed with KeyError"),
        (lambda n: np.full((n, n % 7 + 1), 1.0), "earlier ones have|shape|One"),
    ],
)
def test_whatever_a_model_answers_or_raises_is_blamed_on_it(
    tmp_path: Path, data: Path, answer, complaint: str
) -> None:
    class Odd(Toy):
        def encode(self, texts):
            return answer(len(texts))

    with pytest.raises((ModelError, DataError), match=complaint):
        run(tmp_path, data, Odd(), ("One", "Two"))


def test_torch_tensors_of_any_precision_are_taken(tmp_path: Path, data: Path) -> None:
    import torch

    class Tensors(Toy):
        def encode(self, texts):
            return torch.from_numpy(super().encode(texts)).to(torch.bfloat16).requires_grad_()

    (result,) = run(tmp_path, data, Tensors())
    assert result.main_score == pytest.approx(run(tmp_path / "b", data)[0].main_score, abs=0.2)


def test_a_fingerprint_cannot_lead_out_of_the_cache(tmp_path: Path, data: Path) -> None:
    with pytest.raises(ModelError, match="names no folder"):
        run(tmp_path, data, Toy(fingerprint="../../evil"))


def test_data_that_lower_a_score_silently_are_said(tmp_path: Path, data: Path) -> None:
    files = retrieval_files()
    files["test__qrels"] += [
        {"query_id": "q0", "corpus_id": "gone", "score": 1},
        {"query_id": "q1", "corpus_id": "d1", "score": 0},
    ]
    files["test__qrels"] = [q for q in files["test__qrels"] if (q["query_id"], q["score"]) != ("q1", 1)]
    write_task(data, "Odd", "retrieval", "ndcg_at_10", **files)
    said: list[Event] = []
    run(tmp_path, data, tasks=("Odd",), listen=said.append)
    warned = [e.text for e in said if e.what == "warning"]
    assert len(warned) == 2
    assert "1 judged documents are not in the corpus" in warned[0]
    assert "1 queries have no relevant document" in warned[1]


def test_the_plan_without_the_cache_encodes_everything(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data)
    suite = load_task("One", data=[data])
    assert plan_run(Toy(), suite, cache=tmp_path / "cache", no_cache=True)[0][1].missing == 24


def test_an_aggregate_is_of_one_split_and_of_all_its_members(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in ("A", "B"):
        write_task(root, name, "sts", "cosine_spearman", test=sts_rows(), dev=sts_rows(9))
    path = tmp_path / "mine.yaml"
    path.write_text(
        "suite: mine\ntitle: Mine\ntasks:\n  - {name: Mean, kind: aggregate, main: cosine_spearman, "
        "members: [A, B], splits: [test], subsets: [default]}\n"
    )
    results = list(evaluate(Toy(), load_suite(str(path), data=[root]), cache=tmp_path))
    assert [(r.task, r.split) for r in results] == [("A", "test"), ("B", "test"), ("Mean", "test")]
    assert results[2].main_score == pytest.approx((results[0].main_score + results[1].main_score) / 2)
    write_task(root, "B", "sts", "cosine_spearman", test=[{**row, "score": 1} for row in sts_rows()])
    store = Store(tmp_path / "results")
    suite = load_suite(str(path), data=[root])
    kept = list(evaluate(Toy(), suite, cache=tmp_path, store=store, keep_going=True))
    assert [r.task for r in kept] == ["A"]
    assert {failure.task for failure in store.failures()} == {"B", "Mean"}


@pytest.mark.parametrize(
    ("places", "complaint"),
    [
        ([0, 0], "twice"),
        ([0, 6], "outside"),
        ([[0], [1]], "shapes"),
    ],
)
def test_a_searcher_that_answers_nonsense(tmp_path: Path, data: Path, places: list, complaint: str) -> None:
    class Searcher:
        card = Toy(kind="lexical").card

        def search(self, queries, corpus, k):
            found = np.array([places] * len(queries))
            return found, np.ones(found.shape[:2], dtype=np.float32)

    with pytest.raises(ModelError, match=complaint):
        run(tmp_path, data, Searcher(), ("Find",))


def test_vectors_that_overflow_are_no_score(tmp_path: Path, data: Path) -> None:
    class Huge(Toy):
        def encode(self, texts):
            return super().encode(texts) * 1e30

    with pytest.raises(NonFiniteError, match="infinite"):
        run(tmp_path, data, Huge(similarity="dot"), ("Find",))
