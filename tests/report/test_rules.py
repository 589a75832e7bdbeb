"""gates.yaml: what it may say, what counts where it is silent, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.report.gate.rules import BUILT_IN, Gates, Rule, load_gates


def read(tmp_path: Path, text: str) -> Gates:
    path = tmp_path / "gates.yaml"
    path.write_text(text, encoding="utf-8")
    return load_gates(path)


def test_without_a_file_the_built_in_rules_count() -> None:
    gates = load_gates(None)
    assert gates.task("smoke", "Any") == BUILT_IN
    assert (gates.level_of("smoke"), gates.needed("smoke"), gates.type("smoke", "STS")) == (0.05, None, None)
    assert gates.whole("smoke").max_drop == 0.3


def test_a_task_counts_before_the_default_and_the_suite_before_the_file(tmp_path: Path) -> None:
    gates = read(
        tmp_path,
        """
level: 0.01
mean: {max_drop: 0.1}
tasks:
  default: {max_drop: 1.0, floor: 10}
  A: {max_drop: 2.0}
types:
  STS: {max_drop: 0.2}
suites:
  smoke:
    level: 0.1
    mean: {floor: 50}
    tasks: {A: {floor: 20}, B: {weight: 0}}
    required: [A, B]
""",
    )
    assert (gates.level_of("other"), gates.level_of("smoke")) == (0.01, 0.1)
    assert gates.task("smoke", "A") == Rule(max_drop=2.0, floor=20, weight=1.0)
    assert gates.task("smoke", "B") == Rule(max_drop=1.0, floor=10, weight=0)
    assert gates.task("other", "A") == Rule(max_drop=2.0, floor=10, weight=1.0)
    assert gates.whole("smoke") == Rule(max_drop=0.1, floor=50)
    assert gates.type("smoke", "STS") == Rule(max_drop=0.2)
    assert gates.type("smoke", "Retrieval") is None
    assert (gates.needed("smoke"), gates.needed("other")) == (["A", "B"], None)
    assert set(gates.named("smoke")) == {"A", "B"}
    assert list(gates.named("other")) == ["A"]
    assert list(gates.named_types("smoke")) == ["STS"]


def test_the_smaller_of_two_limits_counts() -> None:
    rule = Rule(max_drop=0.5, max_relative_drop=1)
    assert rule.allowed(40) == pytest.approx(0.4)
    assert rule.allowed(90) == 0.5
    assert rule.allowed(-40) == pytest.approx(0.4)
    assert Rule(max_relative_drop=2).allowed(50) == 1.0


def test_what_is_built_in_completes_a_rule_and_never_undercuts_it(tmp_path: Path) -> None:
    gates = read(
        tmp_path,
        "tasks: {A: {max_relative_drop: 10}, B: {floor: 3}}\nmean: {max_relative_drop: 5}\n"
        "types: {STS: {floor: 40}, Retrieval: {max_relative_drop: 4}}\n",
    )
    assert gates.task("smoke", "A").allowed(50) == 5.0
    assert gates.task("smoke", "B").allowed(50) == 0.5
    assert gates.whole("smoke").allowed(50) == 2.5
    sts, retrieval = gates.type("smoke", "STS"), gates.type("smoke", "Retrieval")
    assert sts is not None
    assert sts.allowed(50) == 0.3  # a floor alone does not forbid every drop
    assert retrieval is not None
    assert retrieval.allowed(50) == 2.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "tasks:\n  A: {max_drop: -1}\n",
            r"line 2: 'tasks.A.max_drop': .*greater than or equal to 0, got -1",
        ),
        ("tasks:\n  A: {floor: no}\n", r"line 2: .*floor.*YAML reads yes, no"),
        ("tasks:\n  A: {max_dorp: 1}\n", r"unknown key 'tasks.A.max_dorp'; did you mean max_drop"),
        ("level: 0\n", r"line 1: 'level'"),
        ("level: 0.7\n", r"line 1: 'level'"),
        ("accept: [protocol]\n", r"line 1: 'accept.0'"),
        ("required: A\n", r"line 1: 'required'"),
        ("tasks:\n  A: {}\n  A: {}\n", r"line 3: key 'A' stands already in line 2"),
        ("tasks: {A: {max_drop: .nan}}\n", r"max_drop"),
        ("tasks: {A: {floor: .inf}}\n", r"floor"),
        ("level: [\n", r"not YAML"),
        ("level: 0.1\nmean: {weight: 2}\n", r"line 2: 'mean': .*only tasks have a weight"),
        ("types:\n  STS: {weight: 0}\n", r"line 2: 'types.STS': .*only tasks have a weight"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        read(tmp_path, text)
    assert "gates.yaml" in str(refused.value)


def test_an_empty_file_is_an_accident(tmp_path: Path) -> None:
    for nothing in ("", "# nothing yet\n", "---\n  # nothing\n\n"):
        with pytest.raises(ConfigError, match=r"gates.yaml holds no rules: .* leave --config away"):
            read(tmp_path, nothing)
