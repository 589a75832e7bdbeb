"""Texts or pairs to token ids, and token ids to padded tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import ModelError
from harness.models.quiet import quiet
from harness.types import Int64

Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tokens:
    """Token ids of texts or pairs, special tokens included, end to end: 4 bytes a token, no Python objects.

    Attributes:
        ids: int32 [total].
        types: token types int32 [total], or None where the tokenizer has none.
        offsets: int64 [n + 1]; text i is ids[offsets[i]:offsets[i + 1]].
        skip: int64 [n] leading tokens of each text that pooling leaves out (those of its prompt).
    """

    ids: Int32
    types: Int32 | None
    offsets: Int64
    skip: Int64

    def __len__(self) -> int:
        return len(self.skip)

    @property
    def lengths(self) -> Int64:
        """Tokens of each text, int64 [n]."""
        return np.diff(self.offsets)


def tokenize(
    tokenizer: Any, left: Sequence[str], right: Sequence[str] | None, max_length: int | None, skip: int = 0
) -> Tokens:
    """Token ids (and token types, where the tokenizer has them) of texts or pairs.

    Args:
        max_length: tokens to keep, from the start, the longer of a pair cut first; None keeps all.
        skip: leading tokens of every text that pooling leaves out.

    Raises:
        ModelError: a text holds half of a surrogate pair, which is no character.
    """
    if not len(left):
        return Tokens(np.empty(0, np.int32), None, np.zeros(1, np.int64), np.empty(0, np.int64))
    _refuse_surrogates(chain(left, right or ()))
    with quiet():
        encoded = tokenizer(
            list(left),
            None if right is None else list(right),
            truncation="longest_first" if max_length else False,
            max_length=max_length,
            padding=False,
            return_attention_mask=False,
        )
    ids, types = encoded["input_ids"], encoded.get("token_type_ids")
    empty = [place for place, row in enumerate(ids) if not row]
    for place in empty:  # of a tokenizer without special tokens: the network sees one padding token
        ids[place] = [tokenizer.pad_token_id or 0]
        if types is not None:
            types[place] = [tokenizer.pad_token_type_id]
    offsets = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in ids], out=offsets[1:])
    skipped = np.full(len(ids), skip, dtype=np.int64)
    skipped[empty] = 1  # and pooling counts nothing
    return Tokens(_flat(ids, offsets), None if types is None else _flat(types, offsets), offsets, skipped)


def joined(parts: Sequence[Tokens]) -> Tokens:
    """Several lists of texts as one."""
    filled = [part for part in parts if len(part)]
    if len(filled) == 1 or not filled:
        return filled[0] if filled else parts[0]
    types = [part.types for part in filled if part.types is not None]
    starts = np.cumsum([0, *(len(part.ids) for part in filled)])
    offsets = [part.offsets[:-1] + start for part, start in zip(filled, starts, strict=False)]
    return Tokens(
        np.concatenate([part.ids for part in filled]),
        np.concatenate(types) if types else None,
        np.concatenate([*offsets, starts[-1:]]).astype(np.int64),
        np.concatenate([part.skip for part in filled]),
    )


def pad(tokens: Tokens, rows: Int64, width: int, fill: Any, device: Any) -> tuple[dict[str, Any], Any]:
    """Tensors int64 [m, width] of the texts at `rows`, padded on the right, and the mask that pooling uses.

    Args:
        fill: the tokenizer, which knows what stands in an empty place.

    Returns:
        The model's inputs by name, and a mask int64 [m, width] that leaves out what pooling leaves out.
    """
    at, inside, pooled = grid(tokens, rows, width)
    arrays = {
        "input_ids": np.where(inside, tokens.ids[at], fill.pad_token_id or 0).astype(np.int64),
        "attention_mask": inside.astype(np.int64),
    }
    if tokens.types is not None:
        arrays["token_type_ids"] = np.where(inside, tokens.types[at], fill.pad_token_type_id).astype(np.int64)
    inputs = {name: _moved(array, device) for name, array in arrays.items()}
    if not tokens.skip[rows].any():
        return inputs, inputs["attention_mask"]
    return inputs, _moved(pooled.astype(np.int64), device)


def grid(tokens: Tokens, rows: Int64, width: int) -> tuple[Int64, Bool, Bool]:
    """Where the tokens of the texts at `rows` stand in `tokens.ids`, int64 [m, width], 0 behind their end.

    Returns:
        Those places; which of them are within the text; which of them pooling counts (bool [m, width]).
    """
    columns = np.arange(width)
    inside = columns < tokens.lengths[rows][:, None]
    at = np.where(inside, tokens.offsets[rows][:, None] + columns, 0)
    return at, inside, inside & (columns >= tokens.skip[rows][:, None])


def lower_case(tokenizer: Any) -> None:
    """Put lower-casing in front of the tokenizer's own normaliser, as `do_lower_case` asks for."""
    from tokenizers.normalizers import Lowercase
    from tokenizers.normalizers import Sequence as Chain

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            f"{type(tokenizer).__name__} is pure Python; do_lower_case cannot be put in front of it"
        )
    own = [backend.normalizer] if backend.normalizer is not None else []
    backend.normalizer = Chain([Lowercase(), *own])


def prompt_tokens(tokenizer: Any, prompt: str, max_length: int | None) -> int:
    """Tokens at the start of a text that belong to `prompt`: its ids without a closing special token."""
    ids = tokenize(tokenizer, [prompt], None, max_length).ids
    return len(ids) - (1 if len(ids) and int(ids[-1]) in tokenizer.all_special_ids else 0)


def _refuse_surrogates(texts: Iterable[str]) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ModelError(
                f"the text {text[:60]!r} holds half of a surrogate pair at character {error.start}: "
                "it cannot be tokenised"
            ) from error


def _flat(lists: Sequence[Sequence[int]], offsets: Int64) -> Int32:
    return np.fromiter(chain.from_iterable(lists), dtype=np.int32, count=int(offsets[-1]))


def _moved(array: npt.NDArray[np.int64], device: Any) -> Any:
    import torch

    tensor = torch.from_numpy(array)
    # Only from pinned memory can a GPU fetch while it computes.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
