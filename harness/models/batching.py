"""Token-budget batches: which texts go through the model together, and how wide they are padded.

On a CPU a float32 forward pass gives a text other last bits in another batch: the width it is padded to,
and for small batches the number of rows, choose the order in which sums are made. So there a text is padded
to a width that depends on the text alone, or not at all, and a batch has as many tokens as the matrix
kernels need to treat every row alike. Then a vector does not depend on what else was encoded beside it: not
on the other tasks of a run, nor on what a killed run had already stored. A GPU gets full batches of
neighbouring lengths instead.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from harness.types import Int64

_TRIALS = 3  # batches timed at each budget; the best counts
_GAIN = 1.02  # what a larger budget must bring
_SLOW = 1.0  # seconds a batch: where one takes longer, larger ones are not tried


def padded_widths(lengths: npt.ArrayLike) -> Int64:
    """What each text is padded to on a CPU: its own length up to 64, then multiples of 8.

    Short texts share their length with many others and need no padding; long ones would be alone.
    """
    counts = np.maximum(np.asarray(lengths, dtype=np.int64), 1)
    return np.where(counts <= 64, counts, -(-counts // 8) * 8)


class Mix(Enum):
    """Which texts may share a batch."""

    ANY = "packed end to end, so that every length may stand beside every other"
    EQUAL = "of one width"
    NEIGHBOURS = "of consecutive widths, padded to the widest"


@dataclass(frozen=True)
class Group:
    """Texts of one width: their places, int64 [n], in the list that the queue was made of."""

    width: int
    places: Int64


class Queue:
    """Texts still to be encoded, by width."""

    def __init__(self, widths: Int64, mix: Mix) -> None:
        order = np.argsort(widths, kind="stable")
        found, starts = np.unique(widths[order], return_index=True)
        self._mix = mix
        self._widths: list[int] = found.tolist()
        self._places = np.split(order, starts[1:]) if len(found) else []

    def batch(self, budget: int) -> list[Group]:
        """The next batch, widest first: as many texts as fit into `budget` tokens, at least one.

        It stays in the queue until `remove`; empty when nothing is left.
        """
        groups: list[Group] = []
        room, at = budget, len(self._widths) - 1
        while at >= 0:
            width = self._widths[at]
            cost = self._widths[-1] if self._mix is Mix.NEIGHBOURS else width
            number = min(len(self._places[at]), room // cost or (not groups))
            if not number:
                break
            groups.append(Group(width, self._places[at][:number]))
            room -= number * cost
            if self._mix is Mix.EQUAL or (self._mix is Mix.NEIGHBOURS and number < len(self._places[at])):
                break
            at = min(at, bisect_right(self._widths, room)) - 1
        return groups

    def remove(self, groups: Sequence[Group]) -> None:
        """Take out a batch that is done."""
        for group in groups:
            at = bisect_left(self._widths, group.width)
            self._places[at] = self._places[at][len(group.places) :]
            if not len(self._places[at]):
                del self._widths[at], self._places[at]


@dataclass
class Pace:
    """The token budget of batches: chosen by timing the first batches of the work itself, no work wasted.

    Attributes:
        budgets: those to try, ascending; a single one is taken as it is.
        halved: whether the memory once did not hold a batch.
    """

    budgets: list[int]
    halved: bool = False
    _seconds: dict[int, list[float]] = field(default_factory=dict)
    _trying: int = 0

    @property
    def settled(self) -> bool:
        """Whether the choice is made."""
        return len(self.budgets) == 1

    @property
    def budget(self) -> int:
        """Padded tokens of the next batch."""
        return self.budgets[self._trying]

    def took(self, tokens: int, seconds: float) -> None:
        """Say how long a batch of `tokens` padded tokens took; small ones tell nothing and are ignored."""
        if self.settled or tokens < 0.7 * self.budget:
            return
        known = self._seconds.setdefault(self.budget, [])
        known.append(seconds / tokens)
        if len(known) < _TRIALS and seconds < _SLOW:
            return
        self._trying += 1
        if self._trying == len(self.budgets) or seconds >= _SLOW:
            self._settle()

    def halve(self) -> int:
        """Half of the budget, for good: the memory did not hold a batch of this size."""
        self.budgets, self._trying, self.halved = [max(1, self.budget // 2)], 0, True
        return self.budget

    def _settle(self) -> None:
        chosen = self.budgets[0]
        for budget in self.budgets[1 : self._trying]:
            if min(self._seconds[budget]) * _GAIN < min(self._seconds[chosen]):
                chosen = budget
        self.budgets, self._trying = [chosen], 0
