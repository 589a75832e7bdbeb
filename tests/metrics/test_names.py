"""The table of metrics: what a name belongs to, and what is offered to those who misspell one."""

from __future__ import annotations

import re

import pytest

from harness.errors import UnknownNameError
from harness.metrics import FAMILIES, family


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.names.split()[0])
def test_every_row_covers_the_names_it_offers(row: object) -> None:
    names = row.names.split()  # type: ignore[attr-defined]
    assert names
    assert {family(name) for name in names} == {row}


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("cosine_spearmann", "cosine_spearman"), ("ndgc_at_10", "ndcg_at_10"), ("max_app", "max_ap")],
)
def test_a_misspelt_metric_is_answered_with_a_name_that_exists(wrong: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(f"unknown metric {wrong!r}; did you mean {near}")):
        family(wrong)
    assert family(near)
