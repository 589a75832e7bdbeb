"""From texts to vectors: duplicates removed, what the store lacks encoded longest first, shard by shard."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.engine.vectors import Keys, VectorStore
from harness.engine.work import Work, by_left, find_work, pair_request, text_request
from harness.errors import ModelError, NonFiniteError
from harness.models.base import BiEncoder, CrossEncoder, Say, Tokenizing, unheard
from harness.types import Float32, Int64, Pairs, Texts, Vectors

# A shard is what a kill can cost, so it is some seconds of work: on a CPU few texts, elsewhere many. What a
# service answers is paid for as well, so there it is few.
SHARD_TEXTS, SHARD_CHARACTERS = 1024, 400_000
_FASTER = 8
# Texts whose tokens are held at a time, and sorted by their number: what a fast device takes as one shard,
# so that it computes while the next are being made.
WINDOW_TEXTS, WINDOW_CHARACTERS = _FASTER * SHARD_TEXTS, _FASTER * SHARD_CHARACTERS

Progress = Callable[[int, int], None]

# What a model's own code may raise; errors of ours are none of these and pass through.
_FAULTS = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """How far the work is after a shard.

    Attributes:
        done: items encoded; `whole` of them, the longest, leave no gap.
        tokens: tokens of these items, without padding; 0 where the model does not say.
        characters: of these items.
    """

    done: int
    whole: int
    tokens: int
    characters: int


def embed(
    model: BiEncoder,
    requests: Sequence[Texts],
    store: VectorStore,
    progress: Progress = lambda done, total: None,
) -> list[Vectors]:
    """Vectors of rendered texts, one `Vectors` a request; every distinct text is encoded at most once.

    Each shard is durable before the next begins, so a killed run loses at most one. Of a call that failed
    halfway, what the error brings along is stored.

    Args:
        progress: called with (texts encoded, texts to encode) before the first shard and after each.

    Raises:
        NonFiniteError: the model answered NaN or infinity; the message shows the text.
        ModelError: the model answered the wrong number or shape of rows.
    """
    asked = [text_request([texts]) for texts in requests]
    _run(model, find_work(asked, store), store, progress)
    return [store.vectors(stored(store, request.keys)) for request in asked]


def score_pairs(
    model: CrossEncoder,
    requests: Sequence[Pairs],
    store: VectorStore,
    progress: Progress = lambda done, total: None,
) -> list[Float32]:
    """Cross-encoder scores of pairs, float32 [n] a request; every distinct pair is scored at most once.

    Raises: as `embed`.
    """
    asked = [pair_request(pairs) for pairs in requests]
    _run(model, find_work(asked, store, by_left=by_left(model.card)), store, progress)
    return [store.scores(stored(store, request.keys)) for request in asked]


def _run(model: Any, work: Work, store: VectorStore, progress: Progress) -> None:
    progress(0, len(work))
    for step in encoding(model, work, store):
        progress(step.done, len(work))


def encoding(model: Any, work: Work, store: VectorStore, say: Say = unheard) -> Iterator[Step]:
    """Encode the work into the store, one step a shard; the tokens of what follows are made meanwhile.

    Args:
        model: a BiEncoder or CrossEncoder; one that is `Tokenizing` gets its tokens ahead.
        say: called with one line when something deserves it (a batch did not fit into the memory).

    Raises:
        NonFiniteError, ModelError: as `embed`; shards stored before stay.
    """
    done = tokens = characters = 0
    spans = _windows(work)
    with ThreadPoolExecutor(1, thread_name_prefix="tokens") as pool:
        ahead: list[Future[_Window]] = []
        for number, (start, stop) in enumerate(spans):
            ahead = ahead or [pool.submit(_window, model, work, start, stop)]
            window = ahead.pop().result()
            if number + 1 < len(spans):
                ahead.append(pool.submit(_window, model, work, *spans[number + 1]))
            for shard in window.shards():
                store.refresh()
                lacking = shard[store.find(work.keys[shard]) < 0]  # another run may have been here
                if len(lacking):
                    try:
                        rows = window.answer(lacking, say)
                    except ModelError as error:
                        if error.answered is not None:  # of a service, and paid for
                            places, good = error.answered
                            kept = lacking[places]
                            store.append(work.keys[kept], _checked(good, work, kept, model))
                        raise
                    store.append(work.keys[lacking], _checked(rows, work, lacking, model))
                done += len(shard)
                tokens += window.tokens(shard)
                characters += int(work.characters[shard].sum())
                yield Step(done, stop if done == stop else start, tokens, characters)


def open_model(model: Any, work: Work) -> None:
    """Have a model that is `Tokenizing` read its weights, which it does when it first prepares something.

    Raises:
        ModelError: it could not.
    """
    if isinstance(model, Tokenizing):
        with blamed(model.card.name, "loading"):
            model.prepare([Pairs([], []) if work.pairs else Texts([])])


@dataclass(frozen=True)
class _Window:
    """A stretch of the work, prepared.

    Attributes:
        order: int64 positions in the work, as they are to be encoded.
        prepared: what a `Tokenizing` model made of the texts; None for others.
        place: int64 [stop - start] row in `prepared` of each position.
    """

    model: Any
    work: Work
    start: int
    order: Int64
    prepared: Any
    place: Int64

    def shards(self) -> Iterator[Int64]:
        """Positions in stretches of a shard's size."""
        factor = 1 if self.model.card.device in ("cpu", "service") else _FASTER
        ends = np.cumsum(self.work.characters[self.order])
        start = 0
        while start < len(self.order):
            before = ends[start - 1] if start else 0
            stop = 1 + int(np.searchsorted(ends, before + factor * SHARD_CHARACTERS))
            stop = min(max(stop, start + 1), start + factor * SHARD_TEXTS, len(self.order))
            yield self.order[start:stop]
            start = stop

    def tokens(self, positions: Int64) -> int:
        """Tokens of the texts at positions of the work, 0 where nobody knows."""
        if self.prepared is None:
            return 0
        return int(self.prepared.lengths[self.place[positions - self.start]].sum())

    def answer(self, positions: Int64, say: Say) -> Any:
        """Vectors or scores of positions of the work, in that order."""
        name, pairs = self.model.card.name, self.work.pairs
        method = "score" if pairs else "encode"
        if self.prepared is not None:
            with blamed(name, method):
                return self.model.answer(self.prepared, self.place[positions - self.start], say)
        rows: list[Any] = []
        places: list[Int64] = []
        for group, own in self.work.groups(positions):
            with blamed(name, method), _placed(own, rows, places):
                answer = getattr(self.model, method)(group)
            rows.append(_of_length(_as_float32(answer, name), len(group), name, pairs=pairs))
            places.append(own)
        if len(rows) == 1:
            return rows[0]
        if len({part.shape[1:] for part in rows}) > 1:
            raise ModelError(f"{name} answered vectors of different lengths {[p.shape[1] for p in rows]}")
        out = np.empty((len(positions), *rows[0].shape[1:]), dtype=np.float32)
        for part, own in zip(rows, places, strict=True):
            out[own] = part
        return out


def _window(model: Any, work: Work, start: int, stop: int) -> _Window:
    positions = np.arange(start, stop)
    if not isinstance(model, Tokenizing):
        return _Window(model, work, start, positions, None, positions - start)
    groups = work.groups(positions)
    place = np.empty(stop - start, dtype=np.int64)
    place[np.concatenate([own for _, own in groups])] = np.arange(stop - start)
    with blamed(model.card.name, "prepare"):
        prepared = model.prepare([group for group, _ in groups])
        lengths = prepared.lengths[place]
    return _Window(model, work, start, positions[np.argsort(-lengths, kind="stable")], prepared, place)


def _windows(work: Work) -> list[tuple[int, int]]:
    ends = np.cumsum(work.characters)
    spans, start = [], 0
    while start < len(work):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + WINDOW_CHARACTERS, side="right"))
        stop = min(max(stop, start + 1), start + WINDOW_TEXTS)
        spans.append((start, stop))
        start = stop
    return spans


@contextlib.contextmanager
def blamed(name: str, method: str) -> Iterator[None]:
    """Turn whatever a model's own code raises into a ModelError that names it."""
    try:
        yield
    except _FAULTS as error:
        raise ModelError(f"{name}: its {method} failed with {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _placed(own: Int64, rows: Sequence[Any], places: Sequence[Int64]) -> Iterator[None]:
    """Give what a failing call did answer its places in the shard, and the calls before it with it."""
    try:
        yield
    except ModelError as error:
        if error.answered is not None:
            at, good = error.answered
            error.answered = (np.concatenate([*places, own[at]]), np.concatenate([*rows, good]))
        raise


def stored(store: VectorStore, keys: Keys) -> Int64:
    """Storage rows of keys that were encoded before: int64 [n].

    Raises:
        ModelError: the store lost some since.
    """
    rows = store.find(keys)
    if len(rows) and rows.min() < 0:
        raise ModelError(
            f"{store.label}: {int((rows < 0).sum())} vectors were stored and are damaged or gone\n"
            "run the same command again: they are made anew"
        )
    return rows


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


def _of_length(array: npt.NDArray[Any], count: int, name: str, *, pairs: bool) -> npt.NDArray[Any]:
    columns = not pairs
    wanted = f"[{count}, dim]" if columns else f"[{count}]"
    if array.ndim != (2 if columns else 1) or len(array) != count or (columns and not array.shape[1]):
        raise ModelError(f"{name} answered an array of shape {list(array.shape)} where {wanted} was due")
    return array


def _checked(rows: Any, work: Work, positions: Int64, model: Any) -> Float32:
    """`rows` as float32, or an error that names the text."""
    name = model.card.name
    array = _of_length(_as_float32(rows, name), len(positions), name, pairs=work.pairs)
    finite = np.isfinite(array).reshape(len(positions), -1).all(axis=1)
    if not finite.all():
        text = work.shown(int(positions[np.flatnonzero(~finite)[0]]))
        shown = text if len(text) <= 80 else text[:77] + "..."
        raise NonFiniteError(
            f"{name} answered NaN or infinity for {int((~finite).sum())} of {len(positions)} texts, "
            f"first for {shown!r}\nnothing of this batch was kept; check the weights and the dtype"
        )
    return array
