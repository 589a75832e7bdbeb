"""The scores of a model card: the one reader of a `model-index`, for comparing stored scores with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from harness.errors import DataError
from harness.report import names
from harness.report.card.front_matter import Card, read_card
from harness.report.card.groups import EVALUATOR, TYPES
from harness.report.card.index import Index, OldGroup, OldMetric, read_index
from harness.report.values import is_possible, known_scale
from harness.types import Result

# kind to its main metric; the first that a card has counts
MAINS = {
    "sts": ("cosine_spearman",),
    "pair_classification": ("max_ap", "cosine_ap"),
    "retrieval": ("ndcg_at_10",),
    "reranking": ("map_at_1000", "map", "ndcg_at_10"),
    "instruction_reranking": ("p-MRR",),
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


@dataclass(frozen=True)
class CardScore:
    """One metric of a group of a card.

    Attributes:
        task, subset: the harness's names; a card without a config means `default`.
        split: empty where the card names none, as those of sentence-transformers.
        type: of the task, as on the card.
        kind: of the task; empty where its type does not tell.
        source: the protocol whose shape the group has, whatever it is read as; `custom` where none.
        protocol: what the metric's name is read as.
        metric: today's name; `spelled` as on the card.
        value: as results hold it (from 0 to 1, but per cent where the metric is); None where it is no number
            or of a metric that nobody computes.
        written: the number on the card.
        factor: what `written` was divided by, 100 or 1.
        revision: of the data; empty where unknown.
        line: of the metric.
    """

    task: str
    split: str
    subset: str
    type: str
    kind: str
    source: str
    protocol: str
    metric: str
    spelled: str
    value: float | None
    written: float
    factor: int
    revision: str
    line: int


def card_scores(
    path: Path, protocol: str | None = None, paths: Mapping[str, str] = _NONE
) -> tuple[str, list[CardScore]]:
    """The model's name on a card, and its scores in their order; a score given twice alike counts once.

    Groups of mteb's task types are percentages where any of their scores is above 1, and the other groups
    where any of theirs is; else from 0 to 1. Flow style, anchors and aliases are read like any other YAML.

    Args:
        path, protocol, paths: as `card_results`.

    Raises:
        DataError: a file that cannot be read, a card without front matter, model-index or any score, or one
            that gives a score two values; with the line.
    """
    card = read_card(path)
    if not card.fenced:
        raise DataError(f"{card.label}, line 1: no front matter (lines between two ---)")
    index = read_index(card)
    if index is None or not index.groups:
        raise card.fault(None, "the front matter has no model-index with results")
    old = any(metric.type.startswith("cos_sim_") for group in index.groups for metric in group.metrics)
    era = names.CARD_ERA if old else "mteb"
    factors = {of_mteb: _factor(index, of_mteb) for of_mteb in (True, False)}
    found: dict[tuple[str, ...], CardScore] = {}
    for group in index.groups:
        read_as = protocol or _protocol(group, era)
        for one in _scores(card, group, read_as, era, factors[_of_mteb(group)], paths):
            key = (one.task, one.type, one.split, one.subset, one.metric, one.revision)
            first = found.setdefault(key, one)
            if first.value is None:
                found[key] = one
            elif one.value not in (None, first.value):
                raise _twice(card, first, one)
    if all(one.value is None for one in found.values()):
        raise card.fault(index.groups[0].node, "none of the scores here is of a metric that is known")
    return index.name or path.resolve().parent.name, list(found.values())


def card_results(
    path: str | Path,
    protocol: str | None = None,
    *,
    model: str | None = None,
    paths: Mapping[str, str] = _NONE,
    mains: Mapping[str, str] = _NONE,
) -> list[Result]:
    """The model-index of a card, a Result a task, split and subset, without samples.

    What is no number, or of a metric that is not known here, is left out, with the reason in `undefined`.

    Args:
        path: README.md, its folder, or a YAML file of a front matter.
        protocol: what the values are read as, which decides what metric names mean; default by the names:
            `cmteb-v1` for those of mteb 1 (`cos_sim_spearman`), `sbert` for cards of sentence-transformers,
            `mteb` for others with mteb's task types, else `custom`.
        model: of the Results; default the name on the card.
        paths: a data set's path to its task, for those that the alias table does not have.
        mains: task to its main metric; default the usual one of its type, where the card has it.

    Raises:
        DataError: as `card_scores`, or a task that stands on two revisions of its data, or
            under two task types, with different values.
    """
    name, scores = card_scores(Path(path), protocol, paths)
    entries: dict[tuple[str, str, str], dict[str, CardScore]] = {}
    for one in scores:
        own = entries.setdefault((one.task, one.split or "test", one.subset), {})
        first = own.setdefault(one.metric, one)
        if first.value is None:
            own[one.metric] = one
        elif one.value not in (None, first.value):
            apart = "on two revisions of its data" if one.type == first.type else "under two task types"
            raise DataError(
                f"{path}, line {one.line}: {one.task} stands {apart}, first in line "
                f"{first.line}; keep the one to compare with"
            )
    found = [_result(model or name, entry, list(own.values())) for entry, own in entries.items()]
    return [_with_main(one, mains) for one in found if one.metrics]


def _with_main(result: Result, mains: Mapping[str, str]) -> Result:
    usual = MAINS.get(result.kind, ("ndcg_at_10", "map"))
    usual = (*OTHER_MAINS.get((result.protocol, result.kind), ()), *usual)
    wanted = names.today(mains[result.task], result.protocol) if result.task in mains else ""
    main = next(name for name in (wanted, *usual, *result.metrics) if name in result.metrics)
    return replace(result, main_metric=main)


def _of_mteb(group: OldGroup) -> bool:
    return group.task_type in _WORDS or group.name.startswith("MTEB ")


def _protocol(group: OldGroup, era: str) -> str:
    if _of_mteb(group):
        return era
    return "sbert" if group.task_type == EVALUATOR["type"] else "custom"


def _factor(index: Index, of_mteb: bool) -> int:
    """100 where a value of groups of this sort is beyond what its metric can be, else 1.

    Not just above 1: a nAUC may be -1.4, and an error rate is per cent on every card.
    """
    values = [
        (names.today(metric.type), number)
        for group in index.groups
        for metric in group.metrics
        if _of_mteb(group) is of_mteb and (number := _number(metric)) is not None
    ]
    return (
        100 if any(known_scale(name) == 100 and not is_possible(name, value) for name, value in values) else 1
    )


def _scores(
    card: Card, group: OldGroup, protocol: str, era: str, factor: int, paths: Mapping[str, str]
) -> Iterator[CardScore]:
    title = re.sub(r" \([^()]*\)$", "", group.name.removeprefix("MTEB "))
    if _of_mteb(group):
        task = names.task_of(group.dataset, paths) or title or group.dataset
    else:  # what is no path on the Hub is the task's own name, which a display name may have lost
        task = title if "/" in group.dataset or not group.dataset else group.dataset
    kind = "reranking" if group.task_type == EVALUATOR["type"] else _WORDS.get(group.task_type, "")
    split = group.split or ("test" if _of_mteb(group) else "")
    for metric in group.metrics:
        name, number = names.today(metric.type, protocol), _number(metric)
        known = known_scale(name)
        divisor = factor if known == 100 else 1
        yield CardScore(
            task or group.dataset,
            split,
            group.config,
            group.task_type,
            kind,
            _protocol(group, era),
            protocol,
            name,
            metric.type,
            None if number is None or known is None else number / divisor,
            number or 0.0,
            divisor,
            group.revision or "",
            card.line_of(metric.node),
        )


def _result(model: str, entry: tuple[str, str, str], scores: Sequence[CardScore]) -> Result:
    one = scores[0]
    metrics = {s.metric: s.value for s in scores if s.value is not None}
    task, split, subset = entry
    return Result(
        model=model,
        revision=None,
        variant=(),
        task=task,
        kind=one.kind,
        protocol=one.protocol,
        scorer="card",
        split=split,
        subset=subset,
        languages=(),
        data_revision=one.revision,
        data_fingerprint="",
        main_metric="",
        metrics=metrics,
        exact=metrics,
        undefined={s.metric: "no number of a known metric on the card" for s in scores if s.value is None},
        details={},
        provenance={"source": "card", "line": one.line},
    )


def _twice(card: Card, first: CardScore, second: CardScore) -> DataError:
    where = f"{first.task} ({first.split or 'no split'}/{first.subset})"
    return DataError(
        f"{card.label}, line {second.line}: {where} has {second.metric} twice and not alike, first in "
        f"line {first.line}; keep one"
    )


def _number(metric: OldMetric) -> float | None:
    value = metric.number
    return value if value is not None and value - value == 0 else None
