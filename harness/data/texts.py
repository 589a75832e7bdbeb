"""The text of one example, found by the name that per-example values give it."""

from __future__ import annotations

from harness.data.examples import (
    BitextExamples,
    ClusterExamples,
    Examples,
    LabelledExamples,
    PairExamples,
    RankingExamples,
    SummaryExamples,
    TripletExamples,
)

_LONGEST = 200


def text_of(examples: Examples, name: str) -> str:
    """What a reader wants to see of an example: the query, both sides of a pair, the labelled text.

    Args:
        name: a query id; for the other kinds a row number, in a clustering by sets `set/row`.
    """
    if isinstance(examples, RankingExamples):
        place = list(examples.query_ids).index(name) if name in examples.query_ids else None
        return "" if place is None else _cut(examples.queries[place])
    if isinstance(examples, ClusterExamples):
        *parts, last = (int(part) for part in name.split("/"))
        return _cut(examples.texts[int(examples.offsets[parts[0]] if parts else 0) + last])
    row = int(name)
    match examples:
        case PairExamples() | BitextExamples():
            return f"{_cut(examples.sentence1[row])} | {_cut(examples.sentence2[row])}"
        case LabelledExamples() | SummaryExamples():
            return _cut(examples.texts[row])
        case TripletExamples():
            return " | ".join(
                _cut(side[row]) for side in (examples.anchor, examples.entailment, examples.negative)
            )


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 3] + "..."
