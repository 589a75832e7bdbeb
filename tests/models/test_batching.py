"""Token-budget batches: complete, within budget, in a fixed order."""

from __future__ import annotations

import numpy as np
import pytest

from harness.models.batching import token_batches


def test_longest_first_within_budget() -> None:
    batches = [b.tolist() for b in token_batches([3, 10, 1, 10, 4], 20)]
    assert batches == [[1, 3], [4, 0, 2]]


@pytest.mark.parametrize("budget", [1, 7, 64, 10_000])
def test_every_text_once(budget: int) -> None:
    lengths = np.random.default_rng(3).integers(0, 60, size=200)
    batches = list(token_batches(lengths, budget))
    assert sorted(np.concatenate(batches).tolist()) == list(range(200))
    assert all(len(b) == 1 or lengths[b].max() * len(b) <= budget for b in batches)
    longest = [int(lengths[b].max()) for b in batches]
    assert longest == sorted(longest, reverse=True)


def test_edges() -> None:
    assert list(token_batches([], 10)) == []
    assert [b.tolist() for b in token_batches([50], 10)] == [[0]]
    assert [b.tolist() for b in token_batches([0, 0, 0], 2)] == [[0, 1], [2]]
