"""`harness prefetch` as a user meets it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.data.sizes import known_size
from harness.suite import load_task
from tests.cli.test_cli import Answer
from tests.toys import sts_rows, write_task

TWO = ("--task", "SmokeSTS", "--task", "SmokeTopics")


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Answer]]:
    from harness.cli import main

    level = logging.getLogger().level

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["harness", "prefetch", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        answer = Answer.__new__(Answer)
        answer.out, answer.err = capsys.readouterr()
        answer.code = stopped.value.code if isinstance(stopped.value.code, int) else 0
        return answer

    yield run
    logging.getLogger().setLevel(level)


def test_twice(call: Callable[..., Answer], tmp_path: Path) -> None:
    first = call(*TWO, "--data", tmp_path / "d")
    assert first.code == 0, first.err
    assert first.err.splitlines() == ["[1/2] SmokeSTS: written", "[2/2] SmokeTopics: written"]
    assert "SmokeTopics  written  2" in first.out
    second = call(*TWO, "--data", tmp_path / "d", "-q")
    assert (second.code, second.err) == (0, "")
    assert f"nothing to do: all of it is in {tmp_path / 'd'}" in second.out


def test_a_task_without_the_subset_is_named(call: Callable[..., Answer], tmp_path: Path) -> None:
    options = ("--task", "SmokeBitext", *TWO, "--subset", "jpn-eng", "--data", tmp_path / "d", "--dry-run")
    skipped = ["skip: SmokeSTS: has no subset jpn-eng", "skip: SmokeTopics: has no subset jpn-eng"]
    assert call(*options).err.splitlines() == skipped
    assert call(*options, "-q").err == ""


def test_json_is_the_same_for_the_same_data(call: Callable[..., Answer], tmp_path: Path) -> None:
    one, two = (call(*TWO, "char-ngram", "--data", tmp_path / name, "--json").out for name in ("a", "b"))
    assert one == two
    found = json.loads(one)
    assert [(row["task"], row["state"]) for row in found["tasks"]] == [
        ("SmokeSTS", "written"),
        ("SmokeTopics", "written"),
    ]
    assert found["model"]["name"] == "harness/char-ngram"
    for row in found["tasks"]:
        for name, facts in row["files"].items():
            assert facts["written"]
            assert facts["bytes"] == (tmp_path / "a" / row["task"] / name).stat().st_size


def test_a_dry_run_says_what_is_known_and_writes_nothing(call: Callable[..., Answer], tmp_path: Path) -> None:
    answer = call("--task", "SciFact", "--task", "SmokeSTS", "bm25", "--data", tmp_path / "d", "--dry-run")
    assert answer.code == 0, answer.err
    (row,) = [line for line in answer.out.splitlines() if line.startswith("SciFact")]
    assert row.split() == ["SciFact", "retrieval", "to", "fetch", "1", "5,483", "7,798,555", row.split()[-1]]
    assert "model harness/bm25: there" in answer.out
    assert not (tmp_path / "d").exists()
    found = json.loads(call("--task", "SciFact", "--data", tmp_path / "d", "--dry-run", "--json").out)
    assert found["tasks"][0]["rows"] == 5183 + 300


def test_sizes_of_subsets_are_their_own() -> None:
    def size(*subsets: str) -> tuple[int, int] | None:
        return known_size(load_task("MassiveIntentClassification", subsets=subsets, splits=["test"]).tasks[0])

    both, ja, zh = size("ja", "zh-CN"), size("ja"), size("zh-CN")
    assert both is not None
    assert ja is not None
    assert zh is not None
    assert both == (ja[0] + zh[0], ja[1] + zh[1])
    assert ja[0] == 2974
    assert known_size(load_task("SmokeSTS").tasks[0]) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "d"], "name a suite"),
        (["smoke"], "pass --data DIR"),
        (["nowhere", "--data", "d"], "unknown suite 'nowhere'"),
        (["--task", "SciFac", "--data", "d"], "did you mean SciFact"),
        (["smoke", "no-such-model", "--data", "d"], "unknown model 'no-such-model'"),
        (["smoke", "bm25", "--task", "SmokeSTS", "--data", "d"], "exclude each other"),
        (["smoke", "--split", "dev", "--data", "d"], "unknown split 'dev'"),
        (["--task", "MNIST", "--data", "d"], "image"),
    ],
)
def test_wrong_input(
    call: Callable[..., Answer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert not (tmp_path / "d").exists()


def test_the_environment_names_the_folder(
    call: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "d"))
    assert call("--task", "SmokeSTS").code == 0
    assert call("--task", "SmokeSTS").out.count("there already") == 1  # its own copy is not its source
    monkeypatch.setenv("HARNESS_DATA", f"{tmp_path / 'd'}:{tmp_path / 'e'}")
    assert "names several folders" in call("--task", "SmokeSTS").err


def test_another_revision_is_exit_code_2(
    call: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "tasks" / "own"
    write_task(source, "Mine", "sts", "cosine_spearman", test=sts_rows(5))
    suite = tmp_path / "mine.yaml"
    suite.write_text("suite: mine\ntitle: Mine\ntasks:\n  - {name: Mine, source: {folder: own}}\n")
    from harness import suite_file as suites
    from harness import task as tasks

    for module in (suites, tasks):
        monkeypatch.setattr(module, "tasks_folder", lambda: tmp_path / "tasks")
    assert call(suite, "--data", tmp_path / "d").code == 0
    write_task(source, "Mine", "sts", "cosine_spearman", test=sts_rows(6))
    answer = call(suite, "--data", tmp_path / "d")
    assert answer.code == 2
    assert "Mine is there with revision local:" in answer.err
    assert "--update" in answer.err
    assert "there at another revision" in call(suite, "--data", tmp_path / "d", "--dry-run").out
    answer = call(suite, "--data", tmp_path / "d", "--update")
    assert (answer.code, "1      6" in answer.out) == (0, True)


def test_failures_are_named_together_and_the_others_done(
    call: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import prefetch
    from harness.errors import DataError

    real = prefetch.load_examples

    def load(task, *rest, **how):
        if task.name != "SmokeTopics":
            raise DataError(f"{task.name} is broken")
        return real(task, *rest, **how)

    monkeypatch.setattr(prefetch, "load_examples", load)
    answer = call(*TWO, "--task", "SmokePairs", "--data", tmp_path / "d")
    assert answer.code == 1
    assert answer.err.splitlines()[-2:] == ["error: SmokeSTS is broken", "error: SmokePairs is broken"]
    assert (tmp_path / "d" / "SmokeTopics").is_dir()
    assert call("--task", "SmokeSTS", "--data", tmp_path / "d").code == 2


def test_an_interrupt_keeps_what_is_done(
    call: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import prefetch

    real = prefetch.load_examples

    def load(task, *rest, **how):
        if task.name == "SmokeTopics":
            raise KeyboardInterrupt
        return real(task, *rest, **how)

    monkeypatch.setattr(prefetch, "load_examples", load)
    answer = call(*TWO, "--data", tmp_path / "d")
    assert answer.code == 130
    assert "the same command goes on" in answer.err
    monkeypatch.setattr(prefetch, "load_examples", real)
    answer = call(*TWO, "--data", tmp_path / "d")
    assert answer.err.splitlines() == ["[1/2] SmokeSTS: there already", "[2/2] SmokeTopics: written"]
