"""Numbers put into a gates.yaml: all else stays, byte for byte."""

from __future__ import annotations

import pytest
import yaml

from harness.errors import DataError
from harness.report.gate.rules_edit import put

OWN = """\
# ours, do not touch
level: 0.01   # strict
suites:
  # nightly
  smoke:
    tasks:
      A: {max_drop: 2.0, weight: 2}   # agreed on in May
      B:
        # the floor is the customer's
        floor: 10

      C: {floor: 3}
  # after

tasks: {default: {max_drop: 1}}
# the end
"""


def added(text: str, *path: str, value: str = "0.5", force: bool = False) -> tuple[list[str], list[str]]:
    """The lines that went and the lines that came."""
    new, _ = put(text, "gates.yaml", path, value, "why: moved 0.1 in 1 repeat", force=force)
    old_lines, new_lines = text.splitlines(), new.splitlines()
    return [x for x in old_lines if x not in new_lines], [x for x in new_lines if x not in old_lines]


def test_what_a_file_says_stays_unless_forced() -> None:
    path = ("suites", "smoke", "tasks", "A", "max_drop")
    assert put(OWN, "g", path, "0.5", "why") == (OWN, "2.0")
    gone, came = added(OWN, *path, force=True)
    assert gone == ["      A: {max_drop: 2.0, weight: 2}   # agreed on in May"]
    assert came == ["      A: {max_drop: 0.5, weight: 2}   # agreed on in May"]


@pytest.mark.parametrize(
    ("path", "came"),
    [
        (("suites", "smoke", "tasks", "B", "max_drop"), "        max_drop: 0.5  # why"),
        (("suites", "smoke", "tasks", "C", "max_drop"), "      C: {max_drop: 0.5, floor: 3}  # why"),
        (("suites", "smoke", "tasks", "no", "max_drop"), "      'no': {max_drop: 0.5}  # why"),
        (("suites", "smoke", "mean", "max_drop"), "    mean: {max_drop: 0.5}  # why"),
        (("tasks", "D", "max_drop"), "tasks: {D: {max_drop: 0.5}, default: {max_drop: 1}}  # why"),
    ],
)
def test_what_is_missing_is_added_where_it_belongs(path: tuple[str, ...], came: str) -> None:
    gone, found = added(OWN, *path)
    assert found == [f"{came}: moved 0.1 in 1 repeat"]
    assert all(line.strip() in ("C: {floor: 3}", "tasks: {default: {max_drop: 1}}") for line in gone)


def test_what_is_added_means_what_it_should() -> None:
    text = OWN
    for task in ("A", "B", "C", "D", "E"):
        for key in ("max_drop_untested", "max_drop"):
            text, _ = put(text, "g", ("suites", "other: suite", "tasks", task, key), "0.5", "why")
    data = yaml.safe_load(text)
    assert data.pop("suites").pop("other: suite")["tasks"]["E"] == {"max_drop": 0.5, "max_drop_untested": 0.5}
    assert data == {"level": 0.01, "tasks": {"default": {"max_drop": 1}}}
    assert [line for line in OWN.splitlines() if line not in text.splitlines()] == []


@pytest.mark.parametrize("empty", ["", "# nothing yet", "level: 0.1", "level: 0.1\r\n"])
def test_short_files(empty: str) -> None:
    new, _ = put(empty, "g", ("suites", "s", "mean", "max_drop"), "1", "why")
    assert yaml.safe_load(new)["suites"] == {"s": {"mean": {"max_drop": 1}}}
    assert new.startswith(empty)
    assert ("\r\n" in new) == ("\r\n" in empty)


def test_an_older_measurement_gives_way_to_a_newer_one() -> None:
    text, _ = put(
        "level: 0.1\n", "g", ("mean", "max_drop"), "1", "m 5.00: moved 0.1 in 3 repeats; 1 over 4 seeds"
    )
    again, _ = put(text, "g", ("mean", "max_drop"), "2", "m 6.00: moved 0.3 in 1 repeat", force=True)
    assert again == "level: 0.1\nmean: {max_drop: 2}  # m 6.00: moved 0.3 in 1 repeat\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tasks: &a {A: {max_drop: 1}}\nsuites: {s: {tasks: *a}}\n", "line 1: a file with anchors"),
        ("- 1\n", "gates.yaml: not a mapping with a key a line"),
        ("{level: 0.1}\n", "gates.yaml: not a mapping with a key a line"),
        ("---\n", "gates.yaml: not a mapping with a key a line"),
        ("a: [\n", "not YAML"),
        ("mean: 3\n", "line 1: max_drop cannot be put into what is no mapping"),
    ],
)
def test_what_cannot_be_added_to_is_refused(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        put(text, "gates.yaml", ("mean", "max_drop"), "1", "why")
