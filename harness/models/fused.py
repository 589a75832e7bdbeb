"""Encoders of the BERT family on a CPU: tokens end to end, nothing padded, over oneDNN's kernels.

The texts of a batch stand behind one another as rows [t, h]. Every layer treats them as one matrix but for
attention, which goes over each run of texts of one length. torch's own float32 linear goes to a BLAS that
lays the weights out anew at each call, and whose last bits depend on the number of rows. oneDNN's kernels,
which torch's compiler uses for frozen weights, are given them laid out once, and keep GELU and the sum with
the residual in the cache.

The bits of a row do not depend on the rows beside it: in float32 not on their number from two on (measured
up to 2,100 rows, for sizes from 312 to 4,096); in bfloat16 the kernels divide their work by that number, so
there every product has the same one. That also spares the building of a kernel for each new number of rows,
20 milliseconds in bfloat16.

Formulas: Devlin et al., "BERT" (2019); the oracle of the tests is transformers' own forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

# Networks that differ in their embeddings and heads, not in their layers.
FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_LAID_OUT = 1024  # rows for which the weights are laid out; others are as fast
_FIRST = 2  # tokens kept of a text where only the first is asked for: one row alone would have other bits
_EXACT, _WIDE, _NARROW = 32, 4096, 256  # rows of a product: a multiple in float32; just as many in bfloat16


@dataclass(frozen=True)
class Fused:
    """What a batch for a fused network must keep to.

    Attributes:
        multiple: of which the number of rows is made one by filling up; the rows of a product in bfloat16.
        padding: the id behind which positions are counted, as RoBERTa does; None counts from 0.
        first: only the first tokens of each text come out, [n, 2, h] instead of [1, t, h].
    """

    multiple: int
    padding: int | None
    first: bool


@dataclass(frozen=True)
class Span:
    """`texts` texts of `width` tokens each, from row `start` on."""

    start: int
    texts: int
    width: int

    @property
    def stop(self) -> int:
        """The row behind them."""
        return self.start + self.texts * self.width


def kernels(dtype: torch.dtype) -> bool:
    """Whether this build of torch has the kernels, and the processor those of bfloat16."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return (
        dtype in (torch.float32, torch.bfloat16)
        and torch._C._has_mkldnn
        and all(hasattr(torch.ops.mkldnn, name) for name in names)
        and (dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def packing(dtype: torch.dtype, padding: int | None = None, *, first: bool = False) -> Fused:
    """What batches must keep to whose products are made in `dtype`; for the rest see `Fused`."""
    return Fused(_EXACT if dtype == torch.float32 else _WIDE, padding, first)


def fusable(config: Mapping[str, Any], dtype: torch.dtype) -> bool:
    """Whether `fuse` takes the network of this config.json: a plain encoder of FAMILIES, no own code."""
    plain = not any(config.get(key) for key in ("is_decoder", "add_cross_attention", "auto_map"))
    return config.get("model_type") in FAMILIES and plain and kernels(dtype)


def fuse(model: Any, *, first: bool, dtype: torch.dtype) -> Fused:
    """Put `Encoder` in the place of a network's own encoder, which then takes rows [1, t] and `spans`.

    In half precision the products alone are bfloat16, as under torch's autocast: with embeddings, layer
    norms and the sums between the layers in float32 a vector is a third nearer to float32's (mean distance
    of all-MiniLM-L6-v2: 0.0069 instead of 0.0102).

    Args:
        model: a network in float32 whose config is `fusable`.
        first: whether only the first token's vector is ever looked at.
        dtype: of the products, float32 or bfloat16.
    """
    body = getattr(model, model.base_model_prefix, model)
    for module in body.encoder.modules():
        if isinstance(module, torch.nn.Linear):
            module.to(dtype)
    fused = packing(dtype, getattr(body.embeddings, "padding_idx", None), first=first)
    body.encoder = Encoder(body.encoder, model.config.num_attention_heads, fused)
    return fused


class Encoder(torch.nn.Module):
    """All layers, from rows [1, t, h] to [1, t, h], or to [n, 2, h] where only the first token counts."""

    def __init__(self, encoder: Any, heads: int, fused: Fused) -> None:
        super().__init__()
        self.layers = [Layer(layer, heads) for layer in encoder.layer]
        self.first, self.block = fused.first, fused.multiple

    def forward(
        self, hidden_states: Any, *, spans: Sequence[Span], **_: Any
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """Called by the network as its own encoder would be."""
        rows = hidden_states[0]
        for layer in self.layers[: -1 if self.first else None]:
            rows = layer(rows, spans, self.block)
        if not self.first:
            return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=rows[None])
        rows = self.layers[-1].first(rows, spans, self.block)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=rows)


class Layer:
    """Self-attention and feed-forward, each followed by the sum with its input and a layer norm."""

    def __init__(self, layer: Any, heads: int) -> None:
        own, mixed = layer.attention.self, layer.attention.output
        inner, outer = layer.intermediate, layer.output
        self.heads = heads
        self.query = Linear(own.query)
        self.sides = Linear(own.key, own.value)
        self.mix, self.mixed_norm = Linear(mixed.dense), mixed.LayerNorm
        exact = type(inner.intermediate_act_fn).__name__ == "GELUActivation"
        self.widen = Linear(inner.dense, activation="gelu" if exact else "none")
        self.activation = None if exact else inner.intermediate_act_fn
        self.narrow, self.norm = Linear(outer.dense), outer.LayerNorm

    def __call__(self, rows: Any, spans: Sequence[Span], block: int) -> Any:
        """From [t, h] to [t, h]; in bfloat16 by products of `block` rows."""
        low = rows.to(self.query.weight.dtype)
        query, sides = self.query(low, block), self.sides(low, block)
        seen = torch.empty_like(query)
        for span in spans:
            part = slice(span.start, span.stop)
            self._attend(query[part], sides[part], span.texts, seen[part])
        seen[spans[-1].stop :] = 0
        return self._rest(seen, rows, block)

    def first(self, rows: Any, spans: Sequence[Span], block: int) -> Any:
        """From [t, h] to the first tokens of every text, [n, 2, h]."""
        starts = torch.cat([torch.arange(span.start, span.stop, span.width) for span in spans])
        texts = len(starts)
        wanted = (starts[:, None] + torch.arange(_FIRST)).flatten().clamp(max=len(rows) - 1)
        narrow = min(block, _NARROW)
        filled = torch.cat([wanted, wanted[:1].expand(-len(wanted) % narrow)])
        low = rows.to(self.query.weight.dtype)
        sides = self.sides(low, block)
        query = self.query(low[filled], narrow)
        seen, done = torch.zeros_like(query), 0
        for span in spans:
            part = slice(done, done + span.texts * _FIRST)
            self._attend(query[part], sides[span.start : span.stop], span.texts, seen[part])
            done = part.stop
        kept = self._rest(seen, rows[filled], narrow)
        return kept[: texts * _FIRST].view(texts, _FIRST, -1)

    def _attend(self, query: Any, sides: Any, texts: int, out: Any) -> None:
        """What queries [n * q, h] see of keys beside values [n * t, 2 h], into `out` [n * q, h]."""
        size = query.shape[1] // self.heads
        queries = query.view(texts, -1, self.heads, size).transpose(1, 2)
        key, value = sides.view(texts, -1, 2, self.heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(queries, key, value)
        out.view(texts, -1, self.heads, size).copy_(seen.transpose(1, 2))

    def _rest(self, seen: Any, rows: Any, block: int) -> Any:
        rows = self.mixed_norm(self.mix.plus(seen, rows, block))
        wide = self.widen(rows.to(self.query.weight.dtype), block)
        if self.activation is not None:
            wide = self.activation(wide)
        return self.norm(self.narrow.plus(wide, rows, block))


class Linear:
    """One linear layer, or several of one input as one, in the precision of its weights.

    A product has as many rows as its `block` says; in float32, where bits do not depend on it, all.
    """

    def __init__(self, *layers: Any, activation: str = "none") -> None:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, _LAID_OUT)
        free = layers[0].bias is None
        self.bias = None if free else torch.cat([layer.bias.detach() for layer in layers])
        # The last argument chooses the exact GELU, by the error function.
        self.how: tuple[str, list[float], str] = (activation, [], "none" if activation == "gelu" else "")

    def __call__(self, rows: Any, block: int) -> Any:
        """From [t, in] to [t, out]."""
        if self._whole(rows, block):
            return torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, *self.how)
        return torch.cat([self(part, block) for part in rows.split(block)])

    def plus(self, rows: Any, other: Any, block: int) -> Any:
        """The same and `other`, float32 [t, out]."""
        if self.weight.dtype == torch.float32:
            return torch.ops.mkldnn._linear_pointwise.binary(rows, other, self.weight, self.bias, "add")
        return self(rows, block).float().add_(other)

    def times(self, rows: Any, other: Any, block: int) -> Any:
        """The same times `other` [t, out]."""
        if self._whole(rows, block):
            return torch.ops.mkldnn._linear_pointwise.binary(rows, other, self.weight, self.bias, "mul")
        pieces = zip(rows.split(block), other.split(block), strict=True)
        return torch.cat([self.times(part, factor, block) for part, factor in pieces])

    def _whole(self, rows: Any, block: int) -> bool:
        return self.weight.dtype == torch.float32 or len(rows) == block
