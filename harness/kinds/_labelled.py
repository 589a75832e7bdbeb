"""What the kinds that score labels share: settings, label codes, sample columns, independent fits."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import ConfigError, DataError
from harness.kinds import scorer
from harness.types import Int64, Label

Item = TypeVar("Item")
Answer = TypeVar("Answer")

WORKERS = 4  # bounds memory: every worker holds a copy of the rows it fits


def options(kind: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The scorer's defaults, overridden by `settings`; its main metric under "main"."""
    chosen = scorer(kind, name)
    merged = {"main": chosen.main, **chosen.defaults, **settings}
    return {**merged, "main": merged["main"] or chosen.main}


def positive(options: Mapping[str, Any], *names: str) -> None:
    """Refuse settings that must be integers of at least 1. Raises ConfigError."""
    for name in names:
        value = options[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")


def encode(labels: Sequence[Any], what: str) -> tuple[list[Label], Int64]:
    """Number labels by sorted order.

    Returns:
        the distinct labels, sorted (all int or all str), and for every row its position among them.

    Raises:
        DataError: a label is neither a whole number nor a string, or both sorts occur.
    """
    plain = list(labels)
    if set(map(type, plain)) not in ({int}, {str}):
        plain = [plain_label(label, what) for label in plain]
    found = set(plain)
    if len(set(map(type, found))) > 1:
        raise DataError(f"{what}: labels mix numbers and strings")
    values: list[Label] = sorted(found)
    code = {label: i for i, label in enumerate(values)}
    return values, np.fromiter((code[label] for label in plain), np.int64, len(plain))


def plain_label(label: Any, what: str) -> Label:
    """A label as Python's int or str. Raises DataError for anything else."""
    if isinstance(label, str):
        return str(label)
    if isinstance(label, bool | np.bool_ | int | np.integer):
        return int(label)
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return int(label)
    raise DataError(f"{what}: a label must be a whole number or a string, not {label!r}")


def check_rows(texts: Sequence[Any], labels: Sequence[Any], what: str) -> None:
    """Refuse data without rows or with another number of labels than texts. Raises DataError."""
    if len(texts) != len(labels):
        raise DataError(f"{what}: {len(texts)} texts but {len(labels)} labels")
    if len(texts) == 0:
        raise DataError(f"{what}: there are no rows")


def label_column(values: Sequence[Label], codes: npt.NDArray[Any]) -> pa.Array:
    """Labels as a dictionary-encoded column, so that strings are stored once."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), _label_array(values))


def label_lists(values: Sequence[Label], indicator: npt.NDArray[np.bool_]) -> pa.Array:
    """The labels that each row of an indicator matrix [n, labels] names, as a column of lists."""
    offsets = np.concatenate([[0], indicator.sum(axis=1).cumsum()])
    names = _label_array(values).take(pa.array(np.nonzero(indicator)[1]))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names)


def read_labels(samples: pa.Table, *columns: str) -> tuple[list[Label], list[Int64]]:
    """Label columns (scalars or lists, then flattened) as codes over their common sorted labels."""
    coded = []
    for name in columns:
        column = samples.column(name)
        if pa.types.is_list(column.type):
            column = pc.list_flatten(column)
        coded.append(column.dictionary_encode().unify_dictionaries().combine_chunks())
    found = [array.dictionary.to_pylist() for array in map(_one_chunk, coded)]
    values = sorted(set().union(*found))
    code = {label: i for i, label in enumerate(values)}
    codes = []
    for array, names in zip(map(_one_chunk, coded), found, strict=True):
        renumbered = np.array([code[name] for name in names], np.int64)
        codes.append(renumbered[array.indices.to_numpy()])
    return values, codes


def groups(samples: pa.Table, *columns: str) -> Iterator[tuple[tuple[int, ...], Int64]]:
    """The rows of every distinct combination of integer columns, combinations in ascending order."""
    keys = np.stack([samples.column(name).to_numpy().astype(np.int64) for name in columns])
    order = np.lexsort(keys[::-1])
    ordered = keys[:, order]
    cuts = np.flatnonzero((np.diff(ordered) != 0).any(axis=0)) + 1
    for rows in np.split(order, cuts):
        yield tuple(int(k) for k in keys[:, rows[0]]), rows


def independent_fits(fit: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
    """`fit` of every item, in order, in threads that each compute on one core.

    A fit's arithmetic is that of one thread, so the answers do not depend on the number of workers; for
    problems of this size that is also faster than a threaded BLAS. The reference lets optimisers stop
    early, so scikit-learn's convergence warnings are not passed on.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    def one_core() -> None:
        threadpool_limits(1, user_api="openmp")  # counts for the calling thread alone

    workers = min(len(items), WORKERS, os.cpu_count() or 1)
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
        with ThreadPoolExecutor(workers, initializer=one_core) as pool:
            return list(pool.map(fit, items))


def _label_array(values: Sequence[Label]) -> pa.Array:
    text = bool(values) and isinstance(values[0], str)
    return pa.array(list(values), pa.string() if text else pa.int64())


def _one_chunk(column: Any) -> pa.DictionaryArray:
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
