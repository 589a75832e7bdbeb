"""Token-budget batches: complete, within budget, in a fixed order, and of no influence on a vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.models import load_model
from harness.models.batching import padded_widths, token_batches
from harness.types import Pairs, Texts


def test_widest_first_one_width_a_batch_within_budget() -> None:
    batches = [(rows.tolist(), width) for rows, width in token_batches([3, 70, 3, 75, 3, 80], 160)]
    assert batches == [([1, 3], 80), ([5], 80), ([0, 2, 4], 3)]


@pytest.mark.parametrize("budget", [1, 7, 64, 10_000])
def test_every_text_once(budget: int) -> None:
    lengths = np.random.default_rng(3).integers(0, 300, size=200)
    batches = list(token_batches(lengths, budget))
    assert sorted(np.concatenate([rows for rows, _ in batches]).tolist()) == list(range(200))
    for rows, width in batches:
        assert len(rows) == 1 or width * len(rows) <= budget
        assert set(padded_widths(lengths[rows]).tolist()) == {width}
    widths = [width for _, width in batches]
    assert widths == sorted(widths, reverse=True)


def test_edges() -> None:
    assert list(token_batches([], 10)) == []
    assert [(rows.tolist(), width) for rows, width in token_batches([50], 10)] == [([0], 52)]
    assert padded_widths([0, 1, 5, 48, 49, 64, 65, 250]).tolist() == [1, 1, 5, 48, 52, 64, 80, 256]


@pytest.mark.parametrize("name", ["bi", "minilm"])
def test_a_vector_does_not_depend_on_what_is_encoded_beside_it(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(name)
    texts = [f"{'the red planet mars is big ' * (i % 9)}{i}" for i in range(60)]
    whole = load_model(str(folder), cache=tmp_path).encode(Texts(texts))
    for budget in (64, 4096):
        model = load_model(str(folder), cache=tmp_path, batch_tokens=budget)
        np.testing.assert_array_equal(model.encode(Texts(texts[::-1])), whole[::-1])
        np.testing.assert_array_equal(model.encode(Texts(texts[7:9])), whole[7:9])
        np.testing.assert_array_equal(model.encode(Texts([texts[30]])), whole[[30]])


def test_a_pair_score_moves_by_float_noise_at_most(cross: Path, tmp_path: Path) -> None:
    model = load_model(str(cross), cache=tmp_path)
    left = [f"{'the red planet ' * (i % 5)}{i}" for i in range(40)]
    whole = model.score(Pairs(left, left[::-1]))
    np.testing.assert_allclose(model.score(Pairs(left[:3], left[::-1][:3])), whole[:3], atol=1e-6)
