"""A model's results under two addresses as one row.

A variant token that cannot matter to a task is left out of its results' address (see
`harness.models.variants.relevant`). So a reranker run with `--first-stage bm25` has its retrieval results
under `r+first-bm25-100` and those of tasks that search nothing under `r`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from harness.models.prompts import RETRIEVAL_KINDS
from harness.types import Result

Place = tuple[str, tuple[str, str]]  # task, (split, subset)
Key = tuple[str, tuple[str, ...], str, str | None]  # model, variant, source, revision


class Score(NamedTuple):
    """A main score, the revision it is of, prompt policies that would not have moved it, and its result."""

    value: float
    revision: str | None
    policies: frozenset[str]
    result: Result


Found = dict[Place, Score]


def unmoved(result: Result) -> frozenset[str]:
    """Prompt policies under which a result with the `card` policy would be the same."""
    prompts = result.provenance.get("prompts")
    if not isinstance(prompts, Mapping):  # not of this program
        return frozenset()
    if not any(prompts.values()) and result.kind != "aggregate":  # which has the prompts of its members
        return frozenset({"mteb", "none"})
    return frozenset({"mteb"} if result.kind in (*RETRIEVAL_KINDS, "aggregate") else ())


def joined(values: Mapping[Key, Found]) -> dict[Key, Found]:
    """Rows of a variant with what they lack taken from the row without the token that left it out.

    A first stage leaves out all that is scored without it, since a cross-encoder has no other way to
    search; a prompt policy what it would not have moved. A row that lent all it has is left out.
    """
    full = {key: dict(found) for key, found in values.items()}
    lent: dict[Key, set[Place]] = {}
    for (model, variant, source, revision), found in full.items():
        for token in variant:
            what, _, value = token.partition("-")
            plain = (model, tuple(t for t in variant if t != token), source, revision)
            if what not in ("first", "prompts") or plain not in values:
                continue
            for place, score in values[plain].items():
                if place not in found and (what == "first" or value in score.policies):
                    found[place] = score
                    lent.setdefault(plain, set()).add(place)
    return {key: found for key, found in full.items() if values[key].keys() > lent.get(key, set())}
