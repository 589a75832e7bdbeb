"""Cross-encoders: sequence classifiers with one label, scored as sentence-transformers' CrossEncoder does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.errors import ModelError
from harness.models.base import ModelCard, Options, Say, unheard
from harness.models.card import checkpoint_card
from harness.models.checkpoint import Checkpoint
from harness.models.pooling import torch_activation
from harness.models.resolve import Source
from harness.models.runtime import Runtime, open_runtime, run_batches
from harness.models.tokens import Tokens, joined, tokenize
from harness.types import Float32, Int64, Pairs

VERSION = 1


def load_cross(source: Source, options: Options) -> Cross:
    """The cross-encoder of a source; its weights are read when it first scores.

    Raises:
        ModelError: the checkpoint is no classifier with one label, or has modules behind it.
    """
    checkpoint = source.checkpoint
    assert checkpoint is not None
    if checkpoint.labels is None:
        raise ModelError(
            f"{checkpoint.folder} is a bi-encoder, not a cross-encoder\n"
            f"{checkpoint.config.get('architectures')} has no classifier; it would be made of random numbers"
        )
    if checkpoint.labels != 1:
        raise ModelError(f"{checkpoint.folder} has {checkpoint.labels} labels; a reranker has one")
    if checkpoint.steps:
        raise ModelError(
            f"{checkpoint.folder}: modules {[s.kind for s in checkpoint.steps]} behind a classifier"
        )
    prompt = (checkpoint.stored.get("prompts") or {}).get(checkpoint.stored.get("default_prompt_name"))
    if prompt:
        raise ModelError(
            f"{checkpoint.folder} puts the prompt {prompt!r} in front of pairs, which is not applied here"
        )
    if checkpoint.stored.get("keep_in_fp32_modules") and options.dtype not in (None, "float32"):
        raise ModelError(
            f"{checkpoint.folder} keeps layers in float32, which is not applied at {options.dtype}"
        )
    if options.dim is not None:
        raise ModelError(f"{source.name} gives scores, not vectors; there is no --dim of them")
    if options.quant is not None:
        raise ModelError(f"{source.name} gives scores, not vectors; there is no --quant of them")
    activation = _activation(checkpoint)
    card = checkpoint_card(
        source,
        options,
        adapter=f"cross@{VERSION}",
        kind="cross-encoder",
        dim=None,
        pooling=activation.rpartition(".")[2].lower(),
        normalized=None,
    )
    return Cross(card, activation, source, options)


class Cross:
    """A cross-encoder whose weights are read at the first `score`."""

    def __init__(self, card: ModelCard, activation: str, source: Source, options: Options) -> None:
        assert source.checkpoint is not None
        self.card, self.checkpoint = card, source.checkpoint
        self._activation, self._source, self._options = activation, source, options
        self._runtime: Runtime | None = None

    def score(self, pairs: Pairs) -> Float32:
        """Scores float32 [len(pairs)] in the order given, after the checkpoint's own activation.

        Raises:
            ModelError: the weights do not fit the checkpoint's own description (first call only).
        """
        if not len(pairs):
            return np.empty(0, dtype=np.float32)
        return self.answer(self.prepare([pairs]), np.arange(len(pairs)))

    def prepare(self, groups: Sequence[Pairs]) -> Tokens:
        """Token ids of pairs, all groups end to end; reads the weights at the first call."""
        runtime = self._runtime or self._open()
        return joined([tokenize(runtime.tokenizer, p.left, p.right, runtime.max_length) for p in groups])

    def answer(self, prepared: Tokens, rows: Int64, say: Say = unheard) -> Float32:
        """Scores float32 [len(rows)] of the prepared pairs at `rows`, in that order."""
        runtime = self._runtime or self._open()
        activation = torch_activation(self._activation)
        return run_batches(
            runtime, prepared, rows, lambda output, _: activation(output.logits.float())[:, 0], say
        )

    def _open(self) -> Runtime:
        card = self.card
        self._runtime = open_runtime(
            self._source,
            self._options,
            classifier=True,
            first=True,
            dtype=card.dtype,
            max_length=card.max_length,
        )
        self.card = replace(card, device=str(self._runtime.device))
        return self._runtime


def _activation(checkpoint: Checkpoint) -> str:
    """Dotted path of the activation, newest place first, else sigmoid, the default for one label."""
    stored = checkpoint.stored.get("activation_fn")
    newer = (checkpoint.config.get("sentence_transformers") or {}).get("activation_fn")
    older = checkpoint.config.get("sbert_ce_default_activation_function")
    path = str(stored or newer or older or "torch.nn.modules.activation.Sigmoid")
    if not path.startswith("torch.nn."):
        raise ModelError(
            f"{checkpoint.folder}: activation {path!r} is not one of torch.nn's; it cannot be loaded"
        )
    return path
