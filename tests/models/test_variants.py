"""Variant tokens: a closed table, there and back."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import ConfigError, UnknownNameError
from harness.models.variants import FROZEN, format_variant, parse_variant, relevant

CASES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"dtype": "bfloat16"}, ("bf16",)),
    ({"dtype": "float16", "max_length": 512}, ("fp16", "len512")),
    ({"dim": 256}, ("dim256",)),
    ({"dim": 256, "quant": "int8"}, ("dim256", "int8")),
    ({"quant": "binary"}, ("binary",)),
    ({"prompts": "none", "first": ("bm25", 100)}, ("first-bm25-100", "prompts-none")),
    ({"first": ("intfloat__e5-base-v2", 20)}, ("first-intfloat__e5-base-v2-20",)),
]


@pytest.mark.parametrize(("chosen", "tokens"), CASES)
def test_there_and_back(chosen: dict[str, Any], tokens: tuple[str, ...]) -> None:
    assert format_variant(chosen) == tokens == tuple(sorted(tokens))
    assert parse_variant(tokens) == chosen


def test_only_differences_from_the_row_make_a_token() -> None:
    assert format_variant(dict(FROZEN)) == ()
    frozen = {**FROZEN, "max_length": 512, "dtype": "bfloat16"}
    chosen = {"dtype": "float32", "max_length": 512, "dim": None, "prompts": "card", "backend": "torch"}
    assert format_variant(chosen, frozen) == ("fp32",)
    assert format_variant({**chosen, "max_length": 256}, frozen) == ("fp32", "len256")


@pytest.mark.parametrize(
    "token", ["bf61", "len", "len0", "len-5", "dim", "int4", "", "prompts-mine", "LEN512"]
)
def test_unknown_tokens(token: str) -> None:
    with pytest.raises(UnknownNameError, match="variants look like"):
        parse_variant([token])


def test_contradictions() -> None:
    assert parse_variant(["bf16", "bf16"]) == {"dtype": "bfloat16"}
    with pytest.raises(ConfigError, match="'fp16' contradicts 'bf16'"):
        parse_variant(["bf16", "fp16"])
    with pytest.raises(ConfigError, match="'binary' contradicts 'int8'"):
        parse_variant(["int8", "binary"])


def test_tokens_that_cannot_matter_are_left_out() -> None:
    tokens = ("bf16", "dim64", "first-bm25-100", "len9", "prompts-mteb")
    e5 = {"query": "q: ", "document": "p: ", "sentence": "q: "}
    assert relevant(tokens, "sts", "bi-encoder", e5) == ("bf16", "dim64", "len9", "prompts-mteb")
    assert relevant(tokens, "retrieval", "bi-encoder", e5) == ("bf16", "dim64", "len9")
    assert relevant(tokens, "sts", "bi-encoder", {}) == ("bf16", "dim64", "len9")
    assert relevant(tokens, "retrieval", "cross-encoder", {}) == ("bf16", "first-bm25-100", "len9")
    assert relevant(tokens, "aggregate", "cross-encoder", {}) == ("bf16", "first-bm25-100", "len9")
    assert relevant(tokens, "reranking", "cross-encoder", {}) == ("bf16", "len9")
    assert relevant(tokens, "retrieval", "lexical", {}) == ()
    assert relevant(("int8",), "sts", "bi-encoder", {}) == ("int8",)
    assert relevant(("binary",), "retrieval", "cross-encoder", {}) == ()
