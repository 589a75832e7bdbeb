"""Noise: what moves a score when nothing changes, and the tolerance that is made of it."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.report.gate.noise import Noise, noise
from harness.report.gate.noise_file import merged, to_yaml
from harness.report.gate.rules import load_gates
from harness.suite import Suite, load_suite, load_task
from harness.types import Texts
from tests.toys import Toy, sts_rows, write_task


class Shaky(Toy):
    """Answers a little otherwise after every load."""

    loads = 0

    def __init__(self) -> None:
        super().__init__()
        Shaky.loads += 1
        self.shake = 0.05 * (Shaky.loads - 1)

    def encode(self, texts: Texts) -> np.ndarray:
        plain = super().encode(texts)
        return plain + self.shake * np.random.default_rng(len(texts)).random(plain.shape, dtype=np.float32)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    data = write_task(tmp_path / "data", "One", "sts", "cosine_spearman", test=sts_rows(30))
    labelled = [
        {"text": f"{'abc'[i % 3] * (1 + i % 7)} number {i * 7919 % 101}", "label": i % 3} for i in range(60)
    ]
    write_task(data, "Two", "classification", "accuracy", train=labelled, test=labelled[::2])
    return load_task("One", "Two", data=[data])


def test_a_tolerance_from_its_parts() -> None:
    one = Noise("A", "m", 50.0, (50.1, 49.8), (51.0, 49.0))
    assert one.moved == pytest.approx(0.2)
    assert one.drawn == pytest.approx(statistics.stdev([50.0, 51.0, 49.0]))
    assert one.tolerance == pytest.approx(math.ceil(100 * (0.6 + 2 * math.sqrt(2))) / 100)
    assert one.untested is None
    repeated = replace(one, repeated=True)  # the gate's test sees that spread by itself
    assert (repeated.tolerance, repeated.untested) == (0.6, one.tolerance)
    assert replace(repeated, seeds=()).untested is None
    assert Noise("A", "m", 50.0, (50.0,)).tolerance == 0.01
    assert Noise("A", "m", 50.0, (50.1,)).tolerance == 0.3
    assert Noise("A", "m", 50.0, (50.0,)).drawn is None


def test_a_deterministic_model_moves_only_with_what_is_drawn(suite: Suite, tmp_path: Path) -> None:
    toy = Toy()
    lines: list[str] = []
    whole, (one, two) = noise(lambda batch: toy, suite, repeats=2, seeds=2, cache=tmp_path, say=lines.append)
    assert (one.moved, two.moved, whole.moved) == (0.0, 0.0, 0.0)
    assert (one.drawn, len(two.seeds)) == (None, 2)
    assert two.drawn is not None
    assert two.drawn > 0
    assert whole.score == pytest.approx((one.score + two.score) / 2)
    assert whole.seeds == pytest.approx([(one.score + seed) / 2 for seed in two.seeds])
    assert (two.repeated, two.tolerance, whole.tolerance) == (True, 0.01, 0.01)
    assert two.untested is not None
    assert whole.untested is not None
    assert 0.01 < whole.untested < two.untested
    assert lines[0] == "a plain run"
    assert lines[1].startswith("repeat 1 of 2: 1 thread, tasks in another order")
    assert lines[-1] == "seed 2 of 2: 1 tasks that draw"


def test_repeats_encode_anew(suite: Suite, tmp_path: Path) -> None:
    Shaky.loads = 0
    _, (one, _) = noise(lambda batch: Shaky(), suite, repeats=2, seeds=0, cache=tmp_path)
    assert Shaky.loads == 3
    assert one.moved > 0
    assert len(set(one.repeats)) == 2
    assert one.tolerance >= 3 * one.moved


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    tasks = [Noise("no", "m", 50.0, (50.1,)), Noise("a: b", "m", 10.0, (10.0,), (11.0, 12.0))]
    text = to_yaml(Noise("x", "mean", 30.0, (30.0,)), tasks, "org/a", "mteb:MTEB(eng, v2)")
    (tmp_path / "gates.yaml").write_text(text, encoding="utf-8")
    gates = load_gates(tmp_path / "gates.yaml")
    assert gates.task("mteb:MTEB(eng, v2)", "no").max_drop == 0.3
    assert gates.task("mteb:MTEB(eng, v2)", "a: b").max_drop == tasks[1].tolerance
    assert gates.whole("mteb:MTEB(eng, v2)").max_drop == 0.01
    assert "# m 50.00: moved 0.1000 in 1 repeat\n" in text
    assert "# m 10.00: moved 0.0000 in 1 repeat; 1.0000 over 3 seeds\n" in text


def test_a_file_that_somebody_wrote_is_added_to(tmp_path: Path) -> None:
    own = (
        "# ours\nlevel: 0.01  # strict\nsuites:\n  s:\n    tasks:\n      A: {max_drop: 2, floor: 9}  # May\n"
    )
    tasks = [
        Noise("A", "m", 50.0, (50.1,)),
        Noise("B", "m", 10.0, (10.0,), (11.0, 12.0), repeated=True),
    ]
    whole = Noise("s", "mean", 30.0, (30.0,))
    text, kept = merged(own, "gates.yaml", whole, tasks, "org/a", "s")
    assert text.startswith(own)
    assert kept == ["suites.s.tasks.A.max_drop: kept 2, measured 0.3"]
    assert (
        "      B: {max_drop: 0.01, max_drop_untested: 2.83}  # m 10.00: moved 0.0000 in 1 repeat; 1.0000 over"
        in text
    )
    assert "# What noise alone does to org/a on s" in text
    (tmp_path / "gates.yaml").write_text(text, encoding="utf-8")
    gates = load_gates(tmp_path / "gates.yaml")
    assert (gates.task("s", "A").max_drop, gates.task("s", "A").floor, gates.level_of("s")) == (2, 9, 0.01)
    assert gates.task("s", "B").allowed(50) == 0.01
    assert gates.task("s", "B").allowed(50, tested=False) == 2.83
    forced, kept = merged(text, "gates.yaml", whole, tasks, "org/a", "s", force=True)
    assert kept == []
    assert forced == text.replace("max_drop: 2,", "max_drop: 0.3,")


def test_line_ends_stay_as_they_are() -> None:
    one = Noise("A", "m", 50.0, (50.1,))
    text, _ = merged("level: 0.01\r\n", "gates.yaml", one, [one], "org/a", "s")
    assert text.count("\n") == text.count("\r\n") > 5
    assert merged(text, "gates.yaml", one, [one], "org/a", "s")[0] == text


def test_members_of_an_aggregate_are_reseeded(tmp_path: Path) -> None:
    from harness.report.gate.noise import _reseeded

    clusters = next(task for task in load_suite("smoke").tasks if task.name == "SmokeClusters")
    mean = replace(clusters, kind="aggregate", settings={}, members=(clusters,))
    other = _reseeded(mean, 3)
    assert other is not None
    assert other.members[0].settings["seed"] == clusters.settings["seed"] + 3
    assert _reseeded(replace(clusters, settings={}), 3) is None
