"""Self-attention that is told by ALiBi how far away a token is: a straight line, to both sides alike.

The bias of a head is -slope * |i - j|, float32, added to the scaled products of queries and keys. On a CPU
it is never built: it depends on i - j alone, so with keys and values in reverse order it is a view into one
row of 2 w - 1 numbers a head, which torch's kernel reads as it stands. Elsewhere kernels copy such views,
and texts are padded; there it is built for some queries of some texts at a time.

Press et al., "Train Short, Test Long" (2021); both ways as in Günther et al., "Jina Embeddings 2" (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from harness.models.fused import Span

# From queries, keys and values side by side [t, 3 h] to what the queries see, written into [t, h].
Attend = Callable[[Any, Any], None]
LIMIT = 2**25  # numbers of a bias that is built: 128 MiB


def slopes(heads: int) -> list[float]:
    """The slope of every head: 2^(-8 j / n); for n no power of two, every other one of the next finer row
    stands behind those of the power of two below.
    """
    whole = 1 << (heads.bit_length() - 1)
    finer = [2 ** (-4 * j / whole) for j in range(1, 2 * whole + 1)]
    return (finer[1::2] + finer[0::2])[:heads]


def over_spans(slope: Any, spans: Sequence[Span]) -> Attend:
    """Attention of texts that stand end to end in the rows.

    Args:
        slope: float32 [heads].
    """
    heads, widest = len(slope), max(span.width for span in spans)
    ramp = _ramp(slope, widest)

    def attend(sides: Any, out: Any) -> None:
        size = out.shape[1] // heads
        for span in spans:
            rows, shape = slice(span.start, span.stop), (span.texts, span.width, -1, heads, size)
            query = sides[rows].view(shape)[:, :, 0].transpose(1, 2)
            key, value = sides[rows].view(shape)[:, :, 1:].flip(1).permute(2, 0, 3, 1, 4).unbind(0)
            # Key w - 1 - j stands at j: its distance from query i is |i + j - (w - 1)|.
            steps = (0, ramp.stride(0), 1, 1)
            bias = ramp.as_strided((1, heads, span.width, span.width), steps, widest - span.width)
            seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
            out[rows].view(span.texts, span.width, heads, size).copy_(seen.transpose(1, 2))
        out[spans[-1].stop :] = 0

    return attend


def over_padded(slope: Any, inside: Any, limit: int = LIMIT) -> Attend:
    """Attention of texts that are padded to one width, in float32.

    Args:
        slope: float32 [heads].
        inside: bool [b, w], where a text has a token.
        limit: numbers of a bias that is built at once. A batch that needs no more has one for all layers.
    """
    (texts, width), heads = inside.shape, len(slope)
    rows = min(width, max(1, limit // (heads * width)))
    together = min(texts, max(1, limit // (heads * width * rows)))
    ramp, places = _ramp(slope, width), torch.arange(width, device=inside.device)
    lowest = torch.finfo(torch.float32).min

    def built(some: slice, part: slice) -> Any:
        away = places - places[part, None] + (width - 1)
        return ramp[:, away].masked_fill(~inside[some, None, None], lowest)

    pieces = [
        (slice(start, start + together), slice(first, first + rows))
        for start in range(0, texts, together)
        for first in range(0, width, rows)
    ]
    kept = built(*pieces[0]) if len(pieces) == 1 else None

    def attend(sides: Any, out: Any) -> None:
        size = out.shape[1] // heads
        query, key, value = sides.view(texts, width, 3, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        whole = out.view(texts, width, heads, size)
        for some, part in pieces:
            bias = built(some, part) if kept is None else kept
            seen = functional.scaled_dot_product_attention(
                query[some, :, part].float(), key[some].float(), value[some].float(), attn_mask=bias
            )
            whole[some, part] = seen.transpose(1, 2).to(out.dtype)

    return attend


def _ramp(slope: Any, width: int) -> Any:
    """The bias by distance, from -(w - 1) to w - 1: float32 [heads, 2 w - 1]."""
    return -slope[:, None] * torch.arange(1 - width, width, device=slope.device).abs()
