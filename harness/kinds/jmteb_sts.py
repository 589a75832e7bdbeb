"""sts, scorer `dev_selected`: the similarity that follows human scores best on dev, scored on test.

Reference: JMTEB 1.3.3, STSEvaluator (float32 in torch). With `upstream` its slips are kept: "Euclidean" is
the sum of absolute differences, Manhattan once more; a correlation that is undefined counts 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.data.examples import DevTest, PairExamples
from harness.errors import DataError
from harness.kinds import _chosen, scorer
from harness.kinds._outcome import check_vectors, column, conclude, main_metric, same_length
from harness.metrics.correlation import pearson, spearman, why_undefined
from harness.metrics.similarity import own_paired
from harness.types import Float32, Scores, Texts, Vectors

METRICS = ("pearson", "spearman")
CANDIDATES = ("cosine", "manhattan", "euclidean", "dot")

_ROWS = 8192


def needs(examples: DevTest, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """Both sides of the pairs of both splits: `sentence1`, `sentence2`, `dev_sentence1`, `dev_sentence2`."""
    dev, test = _chosen.pair_parts(examples)
    return {**_chosen.sides(test), **_chosen.on_dev(_chosen.sides(dev))}


def score(examples: DevTest, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Pearson and Spearman of the similarity that has the best Spearman on dev.

    Raises DataError (gold missing or not finite, and unless `upstream`, constant), ModelError,
    NonFiniteError, UnknownNameError (main metric).
    """
    main = main_metric(settings.get("main") or scorer("sts", "dev_selected").main, METRICS)
    check_vectors(needs(examples, settings), vectors)
    dev, test = _chosen.pair_parts(examples)
    gold, dev_gold = _gold(test, "test"), _gold(dev, "dev")
    upstream = bool(settings["upstream"])
    on_dev = _chosen.of_dev(vectors, _chosen.sides(dev))
    found = {name: _correlations(dev_gold, _values(on_dev, name, upstream)) for name in CANDIDATES}
    if upstream:
        found = {name: own or dict.fromkeys(METRICS, 0.0) for name, own in found.items()}
    found = {name: own for name, own in found.items() if own}
    if not found:
        reason = why_undefined(dev_gold, dev_gold) or "each similarity gives all dev pairs the same score"
        raise DataError(f"nothing can be chosen on dev: {reason}")
    chosen = _chosen.best(found, "spearman")
    values = _values(vectors, chosen, upstream)
    samples = pa.table({"gold": gold, "score": values})
    outcome = conclude(main, samples, metrics_from(samples, settings), DataError)
    return _chosen.told(outcome, chosen, found)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored samples, and the reasons of those that have no value."""
    gold, values = column(samples, "gold"), column(samples, "score")
    reason = why_undefined(gold, values)
    if reason is None:
        return _correlations(gold, values), {}
    if settings["upstream"]:
        return dict.fromkeys(METRICS, 0.0), {}
    return {}, dict.fromkeys(METRICS, reason)


def _gold(examples: PairExamples, split: str) -> npt.NDArray[np.float64]:
    gold = np.asarray(examples.gold, dtype=np.float64)
    same_length(sentence1=examples.sentence1, sentence2=examples.sentence2, gold=gold)
    if not np.isfinite(gold).all():
        raise DataError(
            f"gold score of {split} pair {int(np.isfinite(gold).argmin())} is not a finite number"
        )
    return gold


def _correlations(gold: npt.NDArray[Any], values: npt.NDArray[Any]) -> dict[str, float]:
    """Both correlations; empty where they are undefined."""
    if why_undefined(gold, values):
        return {}
    return {"pearson": pearson(gold, values).statistic, "spearman": spearman(gold, values).statistic}


def _values(vectors: Mapping[str, Vectors], name: str, upstream: bool) -> Float32:
    """One candidate's similarity of every pair, larger is closer: float32 [n]."""
    left, right = vectors["sentence1"], vectors["sentence2"]
    out = np.empty(len(left), dtype=np.float32)
    for start in range(0, len(left), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(left)))
        out[rows] = _block(left.gather(rows), right.gather(rows), name, upstream)
    return out


def _block(a: Float32, b: Float32, name: str, upstream: bool) -> Float32:
    import torch

    if name in ("cosine", "dot") or (name == "euclidean" and not upstream):
        return own_paired(a, b, name)
    apart = torch.tensor(b) - torch.tensor(a)
    sizes = apart.abs() if name == "manhattan" else torch.sqrt(torch.square(apart))
    return np.asarray(-sizes.sum(dim=1).numpy(), dtype=np.float32)
