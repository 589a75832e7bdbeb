"""Bi-encoders: sentence-transformers checkpoints and plain transformers encoders, from a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.errors import ModelError
from harness.models.base import ModelCard, Options, Say, unheard
from harness.models.card import checkpoint_card
from harness.models.checkpoint import Checkpoint, Step, pooling_modes
from harness.models.lora import find_adapter
from harness.models.pooling import Apply, open_steps, output_dim
from harness.models.quantise import quantised
from harness.models.resolve import Source
from harness.models.runtime import Runtime, open_runtime, run_batches
from harness.models.shorten import Cut, cut_of
from harness.models.tokens import Tokens, joined, prompt_tokens, tokenize
from harness.types import Float32, Int64, Texts

VERSION = 1
NATIVE = 1  # of harness.models.jina_bert
ROTARY = 1  # of harness.models.rotary


def load_dense(source: Source, options: Options) -> Dense:
    """The bi-encoder of a source; its weights are read when it first encodes.

    Raises:
        ModelError: the checkpoint is no bi-encoder, or an option asks for what it cannot do.
    """
    checkpoint = source.checkpoint
    assert checkpoint is not None
    if checkpoint.static:
        raise ModelError(f"{checkpoint.folder} is a static table of vectors; its adapter is 'static'")
    if checkpoint.kind != "bi-encoder":
        raise ModelError(
            f"{checkpoint.folder} is a classifier with {checkpoint.labels} label(s), not a bi-encoder\n"
            "its encoder would give vectors that mean nothing; a reranker's kind is cross-encoder"
        )
    steps = _steps(source, checkpoint)
    width = output_dim(steps, checkpoint.hidden)
    unit = bool(steps) and steps[-1].kind == "Normalize"
    cut = cut_of(source, options, width, unit=unit)
    normalized = unit and (cut.again or cut.dim == width) and not options.quant
    card = checkpoint_card(
        source,
        options,
        adapter=_adapter(checkpoint),
        kind="bi-encoder",
        dim=cut.dim,
        again=cut.again,
        scaled=unit and not normalized and not checkpoint.steps,
        pooling=_describe(steps),
        normalized=normalized,
    )
    for route in card.routes.values():
        if route:
            find_adapter(route, checkpoint.adapters, source.name)
    return Dense(card, steps, cut, source, options)


def load_jina_bert(source: Source, options: Options) -> Dense:
    """The same for catalog rows that name JinaBERT.

    Raises:
        ModelError: the checkpoint is another network.
    """
    checkpoint = source.checkpoint
    assert checkpoint is not None
    if not checkpoint.jina_bert:
        raise ModelError(
            f"{checkpoint.transformer / 'config.json'} is not JinaBERT's, which {source.name} is: it needs "
            "model_type 'bert'\nwith position_embedding_type 'alibi', or an auto_map to Jina's code"
        )
    return load_dense(source, options)


class Dense:
    """A bi-encoder whose weights are read at the first `encode`."""

    def __init__(
        self, card: ModelCard, steps: tuple[Step, ...], cut: Cut, source: Source, options: Options
    ) -> None:
        assert source.checkpoint is not None
        self.card, self.checkpoint = card, source.checkpoint
        self._steps, self._cut, self._source, self._options = steps, cut, source, options
        self._opened: tuple[Runtime, Apply] | None = None

    def encode(self, texts: Texts) -> Float32:
        """Vectors of rendered texts, float32 [len(texts), dim], in the order given.

        Raises:
            ModelError: the weights do not fit the checkpoint's own description (first call only).
        """
        if not len(texts):
            return np.empty((0, self.card.dim or 0), dtype=np.float32)
        return self.answer(self.prepare([texts]), np.arange(len(texts)))

    def prepare(self, groups: Sequence[Texts]) -> Tokens:
        """Token ids of rendered texts, all groups end to end; reads the weights at the first call."""
        runtime, _ = self._opened or self._open()
        return joined([self._tokens(runtime, texts) for texts in groups])

    def answer(self, prepared: Tokens, rows: Int64, say: Say = unheard) -> Float32:
        """Vectors float32 [len(rows), dim] of the prepared texts at `rows`, in that order."""
        runtime, apply = self._opened or self._open()

        def vectors(output: Any, mask: Any) -> Any:
            return apply(output.last_hidden_state, mask)

        def named(at: int) -> str:
            ids = prepared.ids[prepared.offsets[rows[at]] : prepared.offsets[rows[at] + 1]]
            return str(runtime.tokenizer.decode(ids.tolist(), skip_special_tokens=True))

        whole = self._by_route(runtime, prepared, rows, vectors, say)
        return quantised(self._cut.of(whole, named, self.card.name), self._options.quant)

    def _by_route(self, runtime: Runtime, prepared: Tokens, rows: Int64, vectors: Apply, say: Say) -> Float32:
        """The vectors of each row through its adapter, where the network has any."""
        if prepared.routes is None:
            return run_batches(runtime, prepared, rows, vectors, say)
        own = prepared.routes[rows]
        found: list[tuple[Int64, Float32]] = []
        for route in np.unique(own).tolist():
            here = np.flatnonzero(own == route)
            routed = replace(runtime, model=runtime.model.under(route))
            found.append((here, run_batches(routed, prepared, rows[here], vectors, say)))
        whole = np.empty((len(rows), found[0][1].shape[1] if found else 0), dtype=np.float32)
        for here, part in found:
            whole[here] = part
        return whole

    def _open(self) -> tuple[Runtime, Apply]:
        card, checkpoint = self.card, self._source.checkpoint
        assert checkpoint is not None
        runtime = open_runtime(
            self._source,
            self._options,
            classifier=False,
            first=_first_alone(self._steps),
            dtype=card.dtype,
            max_length=card.max_length,
        )
        dtype = "float32" if runtime.fused else card.dtype  # of what comes out of the network
        apply = open_steps(checkpoint, self._steps, dtype, runtime.device)
        self.card = replace(card, device=str(runtime.device))
        self._opened = runtime, apply
        return self._opened

    def _tokens(self, runtime: Runtime, texts: Texts) -> Tokens:
        """Tokens of one group; those of its prompt are not pooled where the Pooling module says so."""
        adapters = self.checkpoint.adapters
        if texts.route:
            find_adapter(texts.route, adapters, self.card.name)
        counted = all(s.config.get("include_prompt", True) for s in self._steps if s.kind == "Pooling")
        skip = 0
        if texts.prompt and not counted:
            skip = prompt_tokens(runtime.tokenizer, texts.prompt, runtime.max_length)
        tokens = tokenize(runtime.tokenizer, texts.items, None, runtime.max_length, skip)
        return replace(tokens, routes=np.full(len(tokens), texts.route)) if adapters else tokens


def _adapter(checkpoint: Checkpoint) -> str:
    """Name and version of the code that runs the network."""
    if checkpoint.layout == "rotary":
        return f"rotary@{ROTARY}"
    return f"jina_bert@{NATIVE}" if checkpoint.jina_bert else f"dense@{VERSION}"


def _steps(source: Source, checkpoint: Checkpoint) -> tuple[Step, ...]:
    """The checkpoint's own modules; for a plain transformer, pooling as the catalog says, else the mean."""
    if checkpoint.steps:
        if not any(step.kind == "Pooling" for step in checkpoint.steps):
            raise ModelError(f"{checkpoint.folder}: modules.json names no Pooling")
        return checkpoint.steps
    row = source.row
    head = next((a for a in checkpoint.config.get("architectures") or () if "CausalLM" in str(a)), None)
    if head and not (row and row.pooling):
        raise ModelError(
            f"{checkpoint.folder} is a {head} without modules.json: nothing says that it gives vectors, or "
            "how\nif it is no reranker, write its pooling into a row of your own (--catalog)"
        )
    pooled = Step("Pooling", "", {"pooling_mode": (row.pooling if row else None) or "mean"})
    return (pooled, Step("Normalize", "", {})) if row and row.normalize else (pooled,)


def _first_alone(steps: tuple[Step, ...]) -> bool:
    """Whether the steps look at the first token's vector and at no other."""
    poolings = [step for step in steps if step.kind == "Pooling"]
    return all(
        pooling_modes(step) == ("cls",) and step.config.get("include_prompt", True) for step in poolings
    )


def _describe(steps: tuple[Step, ...]) -> str:
    """`mean`, `cls`, `mean > Dense` ...: what a report says of the pooling."""
    names = ["+".join(pooling_modes(s)) if s.kind == "Pooling" else s.kind for s in steps]
    return " > ".join(name for name in names if name not in ("Normalize", "Dropout"))
