"""Our scores beside published ones: equal, close, different, and the causes that something speaks for."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError, RepositoryNotFoundError

from harness.definition import TaskDefinition
from harness.errors import ConfigError
from harness.models.catalog import load_catalog
from harness.report.card.groups import model_index
from harness.report.card.read import card_scores
from harness.report.sides import Side
from harness.report.verify.averages import expected_means, mean_lines, means, verify_means
from harness.report.verify.causes import Case, causes
from harness.report.verify.judge import exit_code, notes, to_json, verify
from harness.report.verify.published import Figure, card_figures, expected_figures, stored_figures
from harness.store import Store
from harness.suite import load_definition, load_suite
from harness.types import Result
from tests.cli.test_cli import Answer, inside  # noqa: F401 - a fixture
from tests.report.cards import jina_results, reference
from tests.report.make import result

CARD = """---
license: mit
model-index:
- name: a
  results:
  - task: {type: STS}
    dataset: {type: C-MTEB/AFQMC, name: MTEB AFQMC, config: default, split: validation, revision: None}
    metrics:
    - {type: cos_sim_pearson, value: 48.5}
    - {type: cos_sim_spearman, value: 50.59}
  - task: {type: Reranking}
    dataset: {type: C-MTEB/Mmarco-reranking, name: MTEB MMarcoReranking, split: dev}
    metrics: [{type: map, value: 31.544}]
---
# A
"""
A = "org/a"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(CARD, encoding="utf-8")
    return path


def sts(score: float, **changes: Any) -> Result:
    main = "cosine_spearman"
    fields = {"main": main, "kind": "sts", "scorer": "correlation@1", "split": "validation", **changes}
    return result(A, "AFQMC", score, **fields)


def side(*results: Result) -> Side:
    return Side(A, {(r.task, r.split, r.subset): r for r in results}, lambda r: None)


def figure(value: float, digits: int = 2, **changes: Any) -> Figure:
    fields: dict[str, Any] = {
        "task": "AFQMC", "split": "validation", "subset": "default", "metric": "cosine_spearman",
        "spelled": "cosine_spearman", "source": "a card",
    }  # fmt: skip
    return Figure(value=value, digits=digits, **{**fields, **changes})


def test_a_card_gives_every_figure_by_todays_names(card: Path) -> None:
    found = card_figures(card, "mteb")
    assert [(f.task, f.split, f.subset, f.metric, f.value, f.digits) for f in found] == [
        ("AFQMC", "validation", "default", "cosine_pearson", 48.5, 1),
        ("AFQMC", "validation", "default", "cosine_spearman", 50.59, 3),  # a zero may have gone
        ("MMarcoReranking", "dev", "default", "map_at_1000", 31.544, 3),
    ]
    assert found[0].revision == ""
    card.write_text(CARD.replace("48.5", "0.485").replace("50.59", "0.5059").replace("31.544", "0.31544"))
    assert [f.value for f in card_figures(card, "mteb")] == pytest.approx([48.5, 50.59, 31.544])


def test_a_card_of_both_profiles_has_two_scales(card: Path) -> None:
    ours = [result(A, "STSB", 0.5, kind="sts", main="cosine_spearman"), result(A, "Own", 0.875, split="val")]
    found = model_index(ours[:1]) + model_index(ours[1:], "generic").partition("results:\n")[2]
    card.write_text(f"---\n{found}---\n", encoding="utf-8")
    figures = card_figures(card, "mteb")
    assert [(f.task, f.split, f.value, f.digits) for f in figures] == [
        ("STSB", "test", 50.0, 1),
        ("Own", "val", 87.5, 1),
    ]
    assert [one.verdict for one in verify(side(*ours), figures, None, model=A)] == ["equal", "equal"]


def test_every_kind_of_task_comes_back_from_a_card(tmp_path: Path) -> None:
    """The reference results of the smoke suite have every metric that there is, p-MRR and nAUC too."""
    store = Store(Path(__file__).parents[2] / "results" / "reference", repair=False)
    ours = list(store.results(models=["sentence-transformers/all-MiniLM-L6-v2"]))
    (tmp_path / "card.yaml").write_text(model_index(ours, "generic"), encoding="utf-8")
    scores = {(s.task, s.split, s.subset, s.metric): s.value for s in card_scores(tmp_path / "card.yaml")[1]}
    due = {(r.task, r.split, r.subset, m): r.exact.get(m, v) for r in ours for m, v in r.metrics.items()}
    assert len(ours) > 20
    assert scores == due
    found = verify(side(*ours), card_figures(tmp_path / "card.yaml", "mteb"), None, model=A)
    assert [one.verdict for one in found] == ["equal"] * len(ours)


def test_a_figure_without_a_split_is_of_every_split_that_is_stored() -> None:
    told = figure(45.0, split="")
    (found,) = verify(side(sts(0.45)), [told], None, model=A)
    assert (found.verdict, found.place) == ("equal", "AFQMC")
    (found,) = verify(side(sts(0.4), sts(0.5, split="test")), [told], None, model=A)
    assert found.ours == pytest.approx(45)
    (found,) = verify(side(sts(0.45, subset="zh")), [told], None, model=A)
    assert found.verdict == "absent"


def test_of_two_revisions_on_a_card_ours_is_compared() -> None:
    told = [figure(50.59, revision="r1"), figure(40.0, revision="r2")]
    (found,) = verify(side(sts(0.4, data_revision="r2")), told, None, model=A)
    assert (found.figure.revision, found.verdict) == ("r2", "equal")


@pytest.mark.parametrize(
    ("ours", "digits", "verdict"),
    [
        (0.505949, 2, "equal"), (0.505851, 2, "equal"), (0.50597, 2, "close"), (0.505949, 4, "close"),
        (0.50689, 2, "close"), (0.5070, 2, "different"), (0.5047, 2, "different"),
    ],
)  # fmt: skip
def test_equal_is_to_the_digits_that_were_published(ours: float, digits: int, verdict: str) -> None:
    (found,) = verify(side(sts(ours)), [figure(50.59, digits)], None, model=A)
    assert found.verdict == verdict
    assert bool(found.hints) == (verdict == "different")
    assert exit_code([found]) == (verdict == "different")


def test_a_task_may_state_its_own_tolerance_and_what_is_expected() -> None:
    text = {"name": "SmokeSTS", "source": {"folder": "smoke"}, "expect": {A: 0.7}, "tolerance": 3}
    task = load_definition(TaskDefinition.model_validate(text), "mteb")
    figures = expected_figures([task], ["ORG/A", "a"], "toy")
    assert [(f.value, f.digits, f.metric) for f in figures] == [(pytest.approx(70), 0, "cosine_spearman")]
    for score, verdict in ((0.729, "close"), (0.731, "different")):
        one = replace(sts(score), task="SmokeSTS", split="test")
        (found,) = verify(side(one), figures, [task], model=A)
        assert found.verdict == verdict
    assert expected_figures([task], ["b"], "toy") == []
    one = replace(sts(0.7005), task="SmokeSTS", split="test")
    told = [replace(figures[0], value=70.0, digits=2)]
    assert verify(side(one), told, [replace(task, tolerance=0.0)], model=A)[0].verdict == "different"
    assert verify(side(one), told, [replace(task, tolerance=None)], model=A)[0].verdict == "close"


def test_a_metric_that_ours_lacks_is_named() -> None:
    (found,) = verify(side(sts(0.5)), [figure(80.0, metric="max_ap", spelled="max_ap")], None, model=A)
    assert (found.verdict, found.hints) == ("absent", ("ours has no max_ap",))
    assert notes([found]) == ["AFQMC (validation/default): published, not compared; ours has no max_ap"]


def test_the_main_metric_counts_under_any_spelling_and_what_is_not_scored_is_named(card: Path) -> None:
    ours = sts(0.5059, metrics={"cosine_spearman": 0.5059, "cosine_pearson": 0.1},
               exact={"cosine_spearman": 0.5059, "cosine_pearson": 0.1})  # fmt: skip
    found = verify(side(ours), card_figures(card, "mteb"), None, model=A)
    assert [(f.figure.spelled, f.verdict) for f in found] == [
        ("cos_sim_spearman", "equal"),
        ("map", "absent"),
    ]
    elsewhere = verify(side(replace(ours, split="test")), card_figures(card, "mteb"), None, model=A)
    assert elsewhere[0].hints == ("ours is of test/default",)
    assert exit_code(elsewhere) == 2


def test_a_group_of_another_sort_is_not_ours_by_its_name_alone(tmp_path: Path) -> None:
    group = (
        "  - task: {type: %s}\n    dataset: {type: Own, name: Own, split: test}\n"
        "    metrics: [{type: ndcg@10, value: %s}]\n"
    )
    path = tmp_path / "README.md"

    def answer(ours: Result, *told: tuple[str, float]) -> Any:
        front = "---\nmodel-index:\n- name: a\n  results:\n" + "".join(group % one for one in told) + "---\n"
        path.write_text(front, encoding="utf-8")
        (found,) = verify(side(ours), card_figures(path, ours.protocol), None, model=A)
        return found

    ours = result(A, "Own", 0.5)
    both = answer(ours, ("text-ranking", 0.75), ("text-retrieval", 0.5))
    assert (both.verdict, both.figure.type) == ("equal", "text-retrieval")
    ranked = answer(ours, ("text-ranking", 0.5))
    assert (ranked.verdict, ranked.ours) == ("absent", None)
    (line,) = notes([ranked])
    assert line.endswith("not compared; the card's is of type text-ranking, ours of text-retrieval")
    crossed = replace(ours, kind="reranking")
    foreign = answer(crossed, ("cross-encoder-reranking", 0.5))
    assert foreign.verdict == "absent"
    assert "--protocol sbert" in foreign.hints[0]
    assert answer(replace(crossed, protocol="sbert"), ("cross-encoder-reranking", 0.5)).verdict == "equal"
    apart = answer(ours, ("text-retrieval", 0.75))
    assert apart.hints == ("protocol: ours is mteb; the card's group is not MTEB's and names no protocol",)


def test_published_trees_are_figures_too() -> None:
    public = sts(
        0.505912, scorer="mteb", data_fingerprint="", data_revision="r2", provenance={"source": "mteb"}
    )
    (told,) = stored_figures(side(public), "a folder")
    assert (told.value, told.digits, told.revision) == (pytest.approx(50.5912), 4, "r2")


def why(ours: Result, told: Figure, *others: Result, model: str = A) -> list[str]:
    row = load_catalog(None).find(model)
    return causes(Case(told, [ours], 100 * ours.main_score, 0.01, others, row, model))


@pytest.mark.parametrize(
    ("changes", "told", "words"),
    [
        ({"provenance": {"prompt_policy": "none"}}, {}, "run with --prompts card"),
        ({"provenance": {"prompt_policy": "card", "prompts": {"a": "query: "}}}, {}, "'query: '"),
        ({"provenance": {"prompts": {"a": ""}}}, {}, "the catalog has no row"),
        ({"variant": ("len128",), "provenance": {"max_length": 128}}, {}, "run without --max-length"),
        ({"kind": "retrieval", "provenance": {"max_length": 8192}}, {}, "try --max-length 512"),
        ({"provenance": {"dtype": "bfloat16"}}, {}, "run with --dtype float32"),
        ({"metrics": {"cosine_spearman": 0.4, "pearson": 0.5059}}, {}, "metric: our pearson"),
        ({}, {"value": 0.4}, "scale: "),
        ({"scorer": "bootstrap_kmeans@1", "provenance": {"settings": {}}}, {}, "rng: sequence"),
        ({"data_revision": "abc"}, {"revision": "def"}, "published on revision def"),
        ({"data_revision": "local:123456789abc"}, {}, "ours come from a folder"),
        ({"kind": "pair_classification"}, {"spelled": "cos_sim_ap"}, "--protocol cmteb-v1"),
        ({"protocol": "jmteb"}, {}, "protocol: ours is jmteb"),
        ({"kind": "reranking", "model": "x-reranker", "provenance": {"pooling": "mean"}}, {}, "reranker as"),
    ],
)  # fmt: skip
def test_a_cause_is_named_where_the_provenance_speaks_for_it(
    changes: dict[str, Any], told: dict[str, Any], words: str
) -> None:
    plain = why(sts(0.4), figure(50.59))
    assert len(plain) == 1
    assert "nothing that was recorded" in plain[0]
    found = why(replace(sts(0.4), **changes), replace(figure(50.59), **told))
    assert len(found) == 1, found
    assert words in found[0]


def test_causes_come_in_their_order_and_splits_are_looked_up() -> None:
    provenance = {"prompt_policy": "none", "dtype": "float16"}
    other = sts(0.5059, split="test")
    found = why(sts(0.4, provenance=provenance), figure(50.59), other)
    assert [hint.partition(":")[0] for hint in found] == ["prompts", "dtype", "split"]
    assert "test/default is the published one" in found[2]
    mean = why(sts(0.4), figure(45.0), sts(0.5, split="test"))
    assert "flat mean" in mean[0]


@pytest.mark.parametrize("unknown", ["", "None", "no_revision_available"])
def test_a_revision_that_is_not_known_is_no_cause(unknown: str) -> None:
    for ours, theirs in ((unknown, "def"), ("abc", unknown), (unknown, unknown)):
        (hint,) = why(sts(0.4, data_revision=ours), figure(50.59, revision=theirs))
        assert "nothing that was recorded" in hint


def test_what_is_as_the_catalog_says_comes_after_what_is_not() -> None:
    """A long input is usual, a prompt of the card too; they come last, or where nothing else speaks."""
    usual = {"prompt_policy": "card", "prompts": {"query": "query: "}, "max_length": 8192, "dtype": "float16"}
    ours = replace(sts(0.4, provenance=usual), kind="retrieval")
    found = why(ours, figure(50.59), sts(0.5059, split="test"))
    assert [hint.partition(":")[0] for hint in found] == ["dtype", "split", "prompts", "max length"]
    none = replace(ours, provenance={**usual, "prompt_policy": "none"})
    assert why(none, figure(50.59))[0].startswith("prompts: ours were made with --prompts none")


def test_the_card_as_a_whole_tells_of_which_era_it_is(card: Path) -> None:
    topics = """  - task: {type: Clustering}
    dataset: {type: C-MTEB/CLSClusteringS2S, name: MTEB CLSClusteringS2S, split: test}
    metrics: [{type: v_measure, value: 40.5}]
"""
    ours = result(A, "CLSClusteringS2S", 0.3, kind="clustering", main="v_measure")
    for text, words in ((CARD, "--protocol cmteb-v1"), (CARD.replace("cos_sim_", "cosine_"), "nothing that")):
        card.write_text(text.replace("---\n# A", topics + "---\n# A"), encoding="utf-8")
        told = [one for one in verify(side(ours), card_figures(card, "mteb"), None, model=A) if one.ours]
        assert len(told) == len(told[0].hints) == 1
        assert words in told[0].hints[0]


def test_the_command(card: Path, tmp_path: Path, inside: Callable[..., Answer]) -> None:  # noqa: F811
    store = Store(tmp_path / "own")
    store.put(sts(0.5059))
    there = ("--results", str(store.root), "--card", str(card))
    good = inside("verify", A, *there)
    assert good.code == 0, good.err
    assert "equal" in good.out
    assert "published, not scored here: MMarcoReranking" in good.err
    store.put(sts(0.4, provenance={"dtype": "float16"}))
    bad = inside("verify", A, *there)
    assert bad.code == 1
    assert "  - dtype: ours were made in float16; run with --dtype float32" in bad.err
    found = json.loads(inside("verify", A, *there, "--json").out)
    assert found["counts"] == {"equal": 0, "close": 0, "different": 1, "absent": 1}
    assert found["scores"][0]["difference"] == pytest.approx(40 - 50.59)
    tree = inside("verify", A, "--results", str(store.root), "--published", str(store.root))
    assert tree.code == 0, tree.err


def test_the_protocol_is_the_one_that_is_stored(
    tmp_path: Path,
    inside: Callable[..., Answer],  # noqa: F811
) -> None:
    ours = result(
        A, "my-val", 0.0, kind="reranking", protocol="sbert", split="val", main="ndcg_at_10",
        metrics={"map": 0.9, "ndcg_at_10": 0.95}, exact={"map": 0.9, "ndcg_at_10": 0.95},
    )  # fmt: skip
    store = Store(tmp_path / "own")
    store.put(ours)
    (tmp_path / "README.md").write_text(f"---\n{model_index([ours], 'generic')}---\n", encoding="utf-8")
    there = ("--results", str(store.root), "--card", str(tmp_path))
    told = inside("verify", A, *there, "--json")
    assert told.code == 0, told.err
    (score,) = json.loads(told.out)["scores"]
    assert (score["task"], score["split"], score["ours"], score["answer"]) == ("my-val", None, 95.0, "equal")
    other = inside("verify", A, *there, "--protocol", "mteb")
    assert other.code == 2
    assert "org/a has results by sbert, but none under protocol mteb" in other.err
    assert "did you mean" not in other.err


def test_the_card_on_the_hub(
    card: Path,
    tmp_path: Path,
    inside: Callable[..., Answer],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []
    failures: list[Exception] = []

    def download(repository: str, name: str) -> str:
        inspect.signature(huggingface_hub.HfApi.hf_hub_download).bind(None, repository, name)
        asked.append((repository, name))
        if failures:
            raise failures.pop()
        return str(card)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("harness.network.why_offline", lambda offline: "")
    store = Store(tmp_path / "own")
    store.put(sts(0.5059))
    there = (A, "--against", "card", "--results", str(store.root))
    told = inside("verify", *there)
    assert (told.code, asked) == (0, [(A, "README.md")]), told.err
    assert "org/a@r1 against the card of org/a: 1 equal" in told.err
    response: Any = SimpleNamespace(headers={}, request=None, status_code=404)
    for failure, words in (
        (RemoteEntryNotFoundError("404", response=response), "org/a on the hub has no README.md"),
        (RepositoryNotFoundError("401", response=response), "no model org/a"),
        (LocalEntryNotFoundError("cannot reach"), "the hub gives no card of org/a"),
        (httpx2.ConnectTimeout("slow"), "the hub gives no card of org/a"),
    ):
        failures.append(failure)
        told = inside("verify", *there)
        assert told.code == 2
        assert words in told.err
        assert "--card README.md" in told.err
    asked.clear()
    told = inside("verify", "org/b", "--against", "card", "--results", str(store.root))
    assert (told.code, asked) == (2, [])  # nothing is fetched for a model without results


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("org/b", "--card", "CARD"), "harness eval org/b"),
        ((A, "--suite", "smoke", "--card", "CARD"), "make them with: harness eval org/a --suite smoke"),
        ((A,), "states no published scores"),
        ((A, "--against", "card", "--offline"), "--card README.md"),
        ((A, "--against", "published"), "--published DIR"),
        ((A, "--against", "published", "--card", "CARD"), "does not go with"),
        ((A, "--published", "nowhere"), "no such folder"),
        ((A, "--card", "nowhere.md"), "nowhere.md: cannot be read (No such file"),
        ((A, "--model-only", "--card", "CARD"), "leave out"),
        ((A, "--model-only", "--protocol", "mteb"), "leave out"),
        ((A, "--dtype", "float16"), "go with --model-only"),
    ],
)
def test_what_cannot_be_answered_says_what_to_do(
    arguments: tuple[str, ...],
    words: str,
    card: Path,
    tmp_path: Path,
    inside: Callable[..., Answer],  # noqa: F811
) -> None:
    store = Store(tmp_path / "own")
    store.put(sts(0.5059))
    named = [str(card) if part == "CARD" else part for part in arguments]
    answer = inside("verify", *named, "--results", str(store.root))
    assert answer.code == 2
    assert words in answer.err


def test_a_folder_without_the_models_results_is_not_to_be_evaluated(
    tmp_path: Path,
    inside: Callable[..., Answer],  # noqa: F811
) -> None:
    own, public = Store(tmp_path / "own"), Store(tmp_path / "public" / "results")
    own.put(sts(0.5))
    public.put(replace(sts(0.5), model="org/other"))

    def ask(folder: Path) -> str:
        answer = inside("verify", A, "--results", str(own.root), "--published", str(folder))
        assert answer.code == 2
        assert "harness eval" not in answer.err
        return answer.err

    assert f"{public.root} has no results of it under protocol mteb\n" in ask(public.root)
    high = ask(public.root.parent)
    assert "nor of any model" in high
    assert high.endswith(f"such as {public.root}\n")


def test_what_is_not_compared_is_said_once_a_task() -> None:
    told = [figure(50.0, subset=subset) for subset in ("a", "b", "c")]
    found = verify(side(sts(0.5)), told, None, model=A)
    assert notes(found) == [
        "AFQMC (validation/a) and 2 more of it: published, not compared; ours is of validation/default"
    ]


def test_the_means_of_a_suite_are_compared_where_every_task_was(shared: Path, tmp_path: Path) -> None:
    """63.79 and 64.95 are the means of the seed card, by hand."""
    front = reference(shared, "jina-embeddings-v2-base-zh")
    (tmp_path / "card.yaml").write_text(front, encoding="utf-8")
    tasks = load_suite("cmteb").tasks
    ours = side(*(replace(r, model=A) for r in jina_results(front)))
    figures = card_figures(tmp_path / "card.yaml", "mteb")
    found = verify(ours, figures, tasks, model=A)
    over_tasks, over_types = means(found, tasks)
    assert (over_tasks.over, over_tasks.count, over_types.over, over_types.count) == ("tasks", 35, "types", 6)
    assert (over_tasks.published, over_types.published) == pytest.approx((63.79, 64.95), abs=0.005)
    assert (over_tasks.ours, over_types.ours) == pytest.approx((63.79, 64.95), abs=0.005)
    assert mean_lines([over_tasks]) == ["mean over 35 tasks: published 63.79, ours 63.79 (+0.0000)"]
    assert to_json(found, A, "card", [over_tasks])["means"][0]["count"] == 35
    assert means(found[:-1], tasks) == []  # a task was not published
    fewer = side(*list(ours.results.values())[:-1])
    assert means(verify(fewer, figures, tasks, model=A), tasks) == []  # or is not ours
    assert means(found, None) == []


def test_published_means_are_compared() -> None:
    tasks = [
        load_definition(TaskDefinition.model_validate({"name": name, "source": {"folder": "smoke"}}), "mteb")
        for name in ("SmokeSTS", "SmokeSTSJa", "SmokeTopics")
    ]
    scores = dict(zip((task.name for task in tasks), (0.5, 0.7, 0.9), strict=True))
    ours = side(*(result(A, t.name, scores[t.name], kind=t.kind, main=t.shown) for t in tasks))
    sts, other = tasks[0].column, tasks[2].column
    assert sts != other

    def judged(stated: dict[str, float], mine: Side = ours) -> list[tuple[str, str, str]]:
        figures = expected_means({"ORG/a": stated, "org/b": {"nothing": 1}}, tasks, [A], "toy")
        return [(v.place, v.verdict, *v.hints) for v in verify_means(mine, figures, tasks)]

    assert judged({"tasks": 0.70, "types": 0.75, sts: 60.05, other: 80.0}) == [
        ("mean over tasks", "equal"),
        ("mean over types", "equal"),
        (f"mean of {sts}", "close"),
        (f"mean of {other}", "different", "average: see its tasks, one by one"),
    ]
    assert judged({"tasks": 75.0})[0][1:] == (
        "different",
        "average: our mean over types is the published one",
    )
    partly = side(*list(ours.results.values())[1:])
    assert judged({"tasks": 70.0, other: 90.0}, partly) == [
        ("mean over tasks", "absent", "not every task of it is scored here"),
        (f"mean of {other}", "equal"),
    ]
    with pytest.raises(ConfigError, match=r"toy: aggregate\.expect has a mean of 'Nothing'"):
        judged({"Nothing": 1})


def test_the_suites_of_the_project_state_figures_that_are_read() -> None:
    tasks = load_suite("cmteb").tasks
    figures = expected_figures(tasks, ["jinaai/jina-embeddings-v2-base-zh"], "cmteb")
    assert len(figures) == 35
    assert sum(f.value for f in figures) / 35 == pytest.approx(63.79, abs=0.01)
    glucose = load_suite("jmteb")
    stated = expected_means(
        glucose.aggregate.expect, glucose.tasks, ["pkshatech/GLuCoSE-base-ja-v2"], "jmteb"
    )
    assert {f.task: f.value for f in stated} == pytest.approx(
        {
            "mean over tasks": 72.23,
            "mean of Retrieval": 73.36,
            "mean of STS": 82.96,
            "mean of Classification": 74.21,
            "mean of Clustering": 48.65,
        }
    )
    assert {f.digits for f in stated} == {2}
