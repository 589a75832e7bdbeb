"""What is to be encoded: the distinct items that a list of requests lacks, longest first.

Pairs for a service stand by their left texts instead: it takes a query with all its documents as one request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.engine.vectors import Keys, VectorStore, pair_keys, text_keys
from harness.models.base import ModelCard
from harness.types import Int64, Pairs, Texts


@dataclass(frozen=True)
class Request:
    """What one job needs: lists of texts, or of pairs, and the keys of all their items end to end."""

    parts: tuple[Texts | Pairs, ...]
    keys: Keys

    def characters(self) -> int:
        """Characters of all items, those that stand several times counted each time."""
        return sum(
            sum(map(len, part.left)) + sum(map(len, part.right))
            if isinstance(part, Pairs)
            else sum(map(len, part.items))
            for part in self.parts
        )


def text_request(parts: Sequence[Texts]) -> Request:
    """A request for vectors."""
    return Request(tuple(parts), np.concatenate([text_keys(Texts([])), *map(text_keys, parts)]))


def pair_request(pairs: Pairs) -> Request:
    """A request for pair scores."""
    return Request((pairs,), pair_keys(pairs))


@dataclass(frozen=True)
class Work:
    """Distinct missing items, longest first (or by left text, then so); the key settles equal lengths.

    Attributes:
        parts: lists of texts or pairs that the items come from.
        part, at: int64 [m]; item i is `parts[part[i]]` at `at[i]`.
        keys: [m].
        characters: int64 [m].
        needs: per request, ascending positions of the items it needs, int64.
        first: int64 [requests]; items that no earlier request needs.
    """

    parts: tuple[Texts | Pairs, ...]
    part: Int64
    at: Int64
    keys: Keys
    characters: Int64
    needs: tuple[Int64, ...]
    first: Int64

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def pairs(self) -> bool:
        """Whether the items are pairs, to be scored by a cross-encoder."""
        return any(isinstance(part, Pairs) for part in self.parts)

    def finished(self, request: int, whole: int) -> bool:
        """Whether a request has everything once the first `whole` items are encoded."""
        needs = self.needs[request]
        return not len(needs) or int(needs[-1]) < whole

    def groups(self, positions: Int64) -> list[tuple[Texts | Pairs, Int64]]:
        """The items at positions in lists of one prompt and route, with their places in `positions`."""
        kinds: dict[tuple[str, str], int] = {}
        number = np.array([kinds.setdefault(_kind(part), len(kinds)) for part in self.parts], dtype=np.int64)
        own = number[self.part[positions]]
        found: list[tuple[Texts | Pairs, Int64]] = []
        for (route, prompt), kind in kinds.items():
            here = np.flatnonzero(own == kind)
            if not len(here):
                continue
            items = [self._item(position) for position in positions[here].tolist()]
            if self.pairs:
                found.append((Pairs([a for a, _ in items], [b for _, b in items], route), here))
            else:
                found.append((Texts([text for text, _ in items], prompt=prompt, route=route), here))
        return found

    def shown(self, position: int) -> str:
        """An item for a person's eyes."""
        left, right = self._item(position)
        return f"{left} | {right}" if self.pairs else left

    def _item(self, position: int) -> tuple[str, str]:
        part, at = self.parts[self.part[position]], int(self.at[position])
        return (part.left[at], part.right[at]) if isinstance(part, Pairs) else (part.items[at], "")


def by_left(card: ModelCard) -> bool:
    """Whether a model wants pairs with one left text side by side."""
    return card.kind == "cross-encoder" and card.device == "service"


def find_work(requests: Sequence[Request], store: VectorStore, *, by_left: bool = False) -> Work:
    """What the store lacks of some requests; items that several need stand once.

    Args:
        by_left: pairs with one left text stand side by side, left texts by their first key.
    """
    parts = tuple(part for request in requests for part in request.parts)
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    keys = np.concatenate([text_keys(Texts([])), *(request.keys for request in requests)])
    distinct, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    missing = np.flatnonzero(store.find(distinct) < 0)
    part = np.repeat(np.arange(len(parts), dtype=np.int64), sizes)[first[missing]]
    at = first[missing] - (np.cumsum(sizes) - sizes)[part]
    characters = np.fromiter(
        (_length(parts[p], i) for p, i in zip(part.tolist(), at.tolist(), strict=True)), np.int64, len(at)
    )
    order = np.argsort(-characters, kind="stable")  # keys are sorted already
    if by_left:
        order = order[np.argsort(_left_numbers(parts, part, at)[order], kind="stable")]
    rank = np.full(len(distinct), -1, dtype=np.int64)
    rank[missing[order]] = np.arange(len(order))
    needs: list[Int64] = []
    known = np.zeros(len(order), dtype=np.bool_)
    fresh: list[int] = []
    start = 0
    for request in requests:
        own = np.unique(rank[inverse[start : start + len(request.keys)]])
        start += len(request.keys)
        needs.append(own[own >= 0])
        fresh.append(int((~known[needs[-1]]).sum()))
        known[needs[-1]] = True
    return Work(
        parts,
        part[order],
        at[order],
        distinct[missing][order],
        characters[order],
        tuple(needs),
        np.array(fresh, dtype=np.int64),
    )


def _left_numbers(parts: Sequence[Texts | Pairs], part: Int64, at: Int64) -> Int64:
    """A number for each item, int64 [m], the same for equal left texts."""
    known: dict[str, int] = {}
    lefts = (_left(parts[p], i) for p, i in zip(part.tolist(), at.tolist(), strict=True))
    return np.fromiter((known.setdefault(left, len(known)) for left in lefts), np.int64, len(at))


def _left(part: Texts | Pairs, at: int) -> str:
    return part.left[at] if isinstance(part, Pairs) else ""


def _kind(part: Texts | Pairs) -> tuple[str, str]:
    return (part.route, "" if isinstance(part, Pairs) else part.prompt)


def _length(part: Texts | Pairs, at: int) -> int:
    return len(part.left[at]) + len(part.right[at]) if isinstance(part, Pairs) else len(part.items[at])
