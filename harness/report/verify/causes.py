"""Why our score may differ from a published one: the known causes, each only where something speaks for it.

In the order in which they have cost people published numbers. Each is a hint: what to check, or what to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from harness.metrics import canonical
from harness.models.catalog import Row
from harness.report.card.groups import known_revision
from harness.report.names import CARD_ERA, V1_METRICS
from harness.report.verify.published import Figure, value_of
from harness.types import Result

_FAR = 20.0  # points: what random weights or a wrong kind of model cost
_LONG = ("retrieval", "reranking", "instruction_reranking", "clustering", "classification", "summarization")
_RERANKING = ("reranking", "instruction_reranking")
_DRAWN = {"bootstrap_kmeans": "k-means on bootstrap samples", "few_shot_knn": "few-shot neighbours"}
_OLD = {name for own in V1_METRICS.values() for name in own if name.startswith("cos_sim_")} | {"map", "mrr"}


@dataclass(frozen=True)
class Case:
    """A published score that ours differs from.

    Attributes:
        results: ours that it was compared with, at least one.
        ours: our score in points.
        within: points that still count as the same score.
        others: our results of the same task on other splits and subsets.
        row: of the model in the catalog; None where it has none.
        model: as the user named it.
    """

    figure: Figure
    results: Sequence[Result]
    ours: float
    within: float
    others: Sequence[Result]
    row: Row | None
    model: str

    @property
    def one(self) -> Result:
        """The first of our results."""
        return self.results[0]

    def near(self, value: float | None) -> bool:
        """Whether a score in points is the published one."""
        return value is not None and abs(value - self.figure.value) <= self.within


def causes(case: Case) -> list[str]:
    """The likely causes, the likeliest first; one line of general advice where nothing is known."""
    found = [hint for group in (CAUSES, USUAL) for cause in group if (hint := cause(case))]
    again = f"harness verify {case.model} --model-only"
    return found or [f"nothing that was recorded tells why: check the model itself ({again}) and its prompts"]


def _weights(case: Case) -> str | None:
    if case.row is None or not case.row.trust or abs(case.ours - case.figure.value) < _FAR:
        return None
    return (
        "random weights: the checkpoint has code of its own, and loading it without leaves layers random; "
        "check how the lower of the two scores was loaded (ours refuses missing tensors)"
    )


def _wrong_kind(case: Case) -> str | None:
    reranker = case.row.kind == "cross-encoder" if case.row else "rerank" in case.one.model.lower()
    if not reranker or case.one.kind not in _RERANKING or case.one.provenance.get("pooling") is None:
        cross = case.row is not None and case.row.kind == "cross-encoder"
        if cross and case.one.kind in _RERANKING and case.ours - case.figure.value > case.within:
            return (
                "reranker as bi-encoder: the published score is lower, so check how the reranker was loaded"
            )
        return None
    return (
        "reranker as bi-encoder: ours was pooled to vectors; check the architecture, and declare "
        "kind: cross-encoder in a catalog row"
    )


def _prompts(case: Case) -> str | None:
    policy = case.one.provenance.get("prompt_policy")
    prompts = _mapping(case.one.provenance.get("prompts"))
    if policy not in (None, "card"):
        return f"prompts: ours were made with --prompts {policy}; run with --prompts card"
    if prompts and not any(prompts.values()) and case.row is None:
        return "prompts: the catalog has no row of this model, so it got none; check its card for prefixes"
    return None


def _prompts_of_card(case: Case) -> str | None:
    prompts = _mapping(case.one.provenance.get("prompts"))
    put = sorted({str(prompt) for prompt in prompts.values() if prompt})
    if not put or case.one.provenance.get("prompt_policy") not in (None, "card"):
        return None
    return (
        f"prompts: ours put {', '.join(map(repr, put))} in front; check the card, or see what a run "
        "without gives: --prompts none"
    )


def _length(case: Case) -> str | None:
    length = case.one.provenance.get("max_length")
    asked = next((t for t in case.one.variant if t.startswith("len")), None)
    if asked:
        return f"max length: ours were cut at {length} tokens ({asked}); run without --max-length"
    due = case.row.max_length if case.row else None
    if length and due and due != length:
        return f"max length: ours were cut at {length} tokens, the catalog says {due}; run again with --force"
    return None


def _full_length(case: Case) -> str | None:
    length = case.one.provenance.get("max_length")
    if not length or length == 512 or case.one.kind not in _LONG or _length(case):
        return None
    return f"max length: ours were cut at {length} tokens; many published runs used 512: try --max-length 512"


def _dtype(case: Case) -> str | None:
    dtype = case.one.provenance.get("dtype")
    if dtype in (None, "float32"):
        return None
    return f"dtype: ours were made in {dtype}; run with --dtype float32"


def _metric(case: Case) -> str | None:
    same = [
        name
        for name in case.one.metrics
        if name != case.figure.metric and case.near(value_of(_as(case.figure, name), case.results))
    ]
    usual = [name for name in same if name.startswith(("max_", "map", "cosine_", "ndcg", "accuracy"))]
    if len(same) > 4 and not usual:
        return None
    if same:
        return f"metric: our {(usual or same)[0]} is the published score, so that may be what it is of"
    if canonical(case.figure.spelled) != case.figure.metric and case.figure.spelled in ("map", "mrr"):
        return (
            f"metric: {case.figure.spelled} of mteb 1 became {case.figure.metric}, which breaks ties and "
            "counts empty lists otherwise"
        )
    return None


def _split(case: Case) -> str | None:
    for other in case.others:
        if case.near(value_of(case.figure, [other])):
            return f"split: our score on {other.split}/{other.subset} is the published one"
    everything = [value_of(case.figure, [r]) for r in (*case.results, *case.others)]
    known = [value for value in everything if value is not None]
    if case.others and case.near(fmean(known)):
        return "split: the flat mean over all our splits and subsets is the published score, as mteb averages"
    return None


def _average(case: Case) -> str | None:
    if case.one.protocol.startswith("jmteb") and len(case.results) > 1:
        return "JMTEB's average: a published one may be the mean over data sets or over types; compare both"
    return None


def _scale(case: Case) -> str | None:
    for factor, words in ((100.0, "0 to 1, ours x100"), (0.01, "x100, ours 0 to 1")):
        if abs(factor * case.figure.value - case.ours) <= max(case.within, 0.01 * abs(case.ours)):
            return f"scale: the published score seems to be {words}; check its units"
    return None


def _random(case: Case) -> str | None:
    scorer = case.one.scorer.partition("@")[0]
    settings = _mapping(case.one.provenance.get("settings"))
    if scorer in _DRAWN and "rng" not in settings:
        return (
            f"stateful randomness: mteb's {_DRAWN[scorer]} depend on what the same process scored before; "
            "in a suite, rng: sequence replays its order"
        )
    if case.one.protocol.startswith("jmteb") and case.one.kind == "clustering":
        return "randomness: JMTEB passes no seed to its clusterings, so that published figures vary"
    return None


def _data(case: Case) -> str | None:
    theirs, ours = known_revision(case.figure.revision), case.one.data_revision
    if theirs and theirs != ours and (known_revision(ours) or ours.startswith("local:")):
        return f"data: published on revision {theirs[:12]}, ours are on {ours[:18]}; compare the rows"
    if ours.startswith("local:"):
        return f"data: ours come from a folder ({ours}); score what harness prefetch gets, or the hub's"
    return None


def _protocol(case: Case) -> str | None:
    kinds = ("pair_classification", "reranking", "clustering", "classification")
    if case.one.protocol == "mteb" and case.one.kind in kinds:
        if case.figure.spelled in _OLD:
            told = f"the figure is of mteb 1, spelled {case.figure.spelled}"
            return f"protocol: {told}; score as then with --protocol {CARD_ERA}"
        if case.figure.shape == CARD_ERA:
            return f"protocol: the card has names of mteb 1; score as then with --protocol {CARD_ERA}"
    if case.figure.shape == "custom" and case.one.protocol in ("mteb", "cmteb-v1"):
        return f"protocol: ours is {case.one.protocol}; the card's group is not MTEB's and names no protocol"
    if case.one.protocol not in ("mteb", "cmteb-v1"):
        return f"protocol: ours is {case.one.protocol}; check that the published score was made that way"
    return None


CAUSES: tuple[Callable[[Case], str | None], ...] = (
    _weights, _wrong_kind, _prompts, _length, _dtype, _metric, _split, _average, _scale, _random, _data,
    _protocol,
)  # fmt: skip
# As it should be, and yet what others may have done otherwise: after everything that is odd.
USUAL: tuple[Callable[[Case], str | None], ...] = (_prompts_of_card, _full_length)


def _as(figure: Figure, metric: str) -> Figure:
    return replace(figure, metric=metric)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
