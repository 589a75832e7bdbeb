"""mteb as the oracle of the kinds that score labels: its own task classes on our rows and vectors."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from harness.types import Scores
from tests.kinds.oracle_pairs import TableEncoder


def blobs(labels: list[Any], dim: int = 24, noise: float = 0.8, seed: int = 0) -> np.ndarray:
    """float32 [n, dim]: rows scattered around one centre a label."""
    rng = np.random.default_rng(seed)
    centre = {label: rng.standard_normal(dim) for label in dict.fromkeys(labels)}
    rows = np.stack([centre[label] for label in labels]) + noise * rng.standard_normal((len(labels), dim))
    return rows.astype(np.float32)


def names(prefix: str, n: int) -> list[str]:
    """n different texts."""
    return [f"{prefix} {i}" for i in range(n)]


def encoder(*pairs: tuple[list[str], np.ndarray]) -> TableEncoder:
    """An encoder that gives each text its row."""
    return TableEncoder({text: row for texts, rows in pairs for text, row in zip(texts, rows, strict=True)})


def labelled_task(task: Any, train: tuple[list, list], test: tuple[list, list], **attributes: Any) -> Any:
    """A classification or multilabel task on (texts, labels) of its two splits."""
    splits = {"train": {"text": train[0], "label": train[1]}, "test": {"text": test[0], "label": test[1]}}
    return _with(task, splits, attributes)


def cluster_task(task: Any, sentences: list, labels: list, **attributes: Any) -> Any:
    """A clustering task on its one split."""
    return _with(task, {"test": {"sentences": sentences, "labels": labels}}, attributes)


def evaluate(task: Any, model: TableEncoder, split: str = "test", subset: str = "default") -> dict[str, Any]:
    """mteb's scores of one split and subset; its libraries' warnings are its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not task.data_loaded:
            task.load_data()
        found = task.evaluate(model, split=split, subsets_to_run=[subset], encode_kwargs={"batch_size": 512})
    return dict(found[subset])


def assert_equals_mteb(scores: Scores, expected: dict[str, Any]) -> None:
    """Metrics and details equal mteb's to 1e-6; its NaN is undefined here; no key is missing on a side."""
    main = expected.pop("main_score")
    flat = {name: value for name, value in expected.items() if not isinstance(value, dict | list)}
    nested = {name: value for name, value in expected.items() if name not in flat}
    nan = {name for name, value in flat.items() if math.isnan(value)}
    assert set(scores.undefined) == nan
    assert set(scores.metrics) == set(flat) - nan
    for name, value in scores.metrics.items():
        assert abs(value - flat[name]) <= 1e-6, (name, value, flat[name])
    assert scores.metrics == scores.exact
    assert set(scores.details) == set(nested)
    for name, value in nested.items():
        _assert_close(scores.details[name], value, name)
    assert scores.metrics[scores.main] == main or abs(scores.metrics[scores.main] - main) <= 1e-6


def _assert_close(ours: Any, theirs: Any, where: str) -> None:
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for name, value in theirs.items():
            _assert_close(ours[name], value, f"{where}.{name}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for i, value in enumerate(theirs):
            _assert_close(ours[i], value, f"{where}[{i}]")
    elif theirs is None:
        assert ours is None, where
    else:
        assert abs(ours - theirs) <= 1e-6, (where, ours, theirs)


def _with(task: Any, splits: dict[str, dict[str, list]], attributes: dict[str, Any]) -> Any:
    from datasets import Dataset, DatasetDict

    task.dataset = DatasetDict({split: Dataset.from_dict(columns) for split, columns in splits.items()})
    task.data_loaded = True
    for name, value in attributes.items():
        assert hasattr(task, name), name
        setattr(task, name, value)
    return task
