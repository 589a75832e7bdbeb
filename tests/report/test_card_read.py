"""A card's model-index as Results: the values back where they came from, whatever the card spells."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.report.card.groups import model_index
from harness.report.card.read import card_results, card_scores
from harness.report.values import metric_value
from tests.report.cards import affiliation_results, jina_results, readme, reference
from tests.report.make import result


def card(tmp_path: Path, front: str) -> Path:
    path = tmp_path / "README.md"
    path.write_text(f"---\n{front}---\n", encoding="utf-8")
    return path


def test_the_jina_card_gives_the_results_it_was_made_of(shared: Path, tmp_path: Path) -> None:
    front = reference(shared, "jina-embeddings-v2-base-zh")
    (tmp_path / "README.md").write_text(readme(front), encoding="utf-8")
    found = {(r.task, r.split, r.subset): r for r in card_results(tmp_path / "README.md", "mteb")}
    made = {(r.task, r.split, r.subset): r for r in jina_results(front)}
    assert found.keys() == made.keys()
    for key, one in found.items():
        assert one.metrics == pytest.approx(dict(made[key].metrics), abs=1e-15)
        assert (one.kind, one.main_metric) == (made[key].kind, made[key].main_metric)
        assert one.samples is None
        assert one.samples_sha256 is None
    revisions = {r.task: r.data_revision for r in found.values()}
    assert revisions["AFQMC"] == ""
    assert revisions["AmazonReviewsClassification"] == "1399c76144fd37290681b995c656ef9b2e06e26d"


def test_the_protocol_is_read_off_the_names(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "jina.yaml"
    path.write_text(reference(shared, "jina-embeddings-v2-base-zh"), encoding="utf-8")
    found = {r.task: r for r in card_results(str(path))}
    assert {r.protocol for r in found.values()} == {"cmteb-v1"}
    assert found["T2Reranking"].main_metric == "map"
    assert found["Ocnli"].main_metric == "cosine_ap"
    assert metric_value(found["Ocnli"], "cos_sim_ap") == 0.806158
    mains = {r.task: r.main_metric for r in card_results(path, mains={"Ocnli": "max_ap", "Cmnli": "f1"})}
    assert (mains["Ocnli"], mains["Cmnli"]) == ("max_ap", "cosine_ap")
    today = card(tmp_path, model_index([result("o/a", "STSB", 0.5, kind="sts", main="cosine_spearman")]))
    (one,) = card_results(today, model="o/a")
    assert (one.model, one.protocol, one.main_score, one.data_revision) == ("o/a", "mteb", 0.5, "abc")


def test_the_affiliation_card(tmp_path: Path, shared: Path) -> None:
    path = card(tmp_path, reference(shared, "affiliation-reranker"))
    (one,) = card_results(path)
    assert (one.task, one.split, one.subset, one.kind) == ("affiliation-val", "test", "default", "reranking")
    assert (one.protocol, one.main_metric) == ("sbert", "ndcg_at_10")
    assert one.metrics == {"map": 0.9294, "mrr_at_10": 0.9294, "ndcg_at_10": 0.9564}
    back = model_index([one], "generic")
    assert model_index(affiliation_results(), "generic", digits=4) == back


def test_a_group_a_metric_is_one_result(tmp_path: Path) -> None:
    group = (
        "  - task:\n      type: STS\n    dataset:\n      type: C-MTEB/STSB\n      name: MTEB STSB\n"
        "      split: test\n    metrics:\n    - type: {}\n      value: {}\n"
    )
    start = "model-index:\n- name: a\n  results:\n"
    path = card(tmp_path, start + group.format("cosine_spearman", 50) + group.format("cosine_pearson", "n/a"))
    (one,) = card_results(path)
    assert one.metrics == {"cosine_spearman": 0.5}
    assert one.undefined == {"cosine_pearson": "no number of a known metric on the card"}
    path = card(tmp_path, start + group.format("cosine_spearman", 50) + group.format("cos_sim_spearman", 60))
    with pytest.raises(DataError, match=r"line 21: STSB .* cosine_spearman twice.* line 12"):
        card_results(path)


GROUP = """\
  - task: {type: STS}
    dataset: {type: C-MTEB/STSB, name: MTEB STSB, config: default, split: test, revision: %s}
    metrics: [{type: cosine_spearman, value: %s}]
"""
START = "model-index:\n- name: a\n  results:\n"


def test_a_score_given_twice_alike_counts_once(tmp_path: Path) -> None:
    (one,) = card_results(card(tmp_path, START + 2 * GROUP % ("r", 50, "r", 50)))
    assert one.metrics == {"cosine_spearman": 0.5}
    path = card(tmp_path, START + 2 * GROUP % ("r1", 50, "r2", 60))
    assert [(s.revision, s.value) for s in card_scores(path)[1]] == [("r1", 0.5), ("r2", 0.6)]
    with pytest.raises(DataError, match=r"line 10: STSB stands on two revisions .* first in line 7"):
        card_results(path)


def test_the_task_type_tells_groups_apart(tmp_path: Path) -> None:
    ranked = GROUP.replace("STS}", "%s}").replace("C-MTEB/STSB, name: MTEB STSB", "own, name: own")
    ranked = ranked.replace(", revision: %s", "").replace("cosine_spearman", "ndcg@10")
    path = card(tmp_path, START + ranked % ("text-retrieval", 0.5) + ranked % ("text-ranking", 0.75))
    assert [(s.type, s.value) for s in card_scores(path)[1]] == [
        ("text-retrieval", 0.5),
        ("text-ranking", 0.75),
    ]
    with pytest.raises(DataError, match=r"line 10: own stands under two task types, first in line 7"):
        card_results(path)
    path = card(tmp_path, START + ranked % ("text-retrieval", 0.5) + ranked % ("text-ranking", 0.5))
    assert [r.metrics for r in card_results(path)] == [{"ndcg_at_10": 0.5}]


def test_front_matter_that_is_one_flow_mapping(tmp_path: Path) -> None:
    group = (
        "{task: {type: STS}, dataset: {type: C-MTEB/STSB, name: x, split: test}, "
        "metrics: [{type: cosine_spearman, value: 50}]}"
    )
    path = card(tmp_path, f"{{license: mit, model-index: [{{name: a, results: [{group}]}}]}}\n")
    assert [(r.task, r.metrics) for r in card_results(path)] == [("STSB", {"cosine_spearman": 0.5})]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_whatever_yaml_says_is_read(tmp_path: Path, bom: str, newline: str) -> None:
    text = (
        START + GROUP.replace("%s}\n", "'r'}\n").replace("%s", "&v 50.5") + GROUP.replace("%s", "*v")
    ).replace("STSB", "BQ", 2)
    path = tmp_path / "README.md"
    path.write_bytes(f"{bom}---\n{text}---\n".replace("\n", newline).encode())
    assert {r.task: r.metrics["cosine_spearman"] for r in card_results(path)} == {"BQ": 0.505, "STSB": 0.505}


@pytest.mark.parametrize(
    ("values", "shares"),
    [((50, 0.5), (0.5, 0.005)), ((0.5, 0.25), (0.5, 0.25)), ((-20, 0.25), (-0.2, 0.0025))],
)
def test_the_scale_is_that_of_the_card(
    tmp_path: Path, values: tuple[float, float], shares: tuple[float, float]
) -> None:
    mteb = START + GROUP % ("r", values[0]) + GROUP.replace("STSB", "BQ") % ("r", values[1])
    own = GROUP.replace("type: STS}", "type: sentence-similarity}").replace("MTEB STSB", "Own") % ("r", 0.75)
    found = {r.task: r for r in card_results(card(tmp_path, mteb + own))}
    assert tuple(found[task].main_score for task in ("STSB", "BQ")) == pytest.approx(shares)
    assert found["Own"].main_score == 0.75  # other groups have a scale of their own
    low = own.replace("cosine_spearman", "nauc_recall_at_10_max").replace("0.75", "-1.4")
    assert card_results(card(tmp_path, START + low))[0].main_score == -1.4  # a share, for all that
    percent = card(
        tmp_path, START + own.replace("cosine_spearman", "anchor_error_rate").replace("0.75", "7.5")
    )
    assert card_results(percent)[0].metrics == {"anchor_error_rate": 7.5}  # per cent wherever it stands


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# no card\n", "line 1: no front matter"),
        ("---\nlicense: mit\n---\n", "line 2: the front matter has no model-index"),
        ("---\nmodel-index:\n- name: a\n  results: []\n---\n", "line 2: the front matter has no model-index"),
        ("---\nmodel-index: no\n---\n", "line 2: model-index is not a list"),
        ("---\na: [\n---\n", "line 3: not YAML"),
        (f"---\n{START}{GROUP % ('r', 5)}- name: b\n  results: []\n---\n", "2 entries .lines 3 and 8."),
        (f"---\n{START}{GROUP % ('r', 'n/a')}---\n", "line 5: none of the scores here"),
        (f"---\n{START}{GROUP % ('r', '.nan')}---\n", "line 5: none of the scores here"),
        (
            f"---\nx: &x {{type: STS}}\n{START}{GROUP.replace('{type: STS}', '{<<: *x}') % ('r', 5)}---\n",
            "line 6: a mapping merged",
        ),
    ],
)
def test_what_is_missing_is_said_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        card_results(path)
    with pytest.raises(DataError, match="cannot be read"):
        card_results(tmp_path / "absent.md")
