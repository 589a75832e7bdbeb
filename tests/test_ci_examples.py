"""The examples for CI systems and the commands of docs/gates.md, run as those systems would."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from harness.report.gate.rules import load_gates
from tests.cli.test_cli import Answer, inside

__all__ = ["inside"]

ROOT = Path(__file__).parent.parent
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project with stored results and a suite of two tasks."""
    shutil.copytree(ROOT / "results" / "reference", tmp_path / "results" / "local")
    tasks = "".join(f"  - {{name: {n}, source: {{folder: smoke}}}}\n" for n in ("SmokeSTS", "SmokeRetrieval"))
    (tmp_path / "few.yaml").write_text(f"suite: smoke\ntitle: Few\ntasks:\n{tasks}", encoding="utf-8")
    return tmp_path


def shell(home: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a CI system would: bash, -e, with `harness` on the path."""
    program = home / "bin" / "harness"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m harness "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{program.parent}:{os.environ['PATH']}", **variables
    }  # fmt: skip
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)


def test_the_github_action(home: Path) -> None:
    action = yaml.safe_load((ROOT / "examples" / "ci" / "gate" / "action.yml").read_text(encoding="utf-8"))
    (step,) = action["runs"]["steps"]
    assert (action["runs"]["using"], step["shell"]) == ("composite", "bash")
    inputs = {name: of.get("default") for name, of in action["inputs"].items()}
    assert [name for name, default in inputs.items() if default is None] == ["model", "baseline"]
    given = {**inputs, "model": "char-ngram", "baseline": MINILM, "suite": "few.yaml"}
    named = {v: re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", said)[1] for v, said in step["env"].items()}  # type: ignore[index]
    variables = {variable: given[name] for variable, name in named.items()}
    done = shell(home, step["run"], GITHUB_STEP_SUMMARY=str(home / "summary.md"), **variables)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error title=gate SmokeSTS::lost 46.11")
    assert (home / "summary.md").read_text(encoding="utf-8").startswith("## Gate failed")
    assert ElementTree.parse(home / "gate.xml").getroot().tag == "testsuites"


def test_the_gitlab_template(home: Path) -> None:
    (job,) = yaml.safe_load((ROOT / "examples" / "ci" / "gitlab.yml").read_text(encoding="utf-8")).values()
    (script,) = job["script"]
    config = home / "gates.yaml"
    config.write_text("level: 0.05\n", encoding="utf-8")
    variables = {
        **job["variables"],
        "MODEL": MINILM,
        "BASELINE": MINILM,
        "SUITE": "few.yaml",
        "CONFIG": "gates.yaml",
    }
    done = shell(home, script, **variables)
    assert done.returncode == 0, done.stderr
    for kind, name in job["artifacts"]["reports"].items():
        text = (home / name).read_text(encoding="utf-8")
        assert (json.loads(text) == []) if kind == "codequality" else text.startswith("<?xml")


DOCS = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)[1:]
    for body in re.findall(r"```sh\n(.*?)```", DOCS, flags=re.DOTALL)
    for line in body.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_of_the_docs(
    home: Path, inside: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(home)
    shutil.copytree(home / "results" / "local", home / "results" / "reference")
    (rules,) = re.findall(r"```yml\n(.*?)```", DOCS, flags=re.DOTALL)
    rules = "".join(line for line in rules.splitlines(keepends=True) if "SmokeNegation" not in line)
    (home / "gates.yaml").write_text(rules, encoding="utf-8")
    (home / "README.md").write_text(
        "---\nmodel-index:\n- name: a\n  results:\n  - task: {type: STS}\n"
        "    dataset: {type: x/y, name: MTEB SmokeSTS, config: default, split: test}\n"
        "    metrics: [{type: cos_sim_spearman, value: 72}]\n---\n"
    )  # fmt: skip
    if any(word.startswith("git:") for word in command):
        for words in (("init", "-b", "main"), ("add", "."), ("commit", "-m", "x")):
            identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
            subprocess.run(["git", *identity, *words], check=True, capture_output=True)
    found = inside(*(word if word != "smoke" else "few.yaml" for word in command))
    assert found.code == (1 if "all-MiniLM-L6-v2" in command[2:] and command[1] == "char-ngram" else 0), (
        found.err
    )
    assert found.out


def test_the_rules_of_the_docs(tmp_path: Path) -> None:
    (rules,) = re.findall(r"```yml\n(.*?)```", DOCS, flags=re.DOTALL)
    (tmp_path / "gates.yaml").write_text(rules, encoding="utf-8")
    gates = load_gates(tmp_path / "gates.yaml")
    assert gates.task("smoke", "SmokeNegation").must_improve == 0.5
    assert gates.task("smoke", "SmokeSTS").max_relative_drop == 3
    assert load_gates(ROOT / ".ci" / "gates.yaml").exact == 0.1
