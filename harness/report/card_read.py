"""The values of a model card as Results: to compare stored scores with what a card has published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from harness.errors import DataError
from harness.report import names
from harness.report.card import EVALUATOR, TYPES
from harness.report.card_index import OldGroup, OldMetric, index_of
from harness.report.front_matter import Card, read_card
from harness.types import Result

# kind to its main metric; the first that a card has counts
MAINS = {
    "sts": ("cosine_spearman",),
    "pair_classification": ("max_ap", "cosine_ap"),
    "retrieval": ("ndcg_at_10",),
    "reranking": ("map_at_1000", "map", "ndcg_at_10"),
    "instruction_reranking": ("p-mrr",),
    "classification": ("accuracy",),
    "multilabel": ("accuracy",),
    "clustering": ("v_measure",),
    "summarization": ("cosine_spearman",),
    "bitext": ("f1",),
}
OTHER_MAINS = {
    (names.CARD_ERA, "pair_classification"): ("cosine_ap",),
    ("sbert", "reranking"): ("ndcg_at_10",),
}
_WORDS = {word: kind for kind, (word, _) in TYPES.items() if kind != "aggregate"}
_NONE: Mapping[str, str] = MappingProxyType({})


def card_results(
    path: str | Path,
    protocol: str | None = None,
    *,
    model: str | None = None,
    paths: Mapping[str, str] = _NONE,
    mains: Mapping[str, str] = _NONE,
) -> list[Result]:
    """The model-index of a card, a Result a group, without samples.

    Groups with mteb's task types hold percentages and are divided by 100; others are taken as they are.
    Values that are no numbers are left out, with the reason in `undefined`.

    Args:
        path: README.md, or a YAML file of a front matter.
        protocol: what the values are read as, which decides what metric names mean; default by the names:
            `cmteb-v1` for those of mteb 1 (`cos_sim_spearman`), `sbert` for cards of sentence-transformers,
            `mteb` for others with mteb's task types, else `custom`.
        model: of the Results; default the name on the card.
        paths: a data set's path to its task, for those that the alias table does not have.
        mains: task to its main metric; default the usual one of its type, where the card has it.

    Raises:
        DataError: a card without front matter, model-index or results, one that gives a value twice, or one
            that cannot be read; with the line.
    """
    card = read_card(Path(path))
    if not card.fenced:
        raise DataError(f"{path}, line 1: no front matter (lines between two ---)")
    index = index_of(card)
    if index is None or not index.groups:
        raise DataError(f"{path}, line {card.line(card.start)}: the front matter has no model-index results")
    era = names.CARD_ERA if any(_is_old(m.type) for g in index.groups for m in g.metrics) else "mteb"
    found: dict[tuple[str, str, str], Result] = {}
    for group in index.groups:
        if not group.metrics:
            continue
        result = _result(card, group, protocol or _protocol(group, era), model or index.name, paths)
        key = (result.task, result.split, result.subset)
        if key in found:
            result = _merged(card, group, found[key], result)
        if result.metrics:
            found[key] = result
    return [_with_main(result, mains) for result in found.values()]


def _with_main(result: Result, mains: Mapping[str, str]) -> Result:
    usual = MAINS.get(result.kind, ("ndcg_at_10", "map"))
    usual = (*OTHER_MAINS.get((result.protocol, result.kind), ()), *usual)
    wanted = names.today(mains[result.task], result.protocol) if result.task in mains else ""
    main = next(name for name in (wanted, *usual, "main_score", *result.metrics) if name in result.metrics)
    return replace(result, main_metric=main)


def _protocol(group: OldGroup, era: str) -> str:
    if group.task_type in _WORDS:
        return era
    return "sbert" if group.task_type == EVALUATOR["type"] else "custom"


def _is_old(metric: str) -> bool:
    return metric.startswith("cos_sim_")


def _result(card: Card, group: OldGroup, protocol: str, model: str, paths: Mapping[str, str]) -> Result:
    word = group.task_type
    title = re.sub(r" \([^()]*\)$", "", group.name.removeprefix("MTEB "))
    task = names.task_of(group.dataset, paths) if word in _WORDS else None
    metrics: dict[str, float] = {}
    undefined: dict[str, str] = {}
    scale = 100 if word in _WORDS else 1
    for metric in group.metrics:
        name = names.today(metric.type, protocol)
        if name in metrics or name in undefined:
            line = card.line_of(metric.node)
            raise DataError(f"{card.label}, line {line}: {metric.type} stands twice in its group")
        value = _number(metric)
        if value is None:
            undefined[name] = "no number on the card"
        else:
            metrics[name] = value / scale
    return Result(
        model=model,
        revision=None,
        variant=(),
        task=task or title or group.dataset,
        kind=_kind(word),
        protocol=protocol,
        scorer="card",
        split=group.split or "test",
        subset=group.config,
        languages=(),
        data_revision=group.revision or "",
        data_fingerprint="",
        main_metric="",
        metrics=metrics,
        exact=metrics,
        undefined=undefined,
        details={},
        provenance={"source": "card", "line": card.line_of(group.node)},
    )


def _merged(card: Card, group: OldGroup, first: Result, second: Result) -> Result:
    """One Result of two groups about the same entry, as some tools write them: a group a metric."""
    twice = first.metrics.keys() & second.metrics.keys()
    if twice:
        line = card.line_of(group.node)
        raise DataError(
            f"{card.label}, line {line}: {first.task} ({first.split}/{first.subset}) has {min(twice)} twice, "
            f"first in the group of line {first.provenance['line']}"
        )
    metrics = {**first.metrics, **second.metrics}
    return replace(
        first,
        metrics=metrics,
        exact=metrics,
        undefined={**first.undefined, **second.undefined},
    )


def _kind(word: str) -> str:
    if word == EVALUATOR["type"]:
        return "reranking"
    return _WORDS.get(word, "")


def _number(metric: OldMetric) -> float | None:
    value = metric.number
    return value if value is not None and value - value == 0 else None
