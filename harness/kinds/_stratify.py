"""Iterative stratification: a part of multilabel rows in which pairs of labels are as frequent as in all."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

from harness.types import Int64


def stratified_rows(indicator: npt.NDArray[np.bool_], share: float, seed: int) -> Int64:
    """About `share` of the rows, ascending, chosen so that label pairs keep their frequency.

    Sechidis et al. (2011), of order 2 (Szymański and Kajdanowicz 2017): single labels and pairs are
    "combinations"; again and again one is chosen and its rows, last first, go to whichever side is
    farthest from its quota of that combination, ties by the generator. Rows without labels are dealt
    out last. The choices, the floats compared and the stream are those of mteb 2.26.24.

    Args:
        indicator: [n, labels], true where a row has a label.
        share: part of the rows wanted, above 0 and below 1. Where many combinations are rare the answer
            has noticeably more rows: each of them alone rounds by chance.
        seed: of the legacy numpy generator.
    """
    random = np.random.RandomState(seed)
    shares = np.array([share, 1.0 - share])
    rows_of, of_row, is_pair = _combinations(indicator)
    support = np.array([len(rows) for rows in rows_of], dtype=np.int64)
    wanted = support[:, None] * shares
    wanted_rows = len(indicator) * shares
    side = np.full(len(indicator), -1)
    while (combination := _next_combination(support, is_pair)) is not None:
        for row in reversed(rows_of[combination]):
            if side[row] >= 0:
                continue
            missing = wanted[combination]
            best = np.flatnonzero(missing == missing.max())
            chosen = int(best[0] if len(best) == 1 else random.choice(best, 1)[0])
            side[row] = chosen
            support[of_row[row]] -= 1
            wanted[of_row[row], chosen] -= 1
            wanted_rows[chosen] -= 1
    for row in np.flatnonzero(side < 0)[::-1]:
        chosen = int(random.choice(np.flatnonzero(wanted_rows > 0), 1)[0])
        side[row] = chosen
        wanted_rows[chosen] -= 1
    return np.flatnonzero(side == 0)


def _combinations(
    indicator: npt.NDArray[np.bool_],
) -> tuple[list[list[int]], list[Int64], npt.NDArray[np.bool_]]:
    """Rows of every combination, combinations of every row (both in order of appearance), and pairs."""
    number: dict[tuple[int, int], int] = {}
    rows_of: list[list[int]] = []
    of_row = []
    for row, present in enumerate(indicator):
        mine = []
        for combination in combinations_with_replacement(np.flatnonzero(present).tolist(), 2):
            index = number.setdefault(combination, len(number))
            if index == len(rows_of):
                rows_of.append([])
            rows_of[index].append(row)
            mine.append(index)
        of_row.append(np.array(mine, dtype=np.int64))
    return rows_of, of_row, np.array([a != b for a, b in number], dtype=np.bool_)


def _next_combination(support: Int64, is_pair: npt.NDArray[np.bool_]) -> int | None:
    """The first combination with rows left or, if that is a single label, the first rarer pair after it."""
    left = np.flatnonzero(support > 0)
    if len(left) == 0:
        return None
    first = int(left[0])
    if is_pair[first]:
        return first
    rarer = left[is_pair[left] & (support[left] < support[first])]
    return int(rarer[0]) if len(rarer) else first
