"""JinaBERT: the network of jina-embeddings-v2, read from its own tensors without its own code.

A BERT encoder without positions (see `harness.models.alibi` for what it has instead), whose feed-forward
half is a gated linear unit. Two layouts were published. Every product is made in the precision asked for;
sums, norms and what goes into a softmax are float32.

Formulas: Günther et al., "Jina Embeddings 2" (2023); Shazeer, "GLU Variants Improve Transformer" (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput

from harness.models.alibi import LIMIT, Attend, over_padded, over_spans, slopes
from harness.models.checkpoint import Checkpoint
from harness.models.fused import Fused, Linear, Span, kernels, packing
from harness.models.jina_tensors import Sizes, read_tensors
from harness.models.refusals import refuse_non_finite


class Affine(NamedTuple):
    """Weight [out, in] and bias [out] or None of a linear layer."""

    weight: Any
    bias: Any


def open_network(
    checkpoint: Checkpoint, *, dtype: str, device: Any, unused_tensors: Sequence[str] = ()
) -> Network:
    """The network of a checkpoint on `device`.

    Args:
        dtype: of the products: "float32", "bfloat16" or "float16".
        unused_tensors: prefixes of stored tensors that may be left over, beside the pooler's.

    Raises:
        ModelError: config.json asks for another network, or tensors are missing, left over, of another
            shape or not finite.
    """
    sizes, stored = read_tensors(checkpoint, unused_tensors)
    low, tensors = getattr(torch, dtype), {}
    for name in list(stored):
        # Norms and the token table enter no product.
        precise = "norm" in name.lower() or name.startswith("embeddings.")
        tensors[name] = stored.pop(name).to(device=device, dtype=torch.float32 if precise else low)
    refuse_non_finite(iter(tensors.items()), checkpoint.transformer)
    return Network(sizes, tensors, packing(low) if device.type == "cpu" and kernels(low) else None)


class Network:
    """From token ids to one vector a token; called as a network of transformers is.

    Args:
        tensors: by their stored names, those of `harness.models.jina_tensors.shapes`.
        fused: what packed batches keep to; None: padded batches.
        limit: see `harness.models.alibi.over_padded`.
    """

    def __init__(
        self, sizes: Sizes, tensors: Mapping[str, Any], fused: Fused | None, limit: int = LIMIT
    ) -> None:
        self.fused, self._limit = fused, limit
        self._words = tensors["embeddings.word_embeddings.weight"]
        self._type = tensors["embeddings.token_type_embeddings.weight"][0]
        self._norm = _norm(tensors, "embeddings.LayerNorm", sizes)
        linear = Linear if fused else Plain
        self._layers = [Layer(tensors, f"encoder.layer.{i}.", sizes, linear) for i in range(sizes.layers)]
        self._slope = torch.tensor(slopes(sizes.heads), dtype=torch.float32, device=self._words.device)

    def forward(
        self, input_ids: Any, attention_mask: Any = None, spans: Sequence[Span] | None = None
    ) -> BaseModelOutput:
        """Vectors float32 [b, w, h] of ids int64 [b, w].

        Args:
            attention_mask: int64 [b, w], 0 where a text has ended; None: nowhere.
            spans: texts that stand end to end in one row, instead of a mask.
        """
        rows = self._norm(self._words[input_ids.flatten()] + self._type)
        if spans is not None:
            attend = over_spans(self._slope, spans)
        else:
            inside = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            attend = over_padded(self._slope, inside != 0, self._limit)
        for layer in self._layers:
            rows = layer(rows, attend, self.fused.multiple if self.fused else 0)
        return BaseModelOutput(last_hidden_state=rows.view(*input_ids.shape, -1))

    __call__ = forward


class Layer:
    """Attention and the gated unit, each followed by the sum with its input and a layer norm.

    Args:
        linear: how products are made: `Plain` or `harness.models.fused.Linear`.
    """

    def __init__(self, tensors: Mapping[str, Any], at: str, sizes: Sizes, linear: Any) -> None:
        def affine(name: str) -> Affine:
            return Affine(tensors[f"{at}{name}.weight"], tensors[f"{at}{name}.bias"])

        english = sizes.layout == "EN"
        self.dtype = tensors[f"{at}attention.self.query.weight"].dtype
        self.sides = linear(*(affine(f"attention.self.{name}") for name in ("query", "key", "value")))
        norms = () if english else ("layer_norm_q", "layer_norm_k")
        self.side_norms = [_norm(tensors, f"{at}attention.self.{name}", sizes) for name in norms]
        self.mix = linear(affine("attention.output.dense"))
        self.mixed_norm = _norm(tensors, f"{at}attention.output.LayerNorm", sizes)
        # The layout of code sums and norms once more before the gated unit.
        self.again = None if english else _norm(tensors, f"{at}layer_norm_1", sizes)
        first, second = tensors[
            f"{at}mlp.{'gated_layers' if english else 'up_gated_layer'}.weight"
        ].split(sizes.inner)  # fmt: skip
        gate, factor = (first, second) if english else (second, first)
        self.gate = linear(Affine(gate, None), activation="gelu")
        self.factor = linear(Affine(factor, None))
        self.narrow = linear(affine("mlp.wo" if english else "mlp.down_layer"))
        self.norm = _norm(tensors, at + ("mlp.layernorm" if english else "layer_norm_2"), sizes)

    def __call__(self, rows: Any, attend: Attend, block: int) -> Any:
        """From float32 [t, h] to [t, h]; `block` as `linear` has it."""
        hidden = rows.shape[1]
        sides = self.sides(rows.to(self.dtype), block)
        for i, norm in enumerate(self.side_norms):
            part = sides[:, i * hidden : (i + 1) * hidden]
            part.copy_(norm(part.float()))
        seen = torch.empty_like(rows, dtype=self.dtype)
        attend(sides, seen)
        mixed = self.mixed_norm(self.mix.plus(seen, rows, block))
        if self.again is not None:
            mixed = self.again(rows + mixed)
        low = mixed.to(self.dtype)
        return self.norm(self.narrow.plus(self.factor.times(low, self.gate(low, block), block), mixed, block))


class Plain:
    """One linear layer, or several of one input as one, by torch's own product; as `fused.Linear`."""

    def __init__(self, *layers: Affine, activation: str = "none") -> None:
        self.weight = torch.cat([layer.weight for layer in layers])
        self.bias = None if layers[0].bias is None else torch.cat([layer.bias for layer in layers])
        self.bent = activation == "gelu"

    def __call__(self, rows: Any, _: int) -> Any:
        """From [t, in] to [t, out]."""
        made = functional.linear(rows, self.weight, self.bias)
        return functional.gelu(made) if self.bent else made

    def plus(self, rows: Any, other: Any, block: int) -> Any:
        """The same and `other`, float32 [t, out]."""
        return self(rows, block).float() + other

    def times(self, rows: Any, other: Any, block: int) -> Any:
        """The same times `other` [t, out]."""
        return self(rows, block) * other


def _norm(tensors: Mapping[str, Any], name: str, sizes: Sizes) -> Callable[[Any], Any]:
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    return lambda rows: functional.layer_norm(rows, (sizes.hidden,), weight, bias, sizes.eps)
