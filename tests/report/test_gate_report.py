"""A gate's answer as tables, Markdown, JSON, JUnit XML and annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.report.gate.ci import to_github, to_gitlab, to_junit
from harness.report.gate.decide import Gate, gate
from harness.report.gate.render import WORST, headline, lost_most, notes, rows, to_json, to_markdown
from harness.report.gate.rules import Gates
from harness.report.gate.verdict import Check
from tests.report.gates import queries, side, suite, task
from tests.report.make import result

BASE = np.linspace(0.2, 1, 50)
DROPS = np.linspace(0.01, 0.2, 50)  # the last query loses most


@pytest.fixture(scope="module")
def failed() -> Gate:
    provenance = {"libraries": {"torch": "2.12"}}
    old = side("old|1", queries("A", BASE, provenance=provenance), queries("B", BASE))
    new = side(
        "new",
        queries("A", BASE - DROPS, provenance={"libraries": {"torch": "2.13"}}),
        queries("B", BASE + 0.05),
    )
    return gate(old, new, suite(task("A"), task("B"), task("C")), Gates())


@pytest.fixture(scope="module")
def invalid() -> Gate:
    old, new = queries("A", BASE), queries("A", BASE, data_fingerprint="other")
    return gate(side("old", old), side("new", new), suite(task("A")), Gates())


def test_the_worst_stands_first(failed: Gate) -> None:
    assert [row[0] for row in rows(failed)] == ["A", "mean of toy", "B"]
    first = rows(failed)[0]
    assert first[1:5] == ["ndcg_at_10", "60.00", "49.50", "-10.50"]
    assert first[6] == "<0.001"
    assert first[-1] == "✗ worse"
    assert rows(failed)[2][-1] == "✓"
    assert headline(failed) == "failed: 2 of 3 checks, new against old|1"


def test_notes_say_why(failed: Gate) -> None:
    lines = notes(failed)
    assert lines[0].startswith("A: lost 10.50, 0.50 are allowed; p = ")
    assert "not gated, since results are missing: C" in lines
    assert "differs: libraries: torch 2.12 and 2.13" in lines


def test_the_ten_that_lost_most(failed: Gate) -> None:
    check = failed.failed[0]
    worst = lost_most(check)
    assert [row[2] for row in worst] == [f"q{i}" for i in range(49, 39, -1)]
    assert len(worst) == WORST
    assert worst[0][3:] == pytest.approx((1.0, 0.8))
    assert lost_most(replace(check, verdict="pass")) == []


def test_a_summary_for_a_pull_request(failed: Gate) -> None:
    text = to_markdown(failed)
    assert "Left out" not in text
    assert text.startswith("## Gate failed: 2 of 3 checks, new against old\\|1\n")
    assert text.index("| A |") < text.index("| mean of toy |") < text.index("| B |")
    assert "corrected by Holm over 3 checks, is below 0.05" in text
    assert "<details><summary>A: the examples that lost most</summary>" in text
    assert "| q49 | 1.0000 | 0.8000 |" in text
    odd = replace(failed, checks=(replace(failed.failed[0], name="A <b>[x]"),))
    assert "<summary>A &lt;b&gt;[x]: the" in to_markdown(odd)
    assert "text" not in re.findall(r"\| example .*", text)[0]


def test_texts_are_shown_only_when_asked_for(failed: Gate) -> None:
    asked: list[tuple[str, str, str]] = []

    def texts(check: Check, split: str, subset: str, ids: Sequence[str]) -> Mapping[str, str]:
        asked.append((check.name, split, subset))
        return {name: f"text | of {name}" for name in ids if name != "q48"}

    text = to_markdown(failed, texts)
    assert asked == [("A", "test", "default")]
    assert r"| q49 | 1.0000 | 0.8000 | text \| of q49 |" in text
    assert "| q48 | " in text
    assert "text \\| of q48" not in text


def test_a_summary_stays_below_what_a_comment_holds() -> None:
    """Of 400 tasks that got worse the worst ones are shown, and what is left out is counted."""
    names = [f"Täsk{i:03}" for i in range(400)]
    scores = np.linspace(0.5, 1, 30)
    old = side("o", *(queries(n, scores) for n in names))
    new = side("n", *(queries(n, scores - 0.1 - at / 2000) for at, n in enumerate(names)))
    found = gate(old, new, suite(*map(task, names)), Gates())
    assert len(found.failed) == 401
    text = to_markdown(found, lambda check, split, subset, ids: dict.fromkeys(ids, "long " * 50_000))
    assert len(text.encode()) <= 65_536
    assert text.index("| Täsk399 |") < text.index("| Täsk398 |")
    assert "Täsk399: the examples that lost most" in text
    shown, listed = text.count("| ✗ worse |"), text.count("<details>")
    assert min(shown, listed) > 3
    assert f"{401 - shown} of 401 checks" in text
    assert f"{400 - listed} of 400 lists of examples" in text
    assert text.count("<details>") == text.count("</details>")
    refused = replace(found, invalid=tuple(f"{name}: {'x' * 2000}" for name in names))
    assert len(to_markdown(refused).encode()) <= 65_536
    assert " of 400 reasons" in to_markdown(refused)


def test_an_invalid_comparison_has_no_verdict(invalid: Gate) -> None:
    text = to_markdown(invalid)
    assert "The comparison is not valid, so there is no verdict" in text
    assert "- A: the data differ (fingerprints f and other)" in text
    assert "| task |" not in text
    assert to_json(invalid)["answer"] == "not comparable"
    assert headline(invalid) == "not comparable: new against old"


def test_an_exact_gate_explains_itself() -> None:
    old, new = side("o", queries("A", BASE)), side("n", queries("A", BASE + 0.01))
    text = to_markdown(gate(old, new, suite(task("A")), Gates(), exact=True))
    assert "Any metric of a task that moves by more than 0.0001 points fails, up or down" in text
    assert "A: 60.000000 became 61.000000; it may move by 0.0001" in text
    assert "Holm over" not in text


def test_json_holds_everything_and_no_nan(failed: Gate) -> None:
    answer = json.loads(json.dumps(to_json(failed), allow_nan=False))
    assert (answer["answer"], answer["exit_code"], answer["absent"]) == ("failed", 1, ["C"])
    first = answer["checks"][0]
    assert (first["name"], first["verdict"], first["allowed_drop"]) == ("A", "regressed", 0.5)
    assert first["lost_most"][0]["id"] == "q49"
    assert first["interval"][0] < first["gain"] < first["interval"][1] < 0
    assert first["detectable"] > 0
    alone = gate(side("o", queries("A", [0.5])), side("n", queries("A", [0.4])), suite(task("A")), Gates())
    only = json.loads(json.dumps(to_json(alone), allow_nan=False))["checks"][0]
    assert (only["interval"], only["detectable"]) == ([None, None], None)


def test_junit_has_one_case_a_check(failed: Gate, invalid: Gate) -> None:
    root = ElementTree.fromstring(to_junit(failed))
    (found,) = root.iter("testsuite")
    assert [found.get(n) for n in ("tests", "failures", "errors", "skipped")] == ["4", "2", "0", "1"]
    cases = {case.get("name"): case for case in found.iter("testcase")}
    assert set(cases) == {"A", "B", "mean of toy", "C"}
    skipped = cases["C"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "not gated, since results are missing"
    failure = cases["A"].find("failure")
    assert failure is not None
    assert "lost 10.50" in str(failure.get("message"))
    assert cases["B"].find("failure") is None
    assert "pass; ndcg_at_10: 60.0000 to 65.0000; sign flips, 50 queries; detectable: " in str(
        cases["B"].findtext("system-out")
    )
    (found,) = ElementTree.fromstring(to_junit(invalid)).iter("testsuite")
    assert (found.get("tests"), found.get("failures"), found.get("errors")) == ("1", "0", "1")


def test_junit_survives_control_characters(invalid: Gate) -> None:
    odd = replace(invalid, invalid=("A: \x00\x1b[31m<&>",), new="n\x07")
    (error,) = ElementTree.fromstring(to_junit(odd)).iter("error")
    assert error.get("message") == "A: ��[31m<&>"
    named = to_junit(replace(invalid, suite="s\ufffe\uffff\ud800", invalid=("A: \U0001f600",)))
    assert ElementTree.fromstring(named.encode()).find("testsuite").get("name") == "gate s���"  # type: ignore[union-attr]


def test_annotations_of_github(failed: Gate, invalid: Gate) -> None:
    lines = to_github(failed).splitlines()
    assert lines[0].startswith("::error title=gate A::lost 10.50")
    assert len(lines) == 2
    assert (
        to_github(invalid)
        == "::error title=gate not comparable::A: the data differ (fingerprints f and other)\n"
    )
    assert to_github(replace(failed, checks=())).startswith("::notice title=gate::passed: 0 checks")
    many = to_github(replace(invalid, invalid=tuple(f"50 %\n{i}" for i in range(30)))).splitlines()
    assert len(many) == 10
    assert many[0] == "::error title=gate not comparable::50 %25%0A0"
    assert many[-1] == "::error title=gate::and 21 more"
    (odd, *_) = failed.failed
    named = replace(failed, checks=(replace(odd, name="a, file=x::b%\nc"),))
    assert to_github(named).startswith("::error title=gate a%2C file=x%3A%3Ab%25%0Ac::lost 10.50")


def test_a_report_for_gitlab(failed: Gate, invalid: Gate) -> None:
    found = to_gitlab(failed)
    assert [one["check_name"] for one in found] == ["gate A", "gate mean of toy"]
    assert len({one["fingerprint"] for one in found}) == 2
    assert {"description", "check_name", "fingerprint", "severity", "location"} == set(found[0])
    assert found[0]["location"]["lines"]["begin"] == 1
    assert to_gitlab(invalid)[0]["severity"] == "blocker"
    assert to_gitlab(replace(failed, checks=())) == []
    two = to_gitlab(replace(invalid, invalid=("A: dtype: x and y", "A: prompts: x and y", "no results: x")))
    assert len({one["fingerprint"] for one in two}) == 3
    assert [one["check_name"] for one in two] == ["gate A", "gate A", "gate comparison"]


def test_an_invalid_comparison_says_what_to_do() -> None:
    old = replace(queries("A", BASE), provenance={"dtype": "float32", "settings": {}})
    new = replace(old, provenance={"dtype": "bfloat16", "settings": {"seed": 1}})
    found = gate(side("o", old), side("n", new), suite(task("A")), Gates())
    (line,) = found.advice
    assert line.startswith(
        "score both sides alike, or declare the difference acceptable in the file of --config"
    )
    assert line.endswith(": accept: [dtype, settings]")
    assert "accept: \\[dtype, settings\\]" in to_markdown(found)
    assert to_json(found)["advice"] == [*found.advice]
    tasks = suite(*(task(name) for name in "ABCDEFG"))
    own = side("o", *(queries(name, BASE) for name in "ABCDEFG"))
    assert gate(own, side("org/n@1+bf16", old), tasks, Gates()).advice == (
        "make it with: harness eval org/n@1+bf16 --task B --task C --task D --task E --task F ...",
        "or name the tasks that both must have in the file of --config: required: [TASK, ...]",
    )
    other = replace(result("m", "A", 0.5), data_fingerprint="")  # of others: no command makes those
    assert [line[:11] for line in gate(own, side("n", other), tasks, Gates()).advice] == ["or name the"]


def test_a_test_that_can_find_nothing_is_no_blank() -> None:
    found = gate(side("o", queries("A", [0.9])), side("n", queries("A", [0.1])), suite(task("A")), Gates())
    assert rows(found)[0][7] == "none"
    assert notes(found) == ["too few examples to find any drop: A"]
    same = gate(side("o", queries("A", [0.9])), side("n", queries("A", [0.9])), suite(task("A")), Gates())
    assert notes(same) == ["too few examples to find any drop: A"]


def test_a_single_example_that_blinds_the_mean_is_named_with_the_way_out() -> None:
    names = ("A", "B", "One")
    old = side("o", queries("A", BASE), queries("B", BASE), queries("One", [0.5]))
    new = side("n", queries("A", BASE - DROPS), queries("B", BASE - DROPS), queries("One", [0.4]))
    blind = gate(old, new, suite(*map(task, names)), Gates())
    (line,) = (note for note in notes(blind) if note.startswith("how far"))
    assert line.startswith("how far One may vary is not known")
    assert "weight: 0" in line
    followed = Gates.model_validate({"tasks": {"One": {"weight": 0}}})
    seeing = gate(old, new, suite(*map(task, names)), followed)
    assert not [note for note in notes(seeing) if note.startswith("how far")]
    assert {c.title for c in seeing.failed} == {"A", "B", "mean of toy"}
    assert {c.title for c in blind.failed} == {"A", "B"}
