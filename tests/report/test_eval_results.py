"""`.eval_results` files: huggingface_hub reads them, values are replaced in place, nothing is guessed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml, parse_eval_result_entries

from harness.errors import ConfigError, DataError
from harness.report.card.eval_edit import entry_text, eval_files
from harness.report.card.eval_results import Benchmark, entries, load_map
from harness.report.card.files import File
from harness.types import Result
from tests.report.make import result

A = "org/a"
NAME = ".eval_results/o__find.7654e21.yaml"


def find(**changes: Any) -> Result:
    return result(
        A, "Find", 0.0, **{"metrics": {"ndcg_at_10": 0.75}, "exact": {"ndcg_at_10": 0.7512345678}, **changes}
    )


def benchmark(**changes: Any) -> Benchmark:
    return Benchmark(**{"task": "Find", "dataset": "o/find", "task_id": "7654e21", "scale": 100, **changes})


def files(old: str | None, rule: Any = "fail", digits: int | None = None, **changes: Any) -> File:
    (file,) = eval_files(
        entries([find()], [benchmark(**changes)], digits),
        lambda _: None if old is None else old.encode(),
        on_conflict=rule,
        digits=digits,
    )
    return file


def test_the_hub_reads_what_we_write() -> None:
    source = {"url": "https://example.org/a: #1", "name": "yes", "user": "0123"}
    made = entries(
        [find(variant=("bf16", "len512"), protocol="jmteb")],
        [benchmark(source=source, revision="1e5", notes="dev set")],
    )
    ((name, entry),) = made.items()
    assert name == ".eval_results/o__find.7654e21.bf16.len512.yaml"
    (read,) = parse_eval_result_entries(yaml.safe_load(entry_text(entry)))
    assert read == EvalResultEntry(
        dataset_id="o/find",
        task_id="7654e21",
        value=100 * 0.7512345678,
        dataset_revision="1e5",
        source_url="https://example.org/a: #1",
        source_name="yes",
        source_user="0123",
        notes="dev set, bf16, len512, protocol jmteb",
    )
    assert eval_result_entries_to_yaml([read]) == yaml.safe_load(entry_text(entry))


def test_scale_and_digits_are_the_maps() -> None:
    assert [e["value"] for e in entries([find()], [benchmark(scale=1)]).values()] == [0.7512345678]
    assert [e["value"] for e in entries([find()], [benchmark()], 2).values()] == [75.12]


def test_a_new_file_an_equal_one_and_a_different_one() -> None:
    made = files(None)
    text = made.after.decode()
    assert (made.path, made.before, made.changes[0].what) == (NAME, None, "added")
    assert files(text).changes[0].what == "unchanged"
    assert not files(text).stale
    theirs = text.replace("75.12345678", "70.5  # theirs")
    for rule, what, value in (
        ("fail", "conflicting", "75.12345678"),
        ("update", "updated", "75.12345678"),
        ("keep", "kept", "70.5"),
    ):
        file = files(theirs, rule)
        (change,) = file.changes
        assert (change.what, change.line, change.old) == (what, 4, "70.5")
        assert file.after.decode() == theirs.replace("70.5", value)
    assert not files(theirs.replace("70.5", "75.12"), digits=2).stale
    verified = theirs + "  verifyToken: x\n"
    assert files(verified, "keep").after.decode() == verified


def test_a_date_goes_with_its_value() -> None:
    (wanted,) = entries([find()], [benchmark(date="2025-01-15T10:30:00Z")]).values()
    text = entry_text(wanted)
    assert '  date: "2025-01-15T10:30:00Z"\n' in text
    assert parse_eval_result_entries(yaml.safe_load(text))[0].date == "2025-01-15T10:30:00Z"
    old = text.replace("75.12345678", "70.5").replace("2025-01-15T10:30:00Z", "2024-01-01")
    made = eval_files({NAME: wanted}, lambda name: old.encode(), on_conflict="update")[0]
    assert made.after.decode() == text
    with pytest.raises(DataError, match=r"line 5: the date there is the old value's"):
        files(old, "update")
    assert files(old, "keep").after.decode() == old
    assert files(old.replace("70.5", "75.12345678")).changes[0].what == "unchanged"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2025-01-15", "2025-01-15"),
        ('"2025-01-15"', "2025-01-15"),
        ("2025-01-15T10:30:00Z", "2025-01-15T10:30:00+00:00"),
        ("yesterday", None),
        ("2025", None),
    ],
)
def test_a_date_may_stand_without_quotes(tmp_path: Path, written: str, read: str | None) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(
        f"benchmarks:\n- {{task: Find, dataset: o/find, task_id: x, scale: 1, date: {written}}}\n", "utf-8"
    )
    if read is None:
        with pytest.raises(ConfigError, match=r"line 2: .*date"):
            load_map(path)
    else:
        assert load_map(path)[0].date == read


def test_entries_of_others_stay() -> None:
    other = "# kept\r\n- dataset: {id: o/find, task_id: x}\r\n  value: 1\r\n  verifyToken: abc"
    file = files(other)
    assert file.after.decode().startswith(other + "\r\n- dataset:\r\n    id: o/find\r\n")
    assert file.after.count(b"\n") == file.after.count(b"\r\n")
    assert [e.value for e in parse_eval_result_entries(yaml.safe_load(file.after))] == [1, 75.12345678]


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("a: 1\n", "line 1: not a list"),
        ("- a: [\n", "line 2: not YAML"),
        (
            "- dataset: {id: o/find, task_id: '7654e21'}\n  value: 70\n  verifyToken: x\n",
            "line 2: the Hub has verified 70",
        ),
        (
            "- dataset: {id: o/find, task_id: '7654e21'}\n  value: 0.75\n",
            "line 2: o/find 7654e21 is 0.75 there and 75.12345678 here, about a hundredfold",
        ),
        ("- dataset: {id: o/find, task_id: '7654e21'}\n", "line 1: no `value`"),
    ],
)
def test_files_that_cannot_be_edited(old: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        files(old, "update")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "Lost"}, "Lost has no stored result there .stored: nothing"),
        ({"split": "dev"}, "Find has no stored result there .stored: test/default, test/b"),
        ({}, "Find is stored for several; name split and subset"),
        ({"subset": "b", "metric": "mrr_at_10"}, "has no value for mrr_at_10"),
    ],
)
def test_maps_that_name_no_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        entries([find(), find(subset="b")], [benchmark(**changes)])


MINE = '- dataset:\n    id: o/find\n    task_id: "7654e21"\n  value: 70.5\n'
OTHER = "- dataset:\n    id: o/x\n    task_id: y\n  value: %s\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\ufeff" + MINE, "\ufeff" + MINE.replace("70.5", "75.12345678")),
        (
            "\ufeff" + MINE.replace("\n", "\r\n"),
            "\ufeff" + MINE.replace("70.5", "75.12345678").replace("\n", "\r\n"),
        ),
        (MINE.replace(" 70.5", "  # none"), MINE.replace("70.5", "75.12345678  # none")),
        (MINE.replace(" 70.5", ""), MINE.replace("70.5", "75.12345678")),
        (OTHER % 1 + "...\n", OTHER % 1 + MINE.replace("70.5", "75.12345678") + "...\n"),
        ("# a\n---\n" + OTHER % 1, "# a\n---\n" + OTHER % 1 + MINE.replace("70.5", "75.12345678")),
    ],
)
def test_every_other_byte_of_a_file_stays(old: str, new: str) -> None:
    assert files(old, "update").after.decode() == new
    assert not files(new, "update").stale


def test_an_entry_stands_below_the_others_as_they_are_laid_out() -> None:
    old = "".join(f"  {line}\n" for line in (OTHER % 1).splitlines())
    new = files(old).after.decode()
    assert new.startswith(old)
    assert [entry["value"] for entry in yaml.safe_load(new)] == [1, 100 * 0.7512345678]


@pytest.mark.parametrize(
    ("old", "message"),
    [
        (OTHER % "&v 70.5" + MINE.replace("70.5", "*v"), "line 4: anchors and aliases"),
        (MINE.replace("70.5", "&v 70.5") + OTHER % "*v", "line 4: anchors and aliases"),
        (MINE + MINE, r"o/find 7654e21 stands 2 times \(lines 1, 5\)"),
        (MINE + "  value: 3\n", "line 5: key 'value' stands already in line 4"),
    ],
)
def test_a_file_that_would_break_is_refused(old: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        files(old, "update")


def test_no_two_benchmarks_share_a_file() -> None:
    ids = [("o/find", "a/b"), ("o/find", "a-b"), ("o/find", "a b"), ("o/fi.nd", "a-b"), ("o/fi-nd", "a-b")]
    ids += [("o/a__b", "c"), ("o__a/b", "c"), ("o/find", "日"), ("o/find", "本"), ("o/find", "x")]
    wanted = [benchmark(dataset=dataset, task_id=task) for dataset, task in ids]
    made = list(entries([find()], wanted))
    assert len(set(made)) == len(ids)
    assert made == list(entries([find()], wanted))
    assert [made[1], made[-1]] == [".eval_results/o__find.a-b.yaml", ".eval_results/o__find.x.yaml"]
    assert all(re.fullmatch(r"\.eval_results/[A-Za-z0-9_.-]+\.yaml", name) for name in made)


def test_another_protocol_is_not_mteb() -> None:
    with pytest.raises(ConfigError, match="protocol jmteb; o/find takes results of mteb"):
        entries([find(protocol="jmteb")], [benchmark(framework="mteb")])
    assert entries([find()], [benchmark(framework="mteb")])
    with pytest.raises(ConfigError, match="twice"):
        entries([find()], [benchmark(), benchmark()])


def test_the_map_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("benchmarks:\n- {task: Find, dataset: o/find, task_id: x, scale: 10}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"map.yaml, line 2: .*scale"):
        load_map(path)
    with pytest.raises(ConfigError, match="needs --benchmark-map"):
        load_map(None)
