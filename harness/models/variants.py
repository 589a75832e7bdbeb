"""Variant tokens: what sets a run apart from the values frozen in the catalog row, in one closed table.

bf16 fp16 fp32          dtype          dim256           first 256 components of a vector
len512                  max length     prompts-none     prompt policy
int8 binary             quantised vectors (see `harness.models.quantise`)
first-bm25-100          first stage of a cross-encoder, documents a query
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.errors import ConfigError, UnknownNameError
from harness.models.prompts import POLICIES, same_prompts
from harness.models.quantise import QUANTS

DTYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
BACKENDS = ("torch",)
FROZEN: dict[str, Any] = {
    "dtype": "float32", "max_length": None, "dim": None, "quant": None, "prompts": "card", "backend": "torch",
    "first": None,
}  # fmt: skip

_READ: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], Any]], ...] = (
    ("dtype", re.compile("fp32|bf16|fp16"), lambda m: {v: k for k, v in DTYPES.items()}[m[0]]),
    ("max_length", re.compile(r"len([1-9]\d*)"), lambda m: int(m[1])),
    ("dim", re.compile(r"dim([1-9]\d*)"), lambda m: int(m[1])),
    ("quant", re.compile("|".join(QUANTS)), lambda m: m[0]),
    ("prompts", re.compile(f"prompts-({'|'.join(POLICIES)})"), lambda m: m[1]),
    ("backend", re.compile("|".join(BACKENDS)), lambda m: m[0]),
    ("first", re.compile(r"first-([\w.-]+)-([1-9]\d*)"), lambda m: (m[1], int(m[2]))),
)
_WRITE: dict[str, Callable[[Any], str]] = {
    "dtype": lambda v: DTYPES[v],
    "max_length": lambda v: f"len{v}",
    "dim": lambda v: f"dim{v}",
    "quant": str,
    "prompts": lambda v: f"prompts-{v}",
    "backend": str,
    "first": lambda v: f"first-{v[0]}-{v[1]}",
}
_SHOWN = (
    "fp32",
    "bf16",
    "fp16",
    "len512",
    "dim256",
    *QUANTS,
    *(f"prompts-{p}" for p in POLICIES),
    "first-bm25-100",
)


def parse_variant(tokens: Iterable[str]) -> dict[str, Any]:
    """Options named by tokens: `["bf16", "len512"]` gives `{"dtype": "bfloat16", "max_length": 512}`.

    Raises:
        UnknownNameError: a token outside the table.
        ConfigError: two tokens for one option.
    """
    chosen: dict[str, Any] = {}
    for token in tokens:
        field, value = _read(token)
        if field in chosen and chosen[field] != value:
            raise ConfigError(f"variant {token!r} contradicts {_WRITE[field](chosen[field])!r}")
        chosen[field] = value
    return chosen


def format_variant(chosen: Mapping[str, Any], frozen: Mapping[str, Any] = FROZEN) -> tuple[str, ...]:
    """Sorted tokens of the options in `chosen` that differ from `frozen`; None means "not chosen"."""
    return tuple(
        sorted(
            _WRITE[field](value)
            for field, value in chosen.items()
            if value is not None and value != frozen.get(field, FROZEN[field])
        )
    )


def first_token(name: str, variant: Iterable[str], depth: int) -> str:
    """The token of a first stage: `first-bm25-100`, `first-org__name--bf16-50`.

    Args:
        name: as results show it; a baseline goes by its bare name.
        variant: the first stage's own tokens. Two hyphens set them apart, which no hub id contains.
    """
    slug = "--".join([name.removeprefix("harness/").replace("/", "__"), *variant])
    return _WRITE["first"]((slug, depth))


def first_name(slug: str) -> str:
    """The model that a first stage's token names, as one would write it: `org/name+bf16`."""
    name, *variant = slug.split("--")
    return "+".join([name.replace("__", "/", 1), *variant])


def is_token(token: str) -> bool:
    """Whether the table knows `token`."""
    return any(pattern.fullmatch(token) for _, pattern, _ in _READ)


def relevant(
    tokens: Iterable[str], task_kind: str, model_kind: str, prompts: Mapping[str, str]
) -> tuple[str, ...]:
    """The tokens that can change a score of `task_kind`; the others stay out of its result's address.

    Prompts matter only where the policy changes one, to bi-encoders only; `dim` and
    `quant` only to bi-encoders; a first stage only to cross-encoders in retrieval.
    """

    task_kind = "retrieval" if task_kind == "aggregate" else task_kind

    def matters(token: str) -> bool:
        field, value = _read(token)
        if field == "prompts":
            return model_kind == "bi-encoder" and not same_prompts(prompts, value, "card", task_kind)
        if field in ("dim", "quant"):
            return model_kind == "bi-encoder"
        if field == "first":
            return model_kind == "cross-encoder" and task_kind == "retrieval"
        return model_kind != "lexical"

    return tuple(token for token in tokens if matters(token))


def _read(token: str) -> tuple[str, Any]:
    for field, pattern, convert in _READ:
        match = pattern.fullmatch(token)
        if match:
            return field, convert(match)
    raise UnknownNameError("variant", token, _SHOWN, f"variants look like {', '.join(_SHOWN)}")
