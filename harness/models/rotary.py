"""XLM-R with rotary positions and an adapter a task: the network of jina-embeddings-v3, without its own code.

A post-norm encoder whose queries and keys are turned by their position. The weights of an adapter's layers
are summed when it is first asked for, and kept as long as the memory is not needed for another's; to the
token table, of which a batch needs few rows, the adapter's part is added row by row. Every product is made
in the precision asked for; sums, norms and rotations are float32.

Formulas: Conneau et al., "XLM-R" (2020); Su et al., "RoFormer" (2021); Hu et al., "LoRA" (2021); Sturua et
al., "jina-embeddings-v3" (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput

from harness.memory import free_bytes
from harness.models.checkpoint import Checkpoint
from harness.models.fused import Fused, Linear, Span, kernels, packing
from harness.models.jina_bert import Affine, Plain
from harness.models.lora import Adapter, find_adapter
from harness.models.refusals import refuse_non_finite
from harness.models.rotary_tensors import Sizes, Stored, read_stored

Attend = Callable[[Any], Any]  # from query, key and value beside one another [t, 3 h] to [t, h]


def open_network(
    checkpoint: Checkpoint, *, dtype: str, device: Any, unused_tensors: Sequence[str] = ()
) -> Network:
    """The network of a checkpoint on `device`, without adapter.

    Args:
        dtype: of the products: "float32", "bfloat16" or "float16".
        unused_tensors: prefixes of stored tensors that may be left over, beside the pooler's.

    Raises:
        ModelError: see `harness.models.rotary_tensors.read_stored`.
    """
    stored = read_stored(checkpoint, unused_tensors)
    low = getattr(torch, dtype)
    moved = Stored(
        stored.sizes,
        {name: tensor.to(device) for name, tensor in stored.tensors.items()},
        {
            name: Adapter(a.scaling, {m: (b.to(device), c.to(device)) for m, (b, c) in a.parts.items()})
            for name, a in stored.adapters.items()
        },
    )
    fused = packing(low) if device.type == "cpu" and kernels(low) else None
    return Network(checkpoint, moved, low, fused)


class Network:
    """From token ids to one vector a token; called as a network of transformers is.

    Args:
        stored: tensors and adapters, on the device.
        dtype: of the products.
        fused: what packed batches keep to; None: padded batches.
        route: the adapter's name; empty: none.
    """

    def __init__(
        self, checkpoint: Checkpoint, stored: Stored, dtype: Any, fused: Fused | None, route: str = ""
    ) -> None:
        self.fused, self._dtype, self._stored, self._checkpoint = fused, dtype, stored, checkpoint
        self._route, self._under = route, {route: self}
        self._adapter = stored.adapters[route] if route else Adapter(0.0, {})

    def under(self, route: str) -> Network:
        """The same network with the adapter `route`; empty: with none.

        Raises:
            ModelError: it has no such adapter.
        """
        name = find_adapter(route, self._stored.adapters, str(self._checkpoint.folder)) if route else ""
        if name not in self._under or "_layers" not in vars(self._under[name]):
            self._make_room()
        network = self._under.pop(name, None) or Network(
            self._checkpoint, self._stored, self._dtype, self.fused, name
        )
        self._under[name] = network  # the last used stands last
        return network

    def _make_room(self) -> None:
        """Drop summed weights, the least lately used first, until those of one more adapter fit twice."""
        tensors = self._stored.tensors
        layers = sum(tensor.numel() for name, tensor in tensors.items() if name.startswith("layers."))
        size, room = layers * self._dtype.itemsize, free(tensors["embeddings.LayerNorm.weight"].device)
        for name, network in list(self._under.items()):
            if room >= 2 * size:
                return
            room += size if vars(network).pop("_layers", None) is not None else 0
            if network is not self:
                del self._under[name]

    def forward(
        self, input_ids: Any, attention_mask: Any = None, spans: Sequence[Span] | None = None
    ) -> BaseModelOutput:
        """Vectors float32 [b, w, h] of ids int64 [b, w].

        Args:
            attention_mask: int64 [b, w], 0 where a text has ended; None: nowhere.
            spans: texts that stand end to end in one row, instead of a mask.
        """
        ids = input_ids.flatten()
        words = self._rows("embeddings.word_embeddings", ids)
        rows = words + self._rows("embeddings.token_type_embeddings", torch.zeros_like(ids[:1]))
        rows = self._norm("embeddings.LayerNorm")(rows)
        attend = self._attention(input_ids.shape, attention_mask, spans)
        for layer in self._layers:
            rows = layer(rows, attend, self.fused.multiple if self.fused else 0)
        return BaseModelOutput(last_hidden_state=rows.view(*input_ids.shape, -1))

    __call__ = forward

    @cached_property
    def _layers(self) -> list[Layer]:
        linear = Linear if self.fused else Plain
        return [
            Layer(self._affine, self._norm, f"layers.{i}.", linear, self._dtype)
            for i in range(self._stored.sizes.layers)
        ]

    @cached_property
    def _turns(self) -> tuple[Any, Any]:
        """Cosine and sine of every position's angles, float32 [positions, d / 2] each."""
        return turns(self._stored.sizes, self._stored.tensors["embeddings.LayerNorm.weight"].device)

    def _attention(self, shape: Any, mask: Any, spans: Sequence[Span] | None) -> Attend:
        (texts, width), heads = shape, self._stored.sizes.heads
        if spans is None:
            places = torch.arange(width).repeat(texts)
            inside = None if mask is None or bool(mask.all()) else mask[:, None, None] != 0
            spans = [Span(0, texts, width)]
        else:
            parts = [torch.arange(span.width).repeat(span.texts) for span in spans]
            # What fills the batch up belongs to no text.
            places, inside = torch.cat([*parts, torch.zeros(width - spans[-1].stop, dtype=torch.int64)]), None
        cos, sin = (table[places.to(table.device)][:, None] for table in self._turns)
        return partial(_attend, cos=cos, sin=sin, heads=heads, spans=spans, inside=inside)

    def _rows(self, name: str, ids: Any) -> Any:
        """Rows of a table, the adapter's part added, float32 [t, h]."""
        rows = self._stored.tensors[f"{name}.weight"][ids].float()
        if name in self._adapter.parts:
            left, right = self._adapter.parts[name]
            # Rank by rank: a matrix product's last bits would depend on the number of rows.
            for column, row in zip(left[ids].float().T * self._adapter.scaling, right.float(), strict=True):
                rows.addcmul_(column[:, None], row)
        return rows

    def _affine(self, name: str) -> Affine:
        """A linear layer in the precision of the products, the adapter's part added in float32."""
        weight, bias = (self._stored.tensors[f"{name}.{part}"].float() for part in ("weight", "bias"))
        if name in self._adapter.parts:
            left, right = self._adapter.parts[name]
            weight = weight + self._adapter.scaling * (left.float() @ right.float())
        made = Affine(weight.to(self._dtype), bias.to(self._dtype))
        where = self._checkpoint.transformer
        refuse_non_finite(iter([(f"{name}.weight", made.weight), (f"{name}.bias", made.bias)]), where)
        return made

    def _norm(self, name: str) -> Callable[[Any], Any]:
        weight, bias = (self._stored.tensors[f"{name}.{part}"].float() for part in ("weight", "bias"))
        sizes = self._stored.sizes
        return lambda rows: functional.layer_norm(rows, (sizes.hidden,), weight, bias, sizes.eps)


class Layer:
    """Attention and feed-forward, each followed by the sum with its input and a layer norm.

    Args:
        affine, norm: a linear layer and a layer norm by name.
        at: what stands in front of its names.
        linear: how products are made: `harness.models.jina_bert.Plain` or `harness.models.fused.Linear`.
    """

    def __init__(
        self,
        affine: Callable[[str], Affine],
        norm: Callable[[str], Callable[[Any], Any]],
        at: str,
        linear: Any,
        dtype: Any,
    ) -> None:
        self.dtype = dtype
        self.sides = linear(*(affine(f"{at}self_attn.{side}_proj") for side in "qkv"))
        self.mix, self.mixed_norm = (
            linear(affine(f"{at}self_attn.o_proj")),
            norm(f"{at}post_attention_layernorm"),
        )
        self.widen = linear(affine(f"{at}mlp.fc1"), activation="gelu")
        self.narrow, self.norm = linear(affine(f"{at}mlp.fc2")), norm(f"{at}post_mlp_layernorm")

    def __call__(self, rows: Any, attend: Attend, block: int) -> Any:
        """From float32 [t, h] to [t, h]; products of `block` rows, 0: of all."""
        seen = attend(self.sides(rows.to(self.dtype), block))
        mixed = self.mixed_norm(self.mix.plus(seen, rows, block))
        return self.norm(self.narrow.plus(self.widen(mixed.to(self.dtype), block), mixed, block))


def free(device: Any) -> int:
    """Bytes that can still be had on a device; of a GPU those that torch holds without use among them."""
    if device.type != "cuda":
        return free_bytes()
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0] + held)


def turns(sizes: Sizes, device: Any) -> tuple[Any, Any]:
    """Cosine and sine of position * theta^(-2 n / d), n below d / 2: float32 [positions, d / 2] each.

    The angles are float64: at position 8,191 float32 is off by half a thousandth.
    """
    half = sizes.hidden // sizes.heads // 2
    rates = sizes.theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(sizes.positions, dtype=torch.float64)[:, None] * rates
    return angles.cos().float().to(device), angles.sin().float().to(device)


def _attend(sides: Any, *, cos: Any, sin: Any, heads: int, spans: Sequence[Span], inside: Any) -> Any:
    """Attention within the texts of the spans; what is behind them comes out as zeros."""
    query, key, value = sides.view(len(sides), 3, heads, -1).unbind(1)
    query, key = (_turned(part.float(), cos, sin).to(sides.dtype) for part in (query, key))
    seen = torch.zeros(value.shape, dtype=value.dtype, device=value.device)
    for span in spans:
        rows, shape = slice(span.start, span.stop), (span.texts, span.width, heads, -1)
        # Of one head end to end: over long texts twice as fast as where heads alternate.
        q, k, v = (part[rows].view(shape).transpose(1, 2).contiguous() for part in (query, key, value))
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=inside)
        seen[rows].view(shape).copy_(found.transpose(1, 2))
    return seen.view(len(sides), -1)


def _turned(part: Any, cos: Any, sin: Any) -> Any:
    """Component n and n + d / 2 of each head, as a point of a plane, turned: float32 [t, heads, d]."""
    first, second = part.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
