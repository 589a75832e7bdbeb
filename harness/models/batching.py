"""Token-budget batches: which texts go through the model together, and how wide they are padded.

On a CPU a float32 forward pass gives a text other last bits in another batch: the width it is padded to,
and for small batches the number of rows, choose the order in which sums are made. So there the width
depends on the text alone, and a batch never has fewer tokens than the matrix kernels need to treat every
row alike. Then a vector does not depend on what else was encoded beside it: not on the other tasks of a
run, nor on what a killed run had already stored. A GPU gets full batches of neighbouring lengths instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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


def batch_end(widths: Int64, start: int, budget: int, *, equal: bool) -> int:
    """Where the batch that begins at `start` ends.

    Args:
        widths: int64 [n], descending.
        budget: padded tokens a batch; a text wider than that has a batch of its own.
        equal: only texts of one width share a batch.
    """
    width = int(widths[start])
    stop = min(len(widths), start + max(1, budget // width))
    if equal:
        stop = min(stop, int(np.searchsorted(-widths, -width, side="right")))
    return stop


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
