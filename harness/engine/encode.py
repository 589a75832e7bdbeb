"""From texts to vectors: remove duplicates, encode what the store lacks, longest first, shard by shard."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.engine.vectors import Keys, VectorStore, pair_keys, text_keys
from harness.errors import ModelError, NonFiniteError
from harness.models.base import BiEncoder, CrossEncoder
from harness.types import Float32, Int64, Pairs, Texts, Vectors

SHARD_TEXTS = 1024
SHARD_CHARACTERS = 400_000

Progress = Callable[[int, int], None]


# What a model's own code may raise; errors of ours are none of these and pass through.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _quiet(done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What a list of requests costs: `texts` asked for, `distinct` among them, `missing` from the store."""

    texts: int
    distinct: int
    missing: int
    missing_characters: int


def plan(keys: Sequence[Keys], items: Sequence[Sequence[str]], store: VectorStore, before: Keys) -> Plan:
    """Count the work of embedding `items` (lists of strings with their keys) without doing it.

    Args:
        before: keys that an earlier part of the same run will have embedded by then.
    """
    asked = sum(len(k) for k in keys)
    if not asked:
        return Plan(0, 0, 0, 0)
    every, first = np.unique(np.concatenate(keys), return_index=True)
    missing = (store.find(every) < 0) & ~np.isin(every, before)
    lengths = np.fromiter((len(item) for part in items for item in part), dtype=np.int64, count=asked)
    return Plan(asked, len(every), int(missing.sum()), int(lengths[first[missing]].sum()))


def embed(
    model: BiEncoder, requests: Sequence[Texts], store: VectorStore, progress: Progress = _quiet
) -> list[Vectors]:
    """Vectors of rendered texts, one `Vectors` a request; every distinct text is encoded at most once.

    Each shard is durable before the next begins, so a killed run loses at most one.

    Args:
        progress: called with (texts encoded, texts to encode) before the first shard and after each.

    Raises:
        NonFiniteError: the model answered NaN or infinity; the message shows the text.
        ModelError: the model answered the wrong number or shape of rows.
    """
    keys = [text_keys(texts) for texts in requests]
    groups: dict[tuple[str, str], dict[bytes, str]] = {}
    for texts, own in zip(requests, keys, strict=True):
        group = groups.setdefault((texts.route, texts.prompt), {})
        for at in np.flatnonzero(store.find(own) < 0).tolist():
            group.setdefault(own[at : at + 1].tobytes(), texts.items[at])
    total = sum(len(group) for group in groups.values())
    done = 0
    progress(done, total)
    for (route, prompt), group in groups.items():
        for chunk in _longest_first(group, len):
            items = [group[key] for key in chunk]
            with blamed(model.card.name, "encode"):
                rows = model.encode(Texts(items, prompt=prompt, route=route))
            store.append(_stack(chunk), _checked(rows, items, model.card.name, columns=True))
            done += len(chunk)
            progress(done, total)
    return [store.vectors(_found(store, own)) for own in keys]


def score_pairs(
    model: CrossEncoder, requests: Sequence[Pairs], store: VectorStore, progress: Progress = _quiet
) -> list[Float32]:
    """Cross-encoder scores of pairs, float32 [n] a request; every distinct pair is scored at most once.

    Raises: as `embed`.
    """
    keys = [pair_keys(pairs) for pairs in requests]
    groups: dict[str, dict[bytes, tuple[str, str]]] = {}
    for pairs, own in zip(requests, keys, strict=True):
        group = groups.setdefault(pairs.route, {})
        for at in np.flatnonzero(store.find(own) < 0).tolist():
            group.setdefault(own[at : at + 1].tobytes(), (pairs.left[at], pairs.right[at]))
    total = sum(len(group) for group in groups.values())
    done = 0
    progress(done, total)
    for route, group in groups.items():
        for chunk in _longest_first(group, lambda pair: len(pair[0]) + len(pair[1])):
            items = [group[key] for key in chunk]
            with blamed(model.card.name, "score"):
                scores = model.score(Pairs([a for a, _ in items], [b for _, b in items], route))
            shown = [f"{a} | {b}" for a, b in items]
            store.append(_stack(chunk), _checked(scores, shown, model.card.name, columns=False))
            done += len(chunk)
            progress(done, total)
    return [store.scores(_found(store, own)) for own in keys]


@contextlib.contextmanager
def blamed(name: str, method: str) -> Iterator[None]:
    """Turn whatever a model's own code raises into a ModelError that names it."""
    try:
        yield
    except _FAULTS as error:
        raise ModelError(f"{name}: its {method} failed with {type(error).__name__}: {error}") from error


def _as_float32(rows: Any, name: str) -> Float32:
    if hasattr(rows, "detach"):  # a torch tensor, on any device and of any precision
        rows = rows.detach().float().cpu().numpy()
    try:
        array = np.asarray(rows)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"values of type {array.dtype}")
        return np.ascontiguousarray(array, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{name} answered a {type(rows).__name__} that is no array of floats: {error}"
        ) from error


def _longest_first(group: dict[bytes, Any], length: Callable[[Any], int]) -> Iterator[list[bytes]]:
    """Keys of a group in shards, longest first; the key itself settles equal lengths."""
    chunk: list[bytes] = []
    characters = 0
    for key in sorted(group, key=lambda k: (-length(group[k]), k)):
        if chunk and (len(chunk) == SHARD_TEXTS or characters >= SHARD_CHARACTERS):
            yield chunk
            chunk, characters = [], 0
        chunk.append(key)
        characters += length(group[key])
    if chunk:
        yield chunk


def _stack(keys: Sequence[bytes]) -> Keys:
    return np.frombuffer(b"".join(keys), dtype="S16")


def _found(store: VectorStore, keys: Keys) -> Int64:
    rows = store.find(keys)
    assert not len(rows) or rows.min() >= 0, "every key was stored above"
    return rows


def _checked(rows: npt.ArrayLike, items: Sequence[str], name: str, *, columns: bool) -> Float32:
    """`rows` as float32, or an error that names the text."""
    array = _as_float32(rows, name)
    wanted = f"[{len(items)}, dim]" if columns else f"[{len(items)}]"
    if array.ndim != (2 if columns else 1) or len(array) != len(items) or (columns and not array.shape[1]):
        raise ModelError(f"{name} answered an array of shape {list(array.shape)} where {wanted} was due")
    finite = np.isfinite(array).reshape(len(items), -1).all(axis=1)
    if not finite.all():
        text = items[int(np.flatnonzero(~finite)[0])]
        shown = text if len(text) <= 80 else text[:77] + "..."
        raise NonFiniteError(
            f"{name} answered NaN or infinity for {int((~finite).sum())} of {len(items)} texts, "
            f"first for {shown!r}\nnothing of this batch was kept; check the weights and the dtype"
        )
    return array
