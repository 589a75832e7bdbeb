"""`harness gate` and `harness noise` from the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.report.gate.rules import load_gates
from tests.cli.test_cli import Answer, inside
from tests.toys import sts_rows, write_task

__all__ = ["inside"]

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "results" / "reference"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
Call = Callable[..., Answer]


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Three tasks of the embedded suite."""
    names = ("SmokeSTS", "SmokeRetrieval", "SmokeNegation")
    tasks = "".join(f"  - {{name: {name}, source: {{folder: smoke}}}}\n" for name in names)
    path = tmp_path / "few.yaml"
    path.write_text(f"suite: few\ntitle: Few\ntasks:\n{tasks}", encoding="utf-8")
    return path


@pytest.fixture
def against(inside: Call, few: Path) -> Call:
    """A gate of a reference model against another one."""

    def call(model: str, baseline: object, *more: object) -> Answer:
        return inside(
            "gate", model, "--baseline", baseline, "--suite", few, "--results", REFERENCE, *more
        )  # fmt: skip

    return call


def test_a_model_passes_against_itself(against: Call) -> None:
    found = against("all-MiniLM-L6-v2", REFERENCE)
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].startswith("task ")
    assert lines[0].endswith("  p (Holm)  detectable  verdict")
    assert [line.split()[0] for line in lines[1:]] == ["SmokeNegation", "SmokeRetrieval", "SmokeSTS", "mean"]
    assert found.err.splitlines()[0] == "warning: both sides are the very same results; nothing is compared"
    assert found.err.splitlines()[1].startswith("passed: 4 checks")
    assert against("all-MiniLM-L6-v2", REFERENCE, "--exact").code == 0


def test_a_worse_model_fails_and_every_output_says_why(against: Call, tmp_path: Path) -> None:
    junit, summary = tmp_path / "out" / "junit.xml", tmp_path / "out" / "summary.md"
    summary.parent.mkdir()
    summary.write_text("before\n", encoding="utf-8")
    found = against("char-ngram", MINILM, "--junit", junit, "--summary", summary, "--json")
    assert found.code == 1
    answer = json.loads(found.out)
    assert answer["answer"] == "failed"
    verdicts = {check["name"]: check["verdict"] for check in answer["checks"]}
    assert verdicts["SmokeSTS"] == verdicts["SmokeRetrieval"] == verdicts["few"] == "regressed"
    assert answer["environment"] == ["backend: torch and numpy"]
    (cases,) = ElementTree.parse(junit).getroot()
    assert cases.get("failures") == str(len([v for v in verdicts.values() if v == "regressed"]))
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n## Gate failed")  # appended, as $GITHUB_STEP_SUMMARY wants it
    assert "SmokeSTS: lost 46.11, 0.50 are allowed; p = " in text
    plain = against("char-ngram", MINILM)
    assert "failed: " in plain.err
    assert "✗ worse" in plain.out


def test_texts_are_shown_only_when_asked_for(against: Call, tmp_path: Path) -> None:
    bare, full = tmp_path / "bare.md", tmp_path / "full.md"
    against("char-ngram", MINILM, "--summary", bare)
    against("char-ngram", MINILM, "--summary", full, "--show-texts", "--offline")
    rows = (ROOT / "tasks" / "smoke" / "SmokeSTS" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    text = json.loads(rows[79])["sentence1"]
    assert text in full.read_text(encoding="utf-8")
    assert text not in bare.read_text(encoding="utf-8")


def test_annotations(against: Call, few: Path) -> None:
    github = against("char-ngram", MINILM, "--annotations", "github")
    assert github.out.startswith("::error title=gate SmokeSTS::lost 46.11")
    gitlab = against("char-ngram", MINILM, "--annotations", "gitlab")
    assert json.loads(gitlab.out)[0]["check_name"] == "gate SmokeSTS"
    nowhere = against("char-ngram", MINILM, "--junit", few / "gate.xml")
    assert (nowhere.code, "gate.xml: cannot be written" in nowhere.err) == (2, True)
    both = against("char-ngram", MINILM, "--annotations", "github", "--json")
    assert (both.code, both.err.startswith("error: --json and --annotations")) == (2, True)


def test_rules_from_a_file(against: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "gates.yaml"
    config.write_text("suites: {few: {tasks: {default: {max_drop: 99}}, mean: {max_drop: 99}}}\n")
    assert against("char-ngram", MINILM, "--config", config).code == 0
    config.write_text("tasks: {SmokeSts: {max_drop: 1}}\n")
    found = against("char-ngram", MINILM, "--config", config)
    assert (found.code, found.out) == (2, "")
    assert "SmokeSts, which is no task of few; did you mean SmokeSTS?" in found.err
    monkeypatch.chdir(tmp_path)
    assert "note: gates.yaml lies here and does not count" in against("all-MiniLM-L6-v2", REFERENCE).err
    config.write_text("suites: {smok: {}}\n")
    assert "the rules name suite smok, " in against("all-MiniLM-L6-v2", REFERENCE, "--config", config).err
    config.write_text("tasks: {SmokeSTS: {floor: no}}\n")
    found = against("char-ngram", MINILM, "--config", config)
    assert (found.code, "line 1" in found.err, "YAML reads" in found.err) == (2, True, True)
    assert against("char-ngram", MINILM, "--config", tmp_path / "none.yaml").code == 2


def test_what_is_not_there_is_exit_2_with_the_command_that_makes_it(against: Call, tmp_path: Path) -> None:
    for model, baseline, lacking in (
        ("me/none", REFERENCE, "me/none"),
        ("char-ngram+len16", REFERENCE, "char-ngram+len16"),
        ("char-ngram", "all-MiniLM-L6-v2@abc", "all-MiniLM-L6-v2@abc"),
    ):
        found = against(model, baseline)
        assert (found.code, found.out) == (2, "")
        assert f"make them with: harness eval {lacking}" in found.err
    other = tmp_path / "sbert"
    shutil.copytree(REFERENCE / "harness__bm25/no_revision_available", other / "harness__bm25/r1/sbert")
    for path in other.rglob("*.json"):
        path.write_text(path.read_text().replace('"protocol": "mteb"', '"protocol": "sbert"'))
    told = against("bm25", REFERENCE, "--results", other).err
    assert f"bm25 has results by sbert, but none under protocol mteb in {other}" in told
    assert f"{tmp_path} holds no results under protocol mteb" in against("all-MiniLM-L6-v2", tmp_path).err
    assert "git:REVISION:PATH" in against("all-MiniLM-L6-v2", "git:main").err
    assert against("all-MiniLM-L6-v2", tmp_path / "README.md").code == 2
    assert "slip: no such folder" in against("all-MiniLM-L6-v2", tmp_path / "slip").err


def test_what_cannot_be_compared_is_in_every_report(against: Call, tmp_path: Path) -> None:
    """A CI system shows files and annotations; an error on stderr alone looks like no gate at all."""
    junit, summary = tmp_path / "gate.xml", tmp_path / "gate.md"
    files = ("--junit", junit, "--summary", summary)
    found = against("me/none", REFERENCE, *files, "--annotations", "gitlab")
    assert found.code == 2
    assert json.loads(found.out)[0]["description"].startswith("unknown model 'me/none'")
    assert found.err.startswith("error: unknown model 'me/none'")
    (error,) = ElementTree.parse(junit).iter("error")
    assert "harness eval me/none" in str(error.get("message"))
    assert "harness eval me/none" in summary.read_text(encoding="utf-8")
    github = against("me/none", REFERENCE, "--annotations", "github")
    assert github.out.startswith("::error title=gate not comparable::unknown model 'me/none'")
    answer = json.loads(against("me/none", REFERENCE, "--json").out)
    assert (answer["exit_code"], answer["checks"]) == (2, [])
    assert answer["invalid"][0].startswith("unknown model 'me/none'")


def test_two_sides_of_one_name_are_told_apart(against: Call, tmp_path: Path) -> None:
    copied = tmp_path / "released"
    shutil.copytree(REFERENCE / "harness__char-ngram", copied / "harness__char-ngram")
    next(copied.rglob("SmokeSTS.json")).unlink()
    found = against("char-ngram", copied)
    assert f"not comparable: harness/char-ngram in {copied} has no result for SmokeSTS" in found.err
    assert "make it with: harness eval harness/char-ngram --task SmokeSTS" in found.err


def test_tasks_that_only_one_side_has(against: Call) -> None:
    found = against("bm25", MINILM)
    assert found.code == 2
    assert "not comparable: harness/bm25 has no result for SmokeSTS" in found.err


def test_a_model_card_as_baseline(against: Call, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    text = "---\nmodel-index:\n- name: a\n  results:\n"
    for name, type_, metric, value in (
        ("SmokeSTS", "STS", "cos_sim_spearman", 80), ("SmokeRetrieval", "Retrieval", "ndcg_at_10", 80),
    ):  # fmt: skip
        text += f"  - task: {{type: {type_}}}\n    dataset: {{type: x/y, name: MTEB {name}, split: test}}\n"
        text += f"    metrics: [{{type: {metric}, value: {value}}}]\n"
    card.write_text(f"{text}---\n", encoding="utf-8")
    config = tmp_path / "gates.yaml"
    config.write_text("required: [SmokeSTS, SmokeRetrieval]\n")
    found = against("all-MiniLM-L6-v2", card, "--config", config)
    assert found.code == 1
    assert "SmokeSTS: lost 7.72, 0.50 are allowed; no per-example values to test" in found.err
    assert "tolerance alone (no per-example values): SmokeSTS, SmokeRetrieval" in found.err


def test_neither_torch_nor_mteb_is_loaded(few: Path, against: Call) -> None:
    against("char-ngram", MINILM)  # mteb's table of tasks is read once
    script = (
        "import sys\nfrom harness.cli import main\n"
        f"sys.argv = ['harness', 'gate', 'char-ngram', '--baseline', '{MINILM}', '--suite', '{few}',"
        f" '--results', '{REFERENCE}']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 1, stop.code\n"
        "heavy = {'torch', 'mteb', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_noise_writes_rules_that_the_gate_reads(inside: Call, tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "One", "sts", "cosine_spearman", test=sts_rows())
    suite, output = tmp_path / "own.yaml", tmp_path / "new" / "gates.yaml"
    suite.write_text("suite: 'no'\ntitle: Own\ntasks:\n  - {name: One}\n")
    options = ("--suite", suite, "--data", data, "--repeats", 2, "-o", output)
    found = inside("noise", "char-ngram", *options)
    assert found.code == 0, found.err
    assert "repeat 2 of 2" in found.err
    assert found.out.splitlines()[1].split()[:2] == ["One", "cosine_spearman"]
    gates = load_gates(output)
    assert gates.task("no", "One").max_drop == 0.01
    assert gates.whole("no").max_drop == 0.01
    output.write_text("# ours\nsuites: {'no': {tasks: {One: {max_drop: 7, floor: 1}}}}\n", encoding="utf-8")
    again = inside("noise", "char-ngram", *options)
    assert (again.code, "One.max_drop: kept 7, measured 0.01 (--force replaces it)" in again.err) == (0, True)
    assert output.read_text(encoding="utf-8").startswith(
        "# ours\nsuites: {'no': {mean: {max_drop: 0.01}, tasks: "
    )
    assert load_gates(output).task("no", "One").max_drop == 7
    forced = inside("noise", "char-ngram", *options, "--force", "--json")
    assert json.loads(forced.out)[0]["moved"] == 0.0
    assert (load_gates(output).task("no", "One").max_drop, load_gates(output).task("no", "One").floor) == (
        0.01,
        1,
    )
    for unfit in ("level: 9\n", "level: &l 0.01\ntasks: {One: {floor: *l}}\n", "{level: 0.01}\n"):
        output.write_text(unfit, encoding="utf-8")
        refused = inside("noise", "char-ngram", *options)
        assert (refused.code, output.read_text(encoding="utf-8")) == (2, unfit)
        assert "repeat" not in refused.err  # before anything is measured
    output.write_text("# to come\n", encoding="utf-8")
    assert inside("noise", "char-ngram", *options).code == 0
    assert load_gates(output).task("no", "One").max_drop == 0.01
    assert output.read_text(encoding="utf-8").startswith("# to come\n")
    assert inside("noise", "me/none", "--suite", suite, "-o", tmp_path / "x.yaml", "--offline").code == 2
    assert not (tmp_path / "x.yaml").exists()


def test_noise_interrupted_writes_nothing_and_says_so(
    inside: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.report.gate.noise.noise", interrupted)
    found = inside("noise", "char-ngram", "--suite", "smoke", "-o", tmp_path / "gates.yaml")
    assert (found.code, "interrupted: nothing is written to" in found.err) == (130, True)
    assert not (tmp_path / "gates.yaml").exists()
