"""Editing a card: only the lines that must change do, and what cannot be edited safely is refused."""

from __future__ import annotations

import difflib
import random
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import DataError
from harness.report.card.files import File, write_file
from harness.report.card.front_matter import parse_card
from harness.report.card.groups import Group, groups_of
from harness.report.card.index import index_of
from harness.report.card.match import holds
from harness.report.card.plan import DEFAULT, Rules, plan
from harness.report.card.splice import spliced
from harness.types import Result
from tests.report.cards import JINA, affiliation_results, jina_results, readme, reference
from tests.report.make import result

A = "org/a"
UPDATE = Rules(on_conflict="update")


def write(text: str, groups: list[Group], rules: Rules = DEFAULT) -> str:
    card = parse_card(text.encode("utf-8"), "README.md")
    return spliced(card, plan(card, groups, "a", rules), groups, rules).decode("utf-8")


def changed(old: str, new: str) -> tuple[list[str], list[str]]:
    """Removed and added lines."""
    lines = list(difflib.ndiff(old.splitlines(keepends=True), new.splitlines(keepends=True)))
    return [x[2:] for x in lines if x[0] == "-"], [x[2:] for x in lines if x[0] == "+"]


def one(score: float = 0.5, task: str = "STSB", **changes: Any) -> Result:
    fields: dict[str, Any] = {"kind": "sts", "main": "cosine_spearman", "data_revision": "abc", **changes}
    return result(A, task, score, **fields)


def groups(*results: Result, **options: Any) -> list[Group]:
    return groups_of(results, **options)


CARD = """\
---
license: mit  # as is
model-index:
- name: a
  results:
  - task:
      type: STS
    dataset:
      type: C-MTEB/STSB
      name: MTEB STSB
      config: default
      split: test
      revision: abc
    metrics:
    - type: cosine_spearman
      value: 50.0
---
text
"""


@pytest.fixture(scope="module")
def seed(shared: Path) -> str:
    return reference(shared, "jina-embeddings-v2-base-zh")


@pytest.fixture(scope="module")
def seed_results(seed: str) -> list[Result]:
    return jina_results(seed)


def test_a_card_that_has_it_all_does_not_change(seed: str, seed_results: list[Result]) -> None:
    found = groups(*seed_results, metric_names="v1")
    card = parse_card(readme(seed).encode(), "README.md")
    made = plan(card, found, "x")
    assert len(made.of("unchanged")) == len(made.changes) == 367
    assert spliced(card, made, found, Rules()).decode() == readme(seed)
    assert write(seed_card := readme(seed).replace("\n", "\r\n"), found) == seed_card


def test_one_value_changed_is_one_line_changed(seed: str, seed_results: list[Result]) -> None:
    for which in random.Random(0).sample(range(len(seed_results)), 4):
        moved = list(seed_results)
        old = moved[which]
        metric = min(old.metrics)
        scores = {**old.metrics, metric: old.metrics[metric] + 1e-6}
        moved[which] = replace(old, metrics=scores, exact=scores)
        new = write(readme(seed), groups(*moved, metric_names="v1"), UPDATE)
        gone, come = changed(readme(seed), new)
        # a maximum over similarities may move with one of them
        assert len(gone) == len(come) == (2 if old.kind == "pair_classification" and len(gone) == 2 else 1)
        assert float(come[0].split("value: ")[1]) == pytest.approx(100 * scores[metric], abs=1e-12)


def test_a_task_added_is_lines_added(seed: str, seed_results: list[Result]) -> None:
    extra = replace(one(0.25, "Brandneu"), model=JINA, revision=seed_results[0].revision)
    new = write(
        readme(seed), groups(*seed_results, extra, metric_names="v1", datasets={"Brandneu": "o/brandneu"})
    )
    gone, come = changed(readme(seed), new)
    assert gone == []
    assert "".join(come) == (
        "  - task:\n      type: STS\n    dataset:\n      type: o/brandneu\n      name: MTEB Brandneu\n"
        "      config: default\n      split: test\n      revision: abc\n    metrics:\n"
        "    - type: cos_sim_spearman\n      value: 25.0\n"
    )
    assert new.index("Brandneu") < new.index("\n---\n")


def test_a_metric_added_stands_in_its_group(seed: str, seed_results: list[Result]) -> None:
    cut = re.sub(r"    - type: cos_sim_spearman\n      value: 50.5928547846445\n", "", seed)
    new = write(readme(cut), groups(*seed_results, metric_names="v1"))
    gone, come = changed(readme(cut), new)
    assert (gone, come) == ([], ["    - type: cos_sim_spearman\n", "      value: 50.5928547846445\n"])
    first = yaml.safe_load(new.split("---\n")[1])["model-index"][0]["results"][0]
    assert [m["type"] for m in first["metrics"]][-1] == "cos_sim_spearman"


def test_the_affiliation_card_in_its_own_profile(shared: Path) -> None:
    front = readme(reference(shared, "affiliation-reranker"))
    found = groups_of(affiliation_results(), "generic", digits=4)
    card = parse_card(front.encode(), "README.md")
    made = plan(card, found, "x")
    assert [change.what for change in made.changes] == ["unchanged"] * 3
    assert write(front, found) == front
    full = groups_of(affiliation_results(), "generic")
    assert changed(front, write(front, full, UPDATE)) == (
        ["      value: 0.9294\n", "      value: 0.9564\n"],
        ["      value: 0.92938\n", "      value: 0.95643\n"],
    )


def test_an_affiliation_card_without_indentation(shared: Path) -> None:
    front = reference(shared, "affiliation-reranker")
    flat = "---\n" + re.sub(r"^ +", "", front, flags=re.MULTILINE) + "---\n"
    with pytest.raises(DataError, match=r"README.md, line 21: .*lost its indentation: 'results:'"):
        parse_card(flat.encode(), "README.md")


def test_names_of_now_find_values_under_names_of_then(seed: str, seed_results: list[Result]) -> None:
    paths = {"T2Reranking": "mteb/T2Reranking"}
    found = groups(*seed_results, metric_names="v2", datasets=paths)
    card = parse_card(readme(seed).encode(), "README.md")
    assert {change.what for change in plan(card, found, "x").changes} == {"unchanged"}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize(
    "before",
    [
        "tags: [a, 'b', \"c\"]   # flow, quotes   \n",
        "base: &b 1.10\nother: *b\n# a comment\n",
        "text: |\n  block\n\n  scalar  \n日本語: 'é\u2028'\n",
        "",
    ],
)
def test_every_other_byte_stays(before: str, bom: str, newline: str) -> None:
    text = CARD.replace("license: mit  # as is\n", before).replace("value: 50.0", "value: 50.0  # as of 2024")
    text = bom + text.replace("\n", newline)
    new = write(text, groups(one(0.75), one(0.5, "BQ", data_revision="")), UPDATE)
    assert new.count(newline) == new.count("\n")
    at = text.index("50.0")
    assert new[:at] == text[:at]
    assert new[at:].startswith(f"75.0  # as of 2024{newline}  - task:{newline}      type: STS{newline}")
    tail = text[text.index("---", at) :]
    assert new.endswith(tail)
    data = yaml.safe_load(new[len(bom) : new.index(tail)])
    scores = [m["value"] for g in data["model-index"][0]["results"] for m in g["metrics"]]
    assert scores == [75.0, 50.0]


LAYOUTS = {
    "indented": """\
model-index:
  - name: a
    results:
      - task:
          type: STS
        dataset:
          type: C-MTEB/STSB
          name: MTEB STSB
          split: test
        metrics:
          - type: cosine_spearman
            value: 50.0
# the end
""",
    "wide": """\
model-index:
-   name: a
    results:
    -   task:
            type: STS
        dataset:
            type: C-MTEB/STSB
            name: MTEB STSB
            split: test
        metrics:
        -   type: cosine_spearman
            value: 50.0
last: 1
""",
    "flow inside": """\
model-index:
- name: a
  results:
  - metrics:
    - value: 50.0
      type: cosine_spearman
    dataset: {type: C-MTEB/STSB, name: x, split: test}
    task: {type: STS}  # c

last: 1
""",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_added_is_laid_out_as_the_card_is(layout: str) -> None:
    text = f"---\n{LAYOUTS[layout]}---\n"
    pair = {"cosine_spearman": 0.5, "cosine_pearson": 0.25}
    found = groups(one(0.5, metrics=pair, exact=pair, data_revision=""), one(0.125, "BQ", data_revision=""))
    new = write(text, found)
    gone, come = changed(text, new)
    assert gone == []
    (entry,) = yaml.safe_load(new[4 : new.rindex("---")])["model-index"]
    assert [[m["value"] for m in g["metrics"]] for g in entry["results"]] == [[50.0, 25.0], [12.5]]
    added = next(line for line in come if "cosine_pearson" in line)
    model = next(x for x in text.splitlines(keepends=True) if re.search("- +(type: cosine|value)", x))
    assert re.match(r" *- *", added).group() == re.match(r" *- *", model).group()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("# Title\n", "---\nmodel-index:\n{}---\n# Title\n"),
        ("", "---\nmodel-index:\n{}---\n"),
        ("---\n---\n", "---\nmodel-index:\n{}---\n"),
        ("---\na: 1\n---\nx", "---\na: 1\nmodel-index:\n{}---\nx"),
        ("---\na: 1\n# c\n... # d\n---\nx", "---\na: 1\n# c\nmodel-index:\n{}... # d\n---\nx"),
        ("---\n[]: 1\n? {a: 1}\n---\n", "---\n[]: 1\n? {{a: 1}}\nmodel-index:\n{}---\n"),
        ("---\nmodel-index:\na: 1\n---\n", "---\nmodel-index:\n{}a: 1\n---\n"),
        ("---\nmodel-index: []  # none\n---\n", "---\nmodel-index: \n{}---\n"),
        ("---\nmodel-index:\n- name: a\n  results: []\n---\n", "---\nmodel-index:\n{}---\n"),
        ("---\nmodel-index:\n- name: a\n  results:\n---\n", "---\nmodel-index:\n{}---\n"),
    ],
)
def test_a_card_without_results_gets_them(text: str, new: str) -> None:
    block = CARD[CARD.index("- name") : CARD.index("---\ntext")].replace("C-MTEB/STSB", "STSB")
    came = write(text, groups(one()))
    assert came.replace("  # none", "").replace("results: \n", "results:\n") == new.format(block)


def test_aliases_elsewhere_are_kept_and_not_written_out() -> None:
    levels = ["a0: &a0 x", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))]
    text = CARD.replace("license: mit  # as is\n", "\n".join([*levels, "*a0 : y", ""]))
    new = write(text, groups(one(0.4)), UPDATE)  # a third of the stars in the sky if they were
    assert new == text.replace("50.0", "40.0")


def test_keys_that_are_no_words_stay() -> None:
    text = CARD.replace("license: mit  # as is", "[]: 1\n{}: 2\n? [a, {b: c}]\n: 3")
    assert write(text, groups(one(0.4)), UPDATE) == text.replace("50.0", "40.0")


def test_a_file_of_yaml_only(seed: str, seed_results: list[Result]) -> None:
    seed = seed.rstrip("\n")
    card = parse_card(seed.encode(), "seed.yaml", whole=True)
    extra = replace(one(0.25, "BrandNew"), model=JINA, revision=seed_results[0].revision)
    found = groups(*seed_results, extra, metric_names="v1")
    new = spliced(card, plan(card, found, "x"), found, Rules()).decode()
    assert new.startswith(seed + "\n")
    assert not new.endswith("\n")
    assert len(yaml.safe_load(new)["model-index"][0]["results"]) == 36


REFUSED = {
    "anchors": (CARD.replace("value: 50.0", "value: &v 50.0"), "line 4: anchors or aliases .*line 16"),
    "aliases": (CARD.replace("mit ", "&x mit").replace("name: a", "name: *x"), r"\(line 4\)"),
    "flow results": (
        "---\nmodel-index:\n- name: a\n  results: [{task: {type: STS}}]\n---\n",
        "line 4: flow style",
    ),
    "flow group": (
        "---\nmodel-index:\n- name: a\n  results:\n  - {task: {type: STS}, metrics: []}\n---\n",
        "line 5: flow style",
    ),
    "flow front matter": ("---\n# c\n{a: 1}\n---\n", r"line 3: the front matter is one \{"),
    "two entries": (
        CARD.replace("---\ntext", "- name: b\n  results: []\n---\n"),
        "2 entries .lines 4 and 17.",
    ),
    "no results": ("---\nmodel-index:\n- name: a\n---\n", "line 3: .*no `results`"),
    "not a list": ("---\nmodel-index: 5\n---\n", "line 2: model-index is not a list"),
    "not YAML": ("---\na: 1\nb: [1\nc: 2\n---\n", "line 4: not YAML"),
    "a tab": ("---\na:\n\tb: 1\n---\n", "line 3: not YAML"),
    "lines of YAML 1.1": ("---\na: x\u2028 y\x85 z\nb: [\n---\n", "line 4: not YAML"),
    "CR alone": (CARD.replace("\n", "\r"), "line 1: lines that end in CR alone"),
    "a control character": ("---\na: 1\nb: \x07\n---\n", "line 3: not YAML"),
    "brackets": (f"---\na: 1\nb: {'[' * 100_000}\n---\n", "line 3: nested more than 100"),
    "dashes": (f"---\na: 1\nb:\n  {'- ' * 2000}\n---\n", "line 4: nested more than 100"),
    "not a mapping": ("---\n- a\n---\n", "line 2: .*not a mapping"),
    "no end": ("---\na: 1\n", "line 1: .*no closing ---"),
    "twice": (
        CARD.replace("      split: test\n", "      split: test\n      split: dev\n"),
        "line 13: key 'split' .*line 12",
    ),
    "a value twice": (
        CARD.replace("---\ntext", "    - type: cos_sim_spearman\n      value: 49\n---\n"),
        "line 15: STSB .*lines 15, 17",
    ),
    "no value": (CARD.replace("value: 50.0", "value:\n        x: 1"), "line 15: .* no `value` on one line"),
    "verified": (
        CARD.replace("50.0", "49.0\n      verified: true\n      verifyToken: abc"),
        "line 15: the Hub has verified",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_line(case: str) -> None:
    text, message = REFUSED[case]
    with pytest.raises(DataError, match=message):
        write(text, groups(one()), UPDATE)


def test_not_utf_8_is_refused_with_the_line() -> None:
    with pytest.raises(DataError, match="line 2: not UTF-8"):
        parse_card(b"---\na: \xff\n---\n", "README.md")


def test_conflicts_fail_update_or_keep() -> None:
    for rule, what, value in (
        ("fail", "conflicting", "40.0"),
        ("update", "updated", "40.0"),
        ("keep", "kept", "50.0"),
    ):
        rules = Rules(on_conflict=rule)  # type: ignore[arg-type]
        card = parse_card(CARD.encode(), "README.md")
        made = plan(card, groups(one(0.4)), "a", rules)
        (change,) = made.changes
        assert (change.what, change.line, change.old, change.new) == (what, 16, "50.0", "40.0")
        assert f"value: {value}\n" in spliced(card, made, groups(one(0.4)), rules).decode()


def test_what_the_hub_has_verified_stays() -> None:
    for mark in ("verified: true", "verifyToken: abc"):
        text = CARD.replace("50.0", f"49.0\n      {mark}")
        assert write(text, groups(one()), Rules(on_conflict="keep")) == text
        with pytest.raises(DataError, match="the Hub has verified"):
            write(text, groups(one()), UPDATE)
        here = text.replace("49.0", "50.0")
        assert not holds(groups(one())[0], index_of(parse_card(here.encode(), "README.md")).groups[0])
    text = CARD.replace("50.0", "49.0\n      verified: false")
    assert write(text, groups(one()), UPDATE) == text.replace("49.0", "50.0")


def test_a_value_that_is_no_number_is_replaced_whole() -> None:
    for old in ("20.0 ± 1.2", '"50.0 (old)"', "~", ""):
        text = CARD.replace("value: 50.0", f"value: {old}".rstrip())
        assert write(text, groups(one(0.5)), UPDATE) == CARD


@pytest.mark.parametrize(
    ("old", "score", "digits", "same"),
    [
        ("50.12", 0.501234, None, False),
        ("50.12", 0.501234, 2, True),
        ("50.12", 0.501234, 3, False),
        ("50.1234", 0.501234, 2, True),
        ("50", 0.504, 0, True),
        ("50.12345678", 0.501234567811, None, True),
        ("50.12345678", 0.501234568, None, False),
        ("1e1", 0.1, None, True),
        ("5_0.00", 0.5, None, True),
    ],
)  # fmt: skip
def test_equal_as_far_as_it_is_written(old: str, score: float, digits: int | None, same: bool) -> None:
    text = CARD.replace("value: 50.0", f"value: {old}")
    rules = Rules("update", digits=digits)
    new = write(text, groups(one(score), digits=digits), rules)
    assert (new == text) is same


def test_the_scale_is_guarded() -> None:
    with pytest.raises(DataError, match="about a hundredfold"):
        write(CARD, groups_of([one(0.0049)]), UPDATE)
    generic = (
        CARD.replace("type: STS\n", "type: sentence-similarity\n")
        .replace("C-MTEB/", "")
        .replace("50.0", "0.5")
    )
    assert "value: 0.6\n" in write(generic, groups_of([one(0.6)], "generic"), UPDATE)
    with pytest.raises(DataError, match="hundredfold"):
        write(generic, groups_of([one(60.0)], "generic"), Rules(on_conflict="keep"))


def test_an_unknown_revision_is_no_conflict_and_may_be_filled() -> None:
    for unknown in ("      revision: None\n", "      revision: null\n", "      revision:\n", ""):
        text = CARD.replace("      revision: abc\n", unknown)
        assert write(text, groups(one())) == text
        assert write(text, groups(one()), Rules(revisions="replace")) == CARD
    assert write(CARD, groups(one(data_revision="None"))) == CARD


def test_two_real_revisions_are_a_conflict() -> None:
    found = groups(one(data_revision="1234567"))
    card = parse_card(CARD.encode(), "README.md")
    (change,) = plan(card, found, "a").changes
    assert (change.what, change.old, change.new, change.line) == ("conflicting", "abc", "1234567", 6)
    assert write(CARD, found, Rules(on_conflict="keep")) == CARD
    quoted = CARD.replace("revision: abc", 'revision: "1234567"')
    assert write(CARD, found, Rules(revisions="replace")) == quoted
    both = write(CARD, found, Rules(revisions="both"))
    assert changed(CARD, both)[0] == []
    assert both.count("MTEB STSB") == 2
    assert write(both, found) == both


def test_tasks_of_one_data_set_are_told_apart_by_name() -> None:
    both = groups(one(0.5), one(0.25, "STSB.v2"), datasets={"STSB": "o/stsb", "STSB.v2": "o/stsb"})
    card = write(CARD.replace("C-MTEB/STSB", "o/stsb"), both)
    assert re.findall("name: (MTEB .*)", card) == ["MTEB STSB", "MTEB STSB.v2"]
    only = groups(one(0.25, "STSB.v2"), datasets={"STSB.v2": "o/stsb"})
    assert write(card, only, Rules(shared={"o/stsb"})) == card


def test_a_main_score_goes_with_the_main_metric() -> None:
    text = CARD.replace("---\ntext", "    - type: main_score\n      value: 50.0\n---\ntext")
    new = write(text, groups(one(0.4)), UPDATE)
    assert new == text.replace("50.0", "40.0")


def test_prune_takes_only_what_results_hold() -> None:
    mine, other = groups(one(0.25, "BQ")), groups(one(0.125, "LCQMC"))
    text = write(CARD, [*mine, *other])
    rules = Rules(prune=lambda old: holds(mine[0], old))
    new = write(text, groups(one()), rules)
    assert new == write(CARD, other)
    last = write(write(CARD, other), mine)
    assert write(last, groups(one(), one(0.75, "ATEC")), rules) == write(
        write(CARD, other), groups(one(0.75, "ATEC"))
    )
    changed_since = groups(one(0.26, "BQ"))
    assert write(text, groups(one()), Rules(prune=lambda old: holds(changed_since[0], old))) == text


def test_writing_keeps_mode_and_links_and_notices_changes(tmp_path: Path) -> None:
    path, link = tmp_path / "README.md", tmp_path / "link.md"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_file(link, File("link.md", b"old", b"new"))
    assert path.read_bytes() == b"new"
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    for before in (b"old", None):
        with pytest.raises(DataError, match="has changed since"):
            write_file(path, File("README.md", before, b"newer"))
    write_file(tmp_path / ".eval_results" / "a.yaml", File("a.yaml", None, b"x"))
    assert [p.name for p in sorted(tmp_path.rglob("*.*"))] == [
        ".eval_results",
        "a.yaml",
        "README.md",
        "link.md",
    ]


def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(DataError, match=r"README.md is read-only.*chmod"):
        write_file(path, File("README.md", b"old", b"new"))
    assert path.read_bytes() == b"old"


def test_random_cards_change_only_where_they_must() -> None:
    """Cards of random layout: the data afterwards, by PyYAML's own reading, is the data before plus ours."""
    rng = random.Random(1)
    tasks = ["STSB", "BQ", "ATEC", "AFQMC", "LCQMC"]
    for _ in range(60):
        text = _random_card(rng, tasks)
        bom, newline = rng.choice(["", "\ufeff"]), rng.choice(["\n", "\r\n"])
        found = groups(
            *(
                one(rng.randint(20, 30) / 64, t, data_revision="")
                for t in rng.sample(tasks, rng.randint(1, 4))
            )
        )
        front = text.split("---\n")[1]
        came = write(bom + text.replace("\n", newline), found, UPDATE)
        assert came.startswith(bom)
        assert came.count("\n") == came.count(newline)
        new = came.removeprefix(bom).replace(newline, "\n")
        left = iter(new.splitlines())
        assert all("value:" in line or line in left for line in text.splitlines())  # there, and in order
        before, after = yaml.safe_load(front), yaml.safe_load(new.split("---\n")[1])
        old = {g["dataset"]["type"]: g for g in before["model-index"][0]["results"]}
        ours = {"C-MTEB/" + g.task: g.data["metrics"][0]["value"] for g in found}
        results = after["model-index"][0].pop("results")
        before["model-index"][0].pop("results")
        assert before == after
        assert [g["dataset"]["type"] for g in results] == [*old, *(k[7:] for k in ours if k not in old)]
        for group in results:
            name = group["dataset"]["type"]
            expected = ours.get(name, ours.get("C-MTEB/" + name))
            if expected is None:
                assert group == old[name]
            else:
                assert group["metrics"][0]["value"] == expected
        assert write(new, found) == new


def _random_card(rng: random.Random, tasks: list[str]) -> str:
    """A card of these tasks with indents, quotes, comments and order of keys by chance."""
    dash = "-" + " " * rng.choice([1, 3])
    outer = " " * rng.choice([0, 2])
    inner = outer + " " * len(dash)
    item = inner + " " * rng.choice([0, 2])
    key = item + " " * len(dash)
    above = rng.choice([[], ["? a b", ": {b: 1}"], ["text: |", "  block", "", "  - task:"], ["é: 😀 # 😀"]])
    lines = ["title: x # y", *above, "model-index:", f"{outer}{dash}name: m", f"{inner}results:"]
    for task in rng.sample(tasks, rng.randint(1, 4)):
        quote, note = rng.choice(["", "'", '"']), rng.choice(["", "  # note"])
        deep = key + " " * rng.choice([0, 2])
        dataset = [f"{key}  name: {rng.choice(['a', '日本'])}", f"{key}  type: {quote}C-MTEB/{task}{quote}"]
        rng.shuffle(dataset)
        kind = [[f"task:{note}", f"{key}  type: STS"], ["task: {type: STS}  # é"]]
        lines += [item + dash + "\n".join(rng.choice(kind)), f"{key}dataset:", *dataset]
        lines += rng.choice([[], [f"{key}  args:", f"{key}    a: [1]"], [f"{key}  ? extra", f"{key}  : 1"]])
        lines += (
            [f"{key}  split: >-", f"{key}    test"] if rng.random() < 0.2 else [f"{key}  split: test{note}"]
        )
        lines += rng.choice([[], [f"{key}source:", f"{key}  url: 'https://x/#y'"]])
        lines += [f"{key}metrics:"]
        lines += [f"{deep}- type: {rng.choice(['cos_sim', 'cosine'])}_spearman"]
        lines += [f"{deep}  value: {rng.choice(['31.25', '40', quote + '41.5' + quote])}{note}"]
        lines += rng.choice([[], ["", "# between"], [f"{deep}  name: n"]])
    lines += rng.choice([[], ["last: [1]"], ["# at the margin", "..."]])
    return "---\n" + "\n".join(lines) + "\n---\nbody\n"
