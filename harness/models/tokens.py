"""Texts or pairs to token ids, and token ids to padded tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.errors import ModelError
from harness.models.quiet import quiet
from harness.types import Int64


def tokenize(
    tokenizer: Any, left: Sequence[str], right: Sequence[str] | None, max_length: int | None
) -> dict[str, list[list[int]]]:
    """Token ids (and token types, where the tokenizer has them) of texts or pairs, special tokens included.

    Args:
        max_length: tokens to keep, from the start, the longer of a pair cut first; None keeps all.

    Returns:
        "input_ids" and perhaps "token_type_ids", one list a text.
    """
    if not len(left):
        return {"input_ids": []}
    with quiet():
        encoded = tokenizer(
            list(left),
            None if right is None else list(right),
            truncation="longest_first" if max_length else False,
            max_length=max_length,
            padding=False,
            return_attention_mask=False,
        )
    return {key: encoded[key] for key in ("input_ids", "token_type_ids") if key in encoded}


def lengths(columns: Mapping[str, list[list[int]]]) -> Int64:
    """Tokens of each text, int64 [n]."""
    ids = columns["input_ids"]
    return np.fromiter((len(row) for row in ids), dtype=np.int64, count=len(ids))


def pad(
    columns: Mapping[str, list[list[int]]], rows: Int64, width: int, least: int, tokenizer: Any, device: Any
) -> dict[str, Any]:
    """Tensors int64 [m, width] of the texts at `rows`, padded on the right, with their mask.

    Args:
        least: tokens of the batch at least; the last text is repeated until `m * width` reaches it.
    """
    import torch

    filled = np.concatenate([rows, np.repeat(rows[-1:], max(0, -(-least // width) - len(rows)))])
    fill = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}
    arrays = {key: np.full((len(filled), width), fill[key], dtype=np.int64) for key in columns}
    mask = np.zeros((len(filled), width), dtype=np.int64)
    for at, row in enumerate(filled):
        mask[at, : len(columns["input_ids"][row])] = 1
        for key, column in columns.items():
            arrays[key][at, : len(column[row])] = column[row]
    arrays["attention_mask"] = mask
    return {key: torch.from_numpy(array).to(device) for key, array in arrays.items()}


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
    ids = tokenize(tokenizer, [prompt], None, max_length)["input_ids"][0]
    return len(ids) - (1 if ids and ids[-1] in tokenizer.all_special_ids else 0)
