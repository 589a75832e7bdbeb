"""The model-index of a card: its text, what YAML makes of it, and the card it is modelled on."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from harness.errors import ConfigError, DataError
from harness.report.card.groups import model_index
from harness.types import Result
from tests.report.cards import affiliation_results, jina_results, reference
from tests.report.make import result

A = "org/a"


def load(text: str) -> Any:
    return yaml.safe_load(text)["model-index"][0]


def test_mteb_profile_by_hand() -> None:
    found = [
        result(
            A, "STS22", 0.6, kind="sts", main="cosine_spearman", subset="zh", data_revision="6d1ba47164174a4"
        ),
        result(
            A,
            "CovidRetrieval",
            0.7,
            data_revision="None",
            split="dev",
            metrics={"ndcg_at_10": 0.7, "map_at_1": 1.0},
        ),
    ]
    assert model_index(found, datasets={"CovidRetrieval": "C-MTEB/CovidRetrieval"}) == (
        "model-index:\n"
        "- name: a\n"
        "  results:\n"
        "  - task:\n"
        "      type: Retrieval\n"
        "    dataset:\n"
        "      type: C-MTEB/CovidRetrieval\n"
        "      name: MTEB CovidRetrieval\n"
        "      config: default\n"
        "      split: dev\n"
        "    metrics:\n"
        "    - type: map_at_1\n"
        "      value: 100.0\n"
        "    - type: ndcg_at_10\n"
        "      value: 70.0\n"
        "  - task:\n"
        "      type: STS\n"
        "    dataset:\n"
        "      type: STS22\n"
        "      name: MTEB STS22 (zh)\n"
        "      config: zh\n"
        "      split: test\n"
        "      revision: 6d1ba47164174a4\n"
        "    metrics:\n"
        "    - type: cosine_spearman\n"
        "      value: 60.0\n"
    )


def test_generic_profile_by_hand() -> None:
    found = [
        result(
            "org/b",
            "affiliation val",
            0.9564,
            kind="reranking",
            protocol="custom",
            data_revision="local:0123",
        )
    ]
    assert model_index(found, "generic", datasets={"affiliation val": "affiliation-val"}) == (
        "model-index:\n"
        "- name: org/b\n"
        "  results:\n"
        "  - task:\n"
        "      type: text-ranking\n"
        "      name: Reranking\n"
        "    dataset:\n"
        "      type: affiliation-val\n"
        "      name: affiliation val\n"
        "      config: default\n"
        "      split: test\n"
        "    metrics:\n"
        "    - type: ndcg@10\n"
        "      value: 0.9564\n"
        "      name: Ndcg@10\n"
    )


def test_values_are_exact_and_written_in_full() -> None:
    exact = 0.48514031192313632
    found = result(A, "T", 0.485140, exact={"ndcg_at_10": exact})
    (metric,) = load(model_index([found]))["results"][0]["metrics"]
    assert metric == {"type": "ndcg_at_10", "value": 100 * exact}
    assert f"value: {100 * exact!r}\n" in model_index([found])
    assert "value: 48.51\n" in model_index([found], digits=2)


@pytest.mark.parametrize("score", [0.0, 1e-9, -3.2e-7, 0.1 + 0.2, 1.0, 5e17, 123456.789])
def test_every_float_is_read_back_as_the_same_float(score: float) -> None:
    for profile, scale in (("mteb", 100), ("generic", 1)):
        text = model_index([result(A, "T", score)], profile)
        (metric,) = load(text)["results"][0]["metrics"]
        assert isinstance(metric["value"], float)
        assert metric["value"] == scale * score


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(DataError, match="ndcg_at_10"):
        model_index([result(A, "T", bad)])


HARD = [
    "7654e21",
    "7654e+21",
    "1234567",
    "0123",
    "1.10",
    "1_000",
    "0x1f",
    "0o17",
    "0b1",
    "1:30",
    "2024-01-02",
    "2024-01-02 10:00:00",
    "true",
    "No",
    "on",
    "y",
    "null",
    "~",
    ".inf",
    ".nan",
    "-1",
    "- a",
    "a: b",
    "a #b",
    "#a",
    "'q'",
    '"q"',
    "[a]",
    "{a}",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
    "|",
    ">",
    "?",
    "=",
    "<<",
    " a ",
    "a\nb",
    "tab\t",
    "日本語",
    "\x85\u2028\x7f",
    "\U000e0001",
    "back\\slash",
]


@pytest.mark.parametrize("text", HARD)
def test_strings_stay_strings(text: str) -> None:
    found = result(A, text, 0.5, split=text, subset=text, data_revision=f"{text}")
    dataset = load(model_index([found], "generic", name=text))["results"][0]["dataset"]
    expected = {"type": text, "name": f"{text} ({text})", "config": text, "split": text, "revision": text}
    if text == "null":
        del expected["revision"]
    assert dataset == expected


@pytest.mark.parametrize("revision", ["7654e21", "1234567", "0012", "1e5", "12345678e9"])
def test_revisions_that_look_like_numbers_are_quoted(revision: str) -> None:
    assert f'      revision: "{revision}"\n' in model_index([result(A, "T", 0.5, data_revision=revision)])


def test_a_plain_commit_hash_is_not_quoted() -> None:
    sha = "1399c76144fd37290681b995c656ef9b2e06e26d"
    assert f"      revision: {sha}\n" in model_index([result(A, "T", 0.5, data_revision=sha)])


@pytest.mark.parametrize(
    "revision", ["", "None", "none", "null", "local:0123456789ab", "dataset revision not available"]
)
def test_an_unknown_revision_is_left_out(revision: str) -> None:
    (group,) = load(model_index([result(A, "T", 0.5, data_revision=revision)]))["results"]
    assert list(group["dataset"]) == ["type", "name", "config", "split"]


def test_main_metrics_and_version_1_names() -> None:
    sts = result(
        A,
        "S",
        0.5,
        kind="sts",
        main="cosine_spearman",
        metrics={"cosine_spearman": 0.5, "euclidean_pearson": 0.4},
    )
    rerank = result(
        A, "R", 0.5, kind="reranking", main="map_at_1000", metrics={"map_at_1000": 0.5, "mrr_at_10": 0.6}
    )
    groups = load(model_index([sts, rerank], metric_names="v1"))["results"]
    assert [[m["type"] for m in g["metrics"]] for g in groups] == [
        ["map", "mrr"],
        ["cos_sim_spearman", "euclidean_pearson"],
    ]
    groups = load(model_index([sts, rerank], metrics="main"))["results"]
    assert [[m["type"] for m in g["metrics"]] for g in groups] == [["map_at_1000"], ["cosine_spearman"]]


def test_a_result_of_mteb_needs_its_type_named() -> None:
    foreign = result(A, "T", 0.5, kind="", scorer="mteb")
    with pytest.raises(ConfigError, match=r"T is no task of mteb, .*\nleave it out: --suite"):
        model_index([foreign])
    (group,) = load(model_index([foreign], types={"T": "STS"}))["results"]
    assert group["task"] == {"type": "STS"}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([result(A, "T", 0.5), result("org/b", "T", 0.5)], "one model"),
        ([result(A, "T", 0.5), result(A, "U", 0.5, variant=("bf16",))], "one model"),
        ([result(A, "T", 0.5), result(A, "U", 0.5, revision="r2")], "one model"),
        ([result(A, "T", 0.5), result(A, "T", 0.6)], "given twice"),
        ([result(A, "T", 0.5, protocol="jmteb")], "not MTEB's"),
    ],
)
def test_what_cannot_stand_on_one_card(found: list[Result], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_index(found)


def test_nothing_and_unknown_profiles_are_refused() -> None:
    with pytest.raises(DataError, match="no results"):
        model_index([])
    with pytest.raises(ConfigError, match="profile"):
        model_index([result(A, "T", 0.5)], "other")


def test_the_reference_card_comes_out_letter_by_letter(shared: Path) -> None:
    text = reference(shared, "jina-embeddings-v2-base-zh")
    found = jina_results(text)
    assert (len(found), sum(len(r.metrics) for r in found)) == (35, 367)
    block = text[text.index("model-index:") :].replace("      revision: None\n", "")
    expected = re.sub(r"(value: \d+)$", r"\1.0", block, flags=re.MULTILINE)  # its only whole values are ints
    assert model_index(found, metric_names="v1") == expected


def test_metrics_that_old_cards_do_not_have_stay_off_them(shared: Path) -> None:
    text = reference(shared, "jina-embeddings-v2-base-zh")
    new = {"nauc_map_at_10_max": 0.5, "hit_rate_at_1": 0.5, "similarity_ap": 0.99, "max_ap": 0.99}
    found = [replace(r, metrics={**new, **r.metrics}, exact={**new, **r.exact}) for r in jina_results(text)]
    assert model_index(found, metric_names="v1") == model_index(jina_results(text), metric_names="v1")


def test_the_affiliation_card(shared: Path) -> None:
    (entry,) = yaml.safe_load(reference(shared, "affiliation-reranker"))["model-index"]
    rendered = load(model_index(affiliation_results(), "generic", digits=4))
    assert json.dumps(rendered) == json.dumps(entry)  # data and order of keys


def test_the_hub_reads_and_gives_back_what_we_write() -> None:
    scores = {"ndcg_at_10": 0.7, "map_at_1": 0.1}
    found = [
        result(A, "One", 0.7, metrics=scores, exact=scores, subset="zh", data_revision="1234567"),
        result(A, "Two", 0.6, protocol="mteb", data_revision=""),
    ]
    for profile in ("mteb", "generic"):
        entries = yaml.safe_load(model_index(found, profile))["model-index"]
        name, flat = model_index_to_eval_results(entries)
        assert len(flat) == 3
        assert eval_results_to_model_index(name, flat) == entries


def test_several_splits_of_the_evaluator_are_told_apart() -> None:
    (one,) = affiliation_results()
    groups = load(model_index([one, replace(one, split="dev")], "generic"))["results"]
    assert [g["dataset"].get("split") for g in groups] == ["dev", "test"]


def test_a_main_metric_that_the_suite_names() -> None:
    pair = {"max_ap": 0.7, "cosine_ap": 0.6}
    found = result(A, "Ocnli", 0.7, kind="pair_classification", main="max_ap", metrics=pair, exact=pair)
    (group,) = load(model_index([found], metrics="main", mains={"Ocnli": "cos_sim_ap"}))["results"]
    assert group["metrics"] == [{"type": "cosine_ap", "value": 60.0}]
    with pytest.raises(DataError, match="has no dot_ap"):
        model_index([found], metrics="main", mains={"Ocnli": "dot_ap"})
