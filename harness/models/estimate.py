"""Tokens of a text where no tokenizer can be asked: by the sort of its characters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.types import Int64

# Quarters of a token that a character makes: one in Latin script, two in others, four in these blocks,
# given by their first and one past their last: Hangul, Chinese characters and kana, full-width forms.
_WIDE = np.array(
    [0x1100, 0x1200, 0x2E80, 0xD800, 0xF900, 0xFB00, 0xFE30, 0xFE50, 0xFF00, 0xFFF0, 0x20000, 0x40000]
)
_LATIN = 0x250


def estimated_tokens(left: Sequence[str], right: Sequence[str] | None = None) -> Int64:
    """Tokens of each text, or of both sides of each pair, int64 [n]; an empty text has none."""
    rows = np.array([-(-int(_quarters(text).sum()) // 4) for text in left], dtype=np.int64)
    return rows if right is None else rows + estimated_tokens(right)


def cut(text: str, tokens: int | None) -> str:
    """The longest beginning of the text that makes at most so many estimated tokens; None: all of it."""
    if tokens is None or len(text) <= tokens:
        return text
    return text[: int(np.searchsorted(np.cumsum(_quarters(text)), 4 * tokens, side="right"))]


def _quarters(text: str) -> npt.NDArray[np.int64]:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    wide = np.searchsorted(_WIDE, codes, side="right") % 2 == 1
    return np.where(wide, 4, np.where(codes >= _LATIN, 2, 1)).astype(np.int64)
