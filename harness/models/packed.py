"""A batch of texts end to end through a fused network, nothing padded (see `harness.models.fused`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import BaseModelOutput

from harness.models.batching import Group
from harness.models.fused import Fused, Span
from harness.models.tokens import Tokens, grid
from harness.types import Int64


def run_packed(
    model: Any,
    fused: Fused,
    tokens: Tokens,
    batch: Sequence[Group],
    takes: frozenset[str],
    answer: Callable[[Any, Any], Any],
) -> Any:
    """What `answer` makes of the batch, [n, ...], in the order of its groups.

    Args:
        batch: places in `tokens`; widths are the texts' own lengths.
        takes: names of what the network's forward takes.
        answer: from the network's output and the mask int64 [b, t] to a tensor [b, ...]; called once for
            every group, or once for all where only first tokens come out.
    """
    spans, start = [], 0
    for group in batch:
        spans.append(Span(start, len(group.places), group.width))
        start = spans[-1].stop
    inputs, counted = _inputs(tokens, batch, fused, -(-start // fused.multiple) * fused.multiple)
    given = {name: torch.from_numpy(array)[None] for name, array in inputs.items() if name in takes}
    output = model(**given, spans=spans)
    if fused.first:
        return answer(output, torch.ones(sum(span.texts for span in spans), 1, dtype=torch.int64))
    hidden, mask = output.last_hidden_state[0], torch.from_numpy(counted)
    parts = []
    for span in spans:
        rows, shape = slice(span.start, span.stop), (span.texts, span.width)
        parts.append(answer(BaseModelOutput(hidden[rows].view(*shape, -1)), mask[rows].view(shape)))
    return torch.cat(parts)


def _inputs(
    tokens: Tokens, batch: Sequence[Group], fused: Fused, size: int
) -> tuple[dict[str, Int64], Int64]:
    """Arrays int64 [size] by the name of the input, and which tokens pooling counts, int64 [size]."""
    names = ("input_ids", "token_type_ids", "position_ids")
    inputs = {name: np.zeros(size, dtype=np.int64) for name in names}
    counted = np.zeros(size, dtype=np.int64)
    start = 0
    for group in batch:
        at, _, pooled = grid(tokens, group.places, group.width)
        part = slice(start, start := start + at.size)
        ids = tokens.ids[at]
        inputs["input_ids"][part] = ids.ravel()
        inputs["position_ids"][part] = _positions(ids, fused.padding).ravel()
        if tokens.types is not None:
            inputs["token_type_ids"][part] = tokens.types[at].ravel()
        counted[part] = pooled.ravel()
    return inputs, counted


def _positions(ids: Any, padding: int | None) -> Int64:
    if padding is None:
        return np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    # As transformers numbers RoBERTa's: a padding token written out in the text does not move the others.
    real = ids != padding
    return np.asarray(np.cumsum(real, axis=1) * real + padding, dtype=np.int64)
