"""Static models (model2vec's potion, sentence-transformers' StaticEmbedding): the mean of rows of a table.

A text's vector is the mean of its tokens' rows; no token sees another, so there is no network, no device and
no batch to choose. Method: van Dongen and Tulkens, "model2vec" (2024). Same results as sentence-transformers,
the oracle of the tests: special tokens are not added, a text without a token is the zero vector.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import ModelError
from harness.models.base import ModelCard, Options
from harness.models.card import checkpoint_card
from harness.models.checkpoint import Checkpoint
from harness.models.quantise import quantised
from harness.models.resolve import Source
from harness.models.shorten import Cut, cut_of
from harness.types import Float32, Texts

VERSION = 1
_TEXTS = 1024  # a time: their tokens' rows are laid out side by side
_ROWS = 32768  # of those, at most so many together unless one text has more


def load_static(source: Source, options: Options) -> Static:
    """The static model of a source; its table is read when it first encodes.

    Raises:
        ModelError: the checkpoint is of another kind, or something is asked for that a table cannot do.
    """
    checkpoint = source.checkpoint
    assert checkpoint is not None
    if not checkpoint.static:
        raise ModelError(f"{checkpoint.folder} is no static model: its first module is a transformer")
    others = [step.kind for step in checkpoint.steps if step.kind != "Normalize"]
    if others:
        raise ModelError(f"{checkpoint.folder}: module {others[0]!r} behind a static table cannot be loaded")
    if options.dtype not in (None, "float32"):
        raise ModelError(f"{source.name} is a table that is averaged in float32; there is no {options.dtype}")
    width = checkpoint.hidden
    unit = bool(checkpoint.steps)
    cut = cut_of(source, options, width, unit=unit)
    card = checkpoint_card(
        source,
        options,
        adapter=f"static@{VERSION}",
        kind="bi-encoder",
        dim=cut.dim,
        again=cut.again,
        pooling="mean of a table",
        normalized=unit and (cut.again or cut.dim == width) and not options.quant,
    )
    return Static(card, checkpoint, unit, cut, options.quant)


class Static:
    """A tokenizer and a table of vectors, read at the first `encode`."""

    def __init__(
        self, card: ModelCard, checkpoint: Checkpoint, unit: bool, cut: Cut, quant: str | None
    ) -> None:
        self.card, self.checkpoint = card, checkpoint
        self._unit, self._cut, self._quant = unit, cut, quant
        self._opened: tuple[Any, Float32] | None = None

    def encode(self, texts: Texts) -> Float32:
        """Vectors of rendered texts, float32 [len(texts), dim], in the order given.

        Raises:
            ModelError: the table is missing, not finite or too short for the tokenizer (first call only).
        """
        self._opened = self._opened or _open(self.checkpoint)
        tokenizer, table = self._opened
        out = np.zeros((len(texts), table.shape[1]), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS):
            part = list(texts.items[start : start + _TEXTS])
            found = tokenizer.encode_batch(part, add_special_tokens=False)
            ids = [encoding.ids[: self.card.max_length] for encoding in found]
            _average(table, ids, out[start : start + len(part)])
        if self._unit:
            out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
        kept = self._cut.of(out, lambda at: texts.items[at], self.card.name)
        return quantised(kept, self._quant)


def _average(table: Float32, ids: list[list[int]], out: Float32) -> None:
    """Mean rows of each text into `out` [n, d]; the order of a text's sum does not depend on the others."""
    group: list[int] = []
    held = 0
    for at, row in enumerate(ids):
        if group and held + len(row) > _ROWS:
            _sum(table, ids, group, out)
            group, held = [], 0
        if row:
            group.append(at)
            held += len(row)
    if group:
        _sum(table, ids, group, out)


def _sum(table: Float32, ids: list[list[int]], group: list[int], out: Float32) -> None:
    lengths = np.array([len(ids[at]) for at in group])
    rows = table[np.concatenate([ids[at] for at in group])]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    totals = np.add.reduceat(rows, starts, axis=0, dtype=np.float64)  # hundreds of tokens, one by one
    out[group] = totals / lengths[:, None]


def _open(checkpoint: Checkpoint) -> tuple[Any, Float32]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    where = checkpoint.transformer
    try:
        tensors = load_file(str(checkpoint.folder / checkpoint.weights[0]))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{where}: its weights cannot be read ({error})") from error
    tokenizer = Tokenizer.from_file(str(where / "tokenizer.json"))
    tokenizer.no_padding()
    return tokenizer, _table(tensors, tokenizer.get_vocab_size(), where)


def _table(tensors: dict[str, Any], vocabulary: int, where: Path) -> Float32:
    """One row a token id. Newer files of model2vec hold fewer rows, which one a token has, and its weight."""
    names = set(tensors)
    own = names & {"embedding.weight", "embeddings"}
    extra = names - own - {"mapping", "weights"}
    if len(own) != 1 or extra:
        raise ModelError(f"{where}: tensors {sorted(names)}; one of embedding.weight, embeddings is needed")
    table = tensors[own.pop()].astype(np.float32)
    if "mapping" in tensors:
        table = table[tensors["mapping"]]
    if "weights" in tensors:
        table = table * tensors["weights"].astype(np.float32)[:, None]
    if len(table) < vocabulary:
        raise ModelError(f"{where}: {len(table)} rows for the {vocabulary} tokens of its tokenizer.json")
    if not np.isfinite(table).all():
        raise ModelError(f"{where}: its table holds NaN or infinity")
    return np.ascontiguousarray(table, dtype=np.float32)
